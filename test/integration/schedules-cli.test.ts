// The command line's words, and what of them goes over the wire: a broker of the test's own tells.
import { expect, it } from "vitest";
import { ErrorCode, type WireSchedule, type WireScheduleState, ZeroTaskError } from "zerotask-core";
import { listeningFakeBroker } from "../support/fake-broker.ts";
import { freePort, runToEnd } from "../support/processes.ts";

const fresh: Omit<WireScheduleState, keyof WireSchedule> = {
  paused: false,
  next_at: 1_900_000_000_000,
  runs: 0,
  task_id: null,
  running: false,
  last_status: null,
  last_start: null,
  last_end: null,
};

it("sets schedules, and shows them", async () => {
  const { port, asked } = await listeningFakeBroker((_method, params) => ({ ...params, ...fresh }));
  const interval = await runToEnd(
    "client",
    ...["-r", port, "schedules", "interval", "add", "5 minutes", "5", "-6"],
    ...["--from-start", "--priority", "-3", "--group", "g", "--missed", "skip"],
  );
  expect(interval).toEqual({
    code: 0,
    out:
      "NAME        RUNS        WHEN                        NEXT                      MADE  LAST\n" +
      "add(5, -6)  add(5, -6)  every 5 minutes from start  2030-03-17T17:46:40.000Z  0     -\n",
    err: "",
  });
  const cron = await runToEnd(
    "client",
    ...["schedules", "cron", "add", "0 3 * * *", "5", "six", "--time-zone", "Europe/Berlin"],
    ...["--name", "nightly", "-r", port],
  );
  expect(cron).toMatchObject({ code: 0, out: expect.stringContaining('nightly  add(5, "six")  0 3 * * *') });
  expect(asked.map(({ params }) => params)).toEqual([
    {
      name: "add(5, -6)",
      method: "add",
      params: [5, -6],
      every_ms: 300_000,
      from_start: true,
      priority: -3,
      group: "g",
      missed: "skip",
    },
    { name: "nightly", method: "add", params: [5, "six"], cron: "0 3 * * *", time_zone: "Europe/Berlin" },
  ]);
});

it("lists, removes, pauses, resumes and runs schedules by their names", async () => {
  const state = { name: "nightly", method: "add", params: [], cron: "0 3 * * *", ...fresh };
  const answers: { readonly [method: string]: unknown } = {
    schedule_list: [state],
    schedule_remove: false,
    schedule_pause: { ...state, paused: true, next_at: null },
    schedule_resume: state,
    schedule_run: "schedule-1",
  };
  const { port, asked } = await listeningFakeBroker((method) => answers[method]);
  const run = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await runToEnd("client", "-r", port, "schedules", ...args);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    return out;
  };
  expect(await run("list")).toContain("\nnightly  add   0 3 * * * UTC  2030-03-17T17:46:40.000Z  0     -\n");
  expect(JSON.parse(await run("list", "--json"))).toMatchObject([
    { name: "nightly", timeZone: "UTC", nextAt: "2030-03-17T17:46:40.000Z" },
  ]);
  expect(await run("remove", "nightly")).toBe("There is no schedule nightly\n");
  expect(await run("pause", "nightly")).toContain("paused");
  expect(await run("resume", "nightly")).not.toContain("paused");
  expect(await run("run", "nightly")).toBe("schedule-1\n");
  expect(asked.slice(2).every(({ params }) => (params as WireSchedule).name === "nightly")).toBe(true);
});

it("submits what is to run later, prints its id and waits no longer", async () => {
  const { port, asked } = await listeningFakeBroker((method) => (method === "client_new_task" ? "c-1" : 11));
  const later = await runToEnd("client", "-r", port, "add", "5", "-6", "--at", "2 hours 30 minutes");
  expect(later).toMatchObject({ code: 0, out: expect.stringMatching(/^\w{20}-1\n$/), err: "" });
  await runToEnd("client", "-r", port, "--at", "2030-01-01T00:00:00Z", "add");
  const now = await runToEnd(
    "client",
    ...["-r", port, "--priority", "-5", "--group", "g", "--retries", "3", "add", "5", "6"],
  );
  expect(now).toEqual({ code: 0, out: "11\n", err: "" });
  expect(asked.map(({ params }) => params)).toMatchObject([
    { method: "add", params: [5, -6], options: { delay_ms: expect.closeTo(9_000_000, -3) } },
    { method: "add", params: [], options: { at: Date.UTC(2030, 0, 1) } },
    ["add", [5, 6], { priority: -5, group: "g", retries: 3 }],
  ]);
});

it("shows failed tasks, and retries one or all, but never all unasked", async () => {
  const task = {
    task_id: "c-1",
    client_id: "c",
    method: "add",
    params: [5],
    status: "FAILED",
    attempt: 2,
    failures: 2,
    created_at: 1_000,
    settled_at: 2_000,
    error: { code: -32000, message: "too much\u001b[2J\nof it" },
  };
  const { port, asked } = await listeningFakeBroker((method) => {
    if (method === "failed_list") return { tasks: [task], next: null };
    return method === "failed_retry_all" ? { retried: 7, next: null } : true;
  });
  const list = await runToEnd("client", "-r", port, "failed", "list", "--from", "1970-01-01", "--limit", "5");
  expect(list).toEqual({
    code: 0,
    out:
      "ID   METHOD  SETTLED                   ATTEMPTS  ERROR\n" +
      "c-1  add     1970-01-01T00:00:02.000Z  2         too much [2J\n",
    err: "",
  });
  const json = await runToEnd("client", "-r", port, "failed", "list", "--json");
  expect(JSON.parse(json.out)).toMatchObject([{ id: "c-1", error: { message: "too much\u001b[2J\nof it" } }]);
  expect((await runToEnd("client", "-r", port, "failed", "retry", "c-1")).out).toBe("1\n");
  expect((await runToEnd("client", "-r", port, "failed", "retry", "--all", "--error", "much")).out).toBe(
    "7\n",
  );
  const unasked = await runToEnd("client", "-r", port, "failed", "retry", "--method", "add");
  expect(unasked).toMatchObject({ code: 1, out: "", err: expect.stringContaining("or else --all") });
  expect(asked.map(({ params }) => params)).toEqual([
    { from: 0, limit: 5 },
    { limit: 100 },
    { task_id: "c-1" },
    { error: "much" },
  ]);
});

it("shows as many failed tasks as it is asked for, in as many pages as that takes", async () => {
  const task = { client_id: "c", method: "add", status: "FAILED", attempt: 1, failures: 1 };
  const failed = { ...task, created_at: 1_000, settled_at: 2_000, error: { code: -32000, message: "no" } };
  const { port, asked } = await listeningFakeBroker((_method, params) => {
    const { limit } = params as { limit: number };
    return {
      tasks: Array.from({ length: limit }, (_, i) => ({ ...failed, task_id: `c-${i}` })),
      next: "more",
    };
  });
  const { out } = await runToEnd("client", "-r", port, "failed", "list", "--limit", "1500");
  expect(out.split("\n")).toHaveLength(1_503);
  expect(out).toContain("There are more: --limit tells how many to show");
  expect(asked.map(({ params }) => params)).toEqual([{ limit: 1_000 }, { limit: 500, after: "more" }]);
});

it("says in words that there is nothing to show", async () => {
  const { port } = await listeningFakeBroker((method) =>
    method === "schedule_list" ? [] : { tasks: [], next: null },
  );
  expect((await runToEnd("client", "-r", port, "schedules", "list")).out).toBe("No schedules\n");
  expect((await runToEnd("client", "-r", port, "schedules", "list", "--json")).out).toBe("[]\n");
  expect((await runToEnd("client", "-r", port, "failed", "list")).out).toBe("No failed tasks\n");
});

it("waits for a broker as long as it is told, and bounds no run by that", async () => {
  const gone = await freePort();
  for (const words of [
    ["schedules", "list"],
    ["failed", "list"],
    ["add", "--at", "1 day"],
  ]) {
    const { code, err } = await runToEnd("client", "-r", `${gone}`, "-t", "50", ...words);
    expect(code).toBe(1);
    expect(err).toContain("for 50 ms");
  }
  const { port, asked } = await listeningFakeBroker(() => "c-1");
  await runToEnd("client", "-r", port, "-t", "5000", "add", "--at", "1 day");
  expect(JSON.stringify(asked)).toMatch(/delay_ms(?!.*timeout_ms)/);
});

it("prints on stderr what is refused, with exit code 1", async () => {
  const { port } = await listeningFakeBroker(() => {
    throw new ZeroTaskError("There is no schedule nightly", ErrorCode.InvalidTaskId);
  });
  const err = async (...args: string[]): Promise<string> => {
    const ended = await runToEnd("client", "-r", port, ...args);
    expect(ended).toMatchObject({ code: 1, out: "" });
    return ended.err;
  };
  expect(await err("schedules", "run", "nightly")).toBe("There is no schedule nightly\n");
  expect(await err("schedules", "interval", "add", "soon")).toContain(
    "Expected `every` to be words with a unit",
  );
  expect(await err("schedules", "cron", "add", "* * * * *", "--missed", "twice")).toContain(
    "skip, once, all",
  );
  expect(await err("--at", "tomorrow-ish", "add")).toContain("Expected `--at` to be words with a unit");
  expect(await err("schedules", "interval", "add", "5", "minutes")).toContain("with a unit, in quotes");
  expect(await err("failed", "retry", "c-1", "--method", "add")).toBe(
    "Expected `--method` to be left out where a task's id is given (c-1), got 'add'\n",
  );
  expect(await err("failed", "list", "--limit", "0")).toContain(
    "Expected `--limit` to be a positive integer",
  );
  expect(await err("--priority", "high", "add")).toContain("Expected `priority` to be an integer");
});
