import { expect, it, onTestFinished } from "vitest";
import { AsyncClient, Client, ConflictError, OptionError, type Schedule } from "zerotask-client";
import { ErrorCode, type WireScheduleState, ZeroTaskError } from "zerotask-core";
import { scheduleTable } from "../../packages/client/src/schedules/text.ts";
import { type Answer, fakeBroker } from "../support/fake-broker.ts";

function clientOf(answer: Answer): { client: Client; asked: { method: string; params: unknown }[] } {
  const { dial, asked } = fakeBroker(answer);
  const client = new Client({ dial });
  onTestFinished(() => client.$close());
  return { client, asked };
}

const state: WireScheduleState = {
  name: "nightly",
  method: "images.resize",
  params: ["a.png", 10],
  every_ms: 300_000,
  paused: false,
  next_at: 1_900_000_000_000,
  runs: 3,
  task_id: "schedule-3",
  running: false,
  last_status: "FINISHED",
  last_start: 1_899_999_000_000,
  last_end: 1_899_999_700_000,
};

it("sends an interval in milliseconds, and names the schedule by its method and params", async () => {
  const { client, asked } = clientOf(() => state);
  const { $schedules } = client;
  await $schedules.interval("images.resize", { every: "5 minutes", params: ["a.png", 10] });
  await $schedules.interval("sweep", { every: 1_000, fromStart: true, params: [] });
  await $schedules.cron("sweep", {
    cron: "0 3 * * *",
    timeZone: "Europe/Berlin",
    name: "nightly",
    priority: -5,
    group: "tenant-7",
    missed: "all",
    params: { a: 1 },
  });
  expect(asked).toEqual([
    {
      method: "schedule_set",
      params: {
        name: 'images.resize("a.png", 10)',
        method: "images.resize",
        params: ["a.png", 10],
        every_ms: 300_000,
      },
    },
    {
      method: "schedule_set",
      params: { name: "sweep", method: "sweep", params: [], every_ms: 1_000, from_start: true },
    },
    {
      method: "schedule_set",
      params: {
        name: "nightly",
        method: "sweep",
        params: { a: 1 },
        cron: "0 3 * * *",
        time_zone: "Europe/Berlin",
        priority: -5,
        group: "tenant-7",
        missed: "all",
      },
    },
  ]);
});

it("tells of a schedule with dates and defaults", async () => {
  const { client } = clientOf(() => [
    state,
    { ...state, every_ms: null, cron: "0 3 * * *", next_at: null, last_status: null, last_end: null },
  ]);
  const [interval, cron] = await client.$schedules.list();
  expect(interval).toEqual({
    name: "nightly",
    method: "images.resize",
    params: ["a.png", 10],
    every: 300_000,
    fromStart: false,
    priority: 0,
    missed: "once",
    paused: false,
    nextAt: new Date(1_900_000_000_000),
    runs: 3,
    taskId: "schedule-3",
    running: false,
    lastStatus: "FINISHED",
    lastStart: new Date(1_899_999_000_000),
    lastEnd: new Date(1_899_999_700_000),
  });
  expect(cron).toMatchObject({ cron: "0 3 * * *", timeZone: "UTC", nextAt: null, lastEnd: null });
  expect(cron).not.toHaveProperty("every");
});

it("asks for a schedule by its name", async () => {
  const { client, asked } = clientOf((method) => {
    if (method === "schedule_remove") return false;
    return method === "schedule_run" ? "schedule-4" : { ...state, paused: method === "schedule_pause" };
  });
  const { $schedules } = client;
  expect(await $schedules.remove("nightly")).toBe(false);
  expect((await $schedules.pause("nightly")).paused).toBe(true);
  expect((await $schedules.resume("nightly")).paused).toBe(false);
  expect(await $schedules.runNow("nightly")).toBe("schedule-4");
  expect(asked).toEqual(
    ["schedule_remove", "schedule_pause", "schedule_resume", "schedule_run"].map((method) => ({
      method,
      params: { name: "nightly" },
    })),
  );
});

it("refuses schedules that can't be right, before the broker hears of them", async () => {
  const { client, asked } = clientOf(() => state);
  const { $schedules } = client;
  const refused: [() => Promise<unknown>, string][] = [
    [() => $schedules.interval("a", { every: 0 }), "Expected `every` to be 1 ms or longer, got 0"],
    [() => $schedules.interval("a", { every: "soon" }), "Expected `every` to be milliseconds, or words"],
    [() => $schedules.interval("a", {} as never), "Expected `every` to be milliseconds, or words"],
    [
      () => $schedules.interval("a", { every: 1, cron: "*" } as never),
      "Expected `interval option` to be one of",
    ],
    [() => $schedules.interval("", { every: 1 }), "Expected `method` to be a string of 1 to 1000 characters"],
    [() => $schedules.interval("a", { every: 1, name: "" }), "Expected `name` to be a string of 1 to 200"],
    [() => $schedules.interval("a", { every: 1, params: "x" as never }), "Expected `params` to be an array"],
    [() => $schedules.cron("a", {} as never), "Expected `cron` to be a cron expression, got undefined"],
    [() => $schedules.cron("a", { cron: "* * * * *", missed: "twice" as never }), "Expected `missed` to be"],
    [
      () => $schedules.interval("a", { every: 1, params: ["x".repeat(200)] }),
      "Expected `name` to be given, as method and params have more than 200 characters",
    ],
    [
      () => $schedules.interval("a", undefined as never),
      "Expected `interval options` to be an object with any of every, fromStart, name, params, priority, group, missed, got undefined",
    ],
    [() => $schedules.cron("a", "* * * * *" as never), "Expected `cron options` to be an object with any of"],
    [() => client.$limits.set("a", undefined as never), "Expected `limit options` to be an object"],
    [() => client.$failed.list(null as never), "Expected `failed options` to be an object"],
    [() => client.$failed.retryAll(null as never), "Expected `failed options` to be an object"],
    [async () => client.$with(null as never), "Expected `call options` to be an object with any of"],
    [() => $schedules.remove(""), "Expected `name` to be a string of 1 to 200 characters, got ''"],
  ];
  for (const [ask, message] of refused) {
    const error = await ask().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(OptionError);
    expect((error as Error).message).toContain(message);
  }
  expect(asked).toEqual([]);
  async function* items(): AsyncGenerator<number> {}
  const streamed = $schedules.interval("a", { every: 1, name: "n", params: [items()] });
  await expect(streamed).rejects.toThrow("Expected params that can be stored, got an async iterable");
  expect(asked).toEqual([]);
});

it("rejects with a conflict when the name stands for something else", async () => {
  const { client } = clientOf(() => {
    throw new ZeroTaskError("The schedule nightly is another one", ErrorCode.Conflict);
  });
  await expect(client.$schedules.cron("a", { cron: "* * * * *" })).rejects.toThrow(ConflictError);
});

it("has both clients manage the same, whatever options their calls have", async () => {
  const { dial } = fakeBroker(() => [state]);
  const later = new AsyncClient({ dial });
  onTestFinished(() => later.$close());
  expect(await later.$with({ batch: true }).$schedules.list()).toHaveLength(1);
});

it("replaces the limits that are given, and lifts those that are null", async () => {
  const { client, asked } = clientOf((method) =>
    method === "limits_set"
      ? { method: "a", concurrency: 3, per_group: { rate: "5/min" } }
      : [{ method: "a", concurrency: 3 }],
  );
  const limits = await client.$limits.set("a", { concurrency: 3, rate: null, perGroup: { rate: "5/min" } });
  expect(limits).toEqual({ concurrency: 3, perGroup: { rate: "5/min" } });
  await client.$limits.set("a", { perGroup: null });
  await client.$limits.set("a", { perGroup: {} });
  expect(await client.$limits.list()).toEqual([{ method: "a", concurrency: 3 }]);
  expect(asked.map(({ params }) => params)).toEqual([
    { method: "a", concurrency: 3, rate: null, per_group: { rate: "5/min" } },
    { method: "a", per_group: null },
    { method: "a", per_group: null },
    {},
  ]);
  await expect(client.$limits.set("a", { rate: "fast" as never })).rejects.toThrow(
    "Expected `rate` to be a rate like",
  );
  await expect(client.$limits.set("a", { perGroup: { atOnce: 1 } as never })).rejects.toThrow(OptionError);
});

it("gives failed tasks page by page, or all of them", async () => {
  const wire = {
    client_id: "c",
    method: "a",
    params: [1],
    status: "FAILED",
    attempt: 2,
    failures: 2,
    created_at: 1_000,
    settled_at: 2_000,
    error: { code: -32000, message: "too much", data: { name: "RangeError", message: "too much" } },
  };
  const { client, asked } = clientOf((_method, params) =>
    (params as { after?: string }).after === undefined
      ? { tasks: [{ ...wire, task_id: "c-1" }], next: "cursor" }
      : { tasks: [{ ...wire, task_id: "c-2" }], next: null },
  );
  const from = new Date(500);
  const { tasks, next } = await client.$failed.list({
    method: "a",
    from,
    to: 9_000,
    error: "much",
    limit: 1,
  });
  expect(next).toBe("cursor");
  expect(tasks[0]).toMatchObject({ id: "c-1", clientId: "c", attempts: 2, settledAt: new Date(2_000) });
  expect(tasks[0]?.error).toMatchObject({ name: "TaskFailedError", remoteName: "RangeError" });
  const ids: string[] = [];
  for await (const { id } of client.$failed.all({ method: "a" })) ids.push(id);
  expect(ids).toEqual(["c-1", "c-2"]);
  expect(asked.map(({ params }) => params)).toEqual([
    { method: "a", from: 500, to: 9_000, error: "much", limit: 1 },
    { method: "a" },
    { method: "a", after: "cursor" },
  ]);
});

it("retries all failed tasks, however many pages they are", async () => {
  const { client, asked } = clientOf((method, params) => {
    if (method === "failed_retry") return true;
    return (params as { after?: string }).after === "2"
      ? { retried: 5, next: null }
      : { retried: 100, next: "2" };
  });
  expect(await client.$failed.retryAll({ error: "much" })).toBe(105);
  expect(asked.map(({ params }) => params)).toEqual([{ error: "much" }, { error: "much", after: "2" }]);
  expect(await client.$failed.retry("c-1")).toBeUndefined();
  await expect(client.$failed.retry("")).rejects.toThrow(OptionError);
  await expect(client.$failed.list({ limit: 0 })).rejects.toThrow(
    "Expected `limit` to be a positive integer",
  );
  for (const wrong of [new Date("x"), Number.POSITIVE_INFINITY, Number.NaN, -1]) {
    await expect(client.$failed.list({ from: wrong })).rejects.toThrow("Expected `from` to be a Date");
  }
  await client.$failed.retryAll({ from: new Date(-5), to: 1_000.6 });
  expect(asked.at(-1)?.params).toMatchObject({ from: 0, to: 1_001 });
});

it("shows schedules in columns", async () => {
  const { client } = clientOf(() => [
    { ...state, every_ms: 5_400_000, from_start: true, paused: true },
    { ...state, name: "c", params: [], every_ms: null, cron: "0 3 * * *", next_at: null, running: true },
  ]);
  const schedules: Schedule[] = await client.$schedules.list();
  expect(scheduleTable(schedules)).toBe(
    [
      "NAME     RUNS                        WHEN                         NEXT                MADE  LAST",
      'nightly  images.resize("a.png", 10)  every 90 minutes from start  paused              3     FINISHED 2030-03-17T17:41:40.000Z',
      "c        images.resize               0 3 * * * UTC                when this run ends  3     runs since 2030-03-17T17:30:00.000Z",
      "",
    ].join("\n"),
  );
});
