import { expect, it, onTestFinished } from "vitest";
import {
  AsyncClient,
  Client,
  type ClientOptions,
  ConflictError,
  OptionError,
  TaskTimeoutError,
} from "zerotask-client";
import { type Dial, ErrorCode, type Params, systemRuntime, ZeroTaskError } from "zerotask-core";
import { fakeBroker, unknownTask } from "../support/fake-broker.ts";

const never = new Promise<never>(() => undefined);

interface Submission {
  readonly task_id: string;
  readonly options: { readonly [name: string]: unknown };
}

const submissionsTo = (asked: readonly { method: string; params: unknown }[]): Submission[] =>
  asked.filter(({ method }) => method === "client_new_task").map(({ params }) => params as Submission);

function laterOf(options: ClientOptions): AsyncClient {
  const later = new AsyncClient("tcp://127.0.0.1:5555", options);
  onTestFinished(() => later.$close());
  return later;
}

it("gives a batched submission's handle the id of the task it became, and that task's outcome", async () => {
  const { dial, asked } = fakeBroker((method, params) => {
    if (method === "client_new_task") return "other-1";
    if (method === "client_task_position") return { ahead: 2, eta_ms: null };
    return method === "client_task_status" ? "QUEUED" : { status: "FINISHED", result: params };
  });
  const later = laterOf({ dial });
  const handle = later.$with({ batch: true, at: "1 minute", priority: 3 }).refresh(7);
  expect(handle.id).toMatch(/-1$/);
  expect(await handle.accepted).toBe("memory");
  expect(handle.id).toBe("other-1");
  expect(submissionsTo(asked)).toEqual([
    {
      method: "refresh",
      params: [7],
      task_id: "1",
      // What it took to connect counts.
      options: { batch: true, delay_ms: expect.closeTo(60_000, -3), priority: 3, notify: false },
    },
  ]);
  expect(await handle.wait()).toEqual({ task_id: "other-1" });
  expect(await handle.status()).toBe("QUEUED");
  expect(await handle.position()).toEqual({ ahead: 2, etaMs: null });
});

it("joins the batch again when a broker that had it in memory was started anew, and waits for what that became", async () => {
  let submitted = 0;
  let onWaiting = (): void => undefined;
  const waiting = new Promise<void>((resolve) => {
    onWaiting = resolve;
  });
  const { dial, asked, restart } = fakeBroker((method, params) => {
    if (method === "client_new_task") return `batch-${++submitted}`;
    if ((params as { task_id: string }).task_id === "batch-2") return { status: "FINISHED", result: "done" };
    if (asked.filter((each) => each.method === method).length > 1) throw unknownTask();
    onWaiting();
    return never;
  });
  const handle = laterOf({ dial }).$with({ batch: "nightly" }).refresh();
  const outcome = handle.wait();
  await waiting;
  restart();
  expect(await outcome).toBe("done");
  expect(handle.id).toBe("batch-2");
  expect(submissionsTo(asked)).toHaveLength(2);
});

it("submits again what a broker had in memory when it was started anew, also where nobody waits for it", async () => {
  let submitted = 0;
  const { dial, asked, restart } = fakeBroker((method) => {
    if (method === "client_new_task") return ++submitted <= 2 ? "batch-1" : "batch-2";
    return method === "client_task_status" ? "QUEUED" : never;
  });
  const later = laterOf({ dial });
  const handles = [10, 20].map((priority) => later.$with({ batch: "nightly", priority }).refresh());
  for (const handle of handles) await handle.accepted;
  const waits = (): unknown[] => asked.filter(({ method }) => method === "client_task_wait");
  expect(waits()).toHaveLength(1);
  restart();
  await expect.poll(() => handles.map(({ id }) => id)).toEqual(["batch-2", "batch-2"]);
  expect(submissionsTo(asked).map(({ options }) => options.priority)).toEqual([10, 20, 10, 20]);
  expect(await handles[0]?.status()).toBe("QUEUED");
  restart();
  await expect.poll(() => submissionsTo(asked).length).toBe(6);
});

it("submits nothing again that has ended, whatever it is asked", async () => {
  const { dial, asked, restart } = fakeBroker((method) => {
    if (method === "client_new_task") return "batch-1";
    if (method === "client_task_wait") return { status: "FINISHED", result: 1 };
    throw unknownTask();
  });
  const handle = laterOf({ dial }).$with({ batch: "nightly" }).refresh();
  expect(await handle.wait()).toBe(1);
  restart();
  await expect(handle.status()).rejects.toThrow("No task has that id");
  await expect(handle.position()).rejects.toThrow("No task has that id");
  expect(await handle.wait()).toBe(1);
  expect(submissionsTo(asked)).toHaveLength(1);
});

it.each([{ batch: true }, { idempotencyKey: "order-17" }] as const)(
  "gives up on a call with %o that took too long, as the broker does",
  async (options) => {
    const { dial, asked, restart } = fakeBroker((method) => {
      if (method === "add") return 11;
      return method === "client_new_task" ? "other-1" : never;
    });
    const client = new Client({ dial });
    onTestFinished(() => client.$close());
    await expect(client.$with({ ...options, timeoutMs: 200 }).refresh()).rejects.toThrow(TaskTimeoutError);
    const before = asked.map(({ method, params }) => [
      method,
      (params as { timeout_ms?: number }).timeout_ms,
    ]);
    expect(before).toEqual([
      ["client_new_task", undefined],
      ["client_task_wait", 1_200],
    ]);
    restart();
    expect(await client.add(5, 6)).toBe(11);
    expect(asked.slice(2).map(({ method }) => method)).toEqual(["add"]);
  },
);

it("never submits a batched call that took too long before a broker was there", async () => {
  const { dial, asked } = fakeBroker(() => 11);
  let isThere = false;
  let giveUp = (): void => undefined;
  const absent: Dial = (endpoint, handlers) => {
    giveUp = handlers.onLost;
    return isThere
      ? dial(endpoint, handlers)
      : { send: () => undefined, limit: () => undefined, close: () => undefined };
  };
  const client = new Client({ dial: absent });
  onTestFinished(() => client.$close());
  await expect(client.$with({ batch: true, timeoutMs: 10 }).refresh()).rejects.toThrow(TaskTimeoutError);
  isThere = true;
  giveUp();
  expect(await client.add(5, 6)).toBe(11);
  expect(asked.map(({ method }) => method)).toEqual(["add"]);
});

it("never submits again what was on disk, or what the same broker has forgotten", async () => {
  for (const durability of ["disk", "memory"] as const) {
    const { dial, asked } = fakeBroker((method) => {
      if (method === "client_new_task") return "batch-1";
      if (submissionsTo(asked).length > 1) return { status: "FINISHED", result: "once more" };
      throw unknownTask();
    }, durability);
    const handle = laterOf({ dial }).$with({ batch: true }).refresh();
    await expect(handle.wait()).rejects.toThrow("No task has that id");
    expect(submissionsTo(asked)).toHaveLength(1);
  }
  let isWaiting = (): void => undefined;
  const waiting = new Promise<void>((resolve) => {
    isWaiting = resolve;
  });
  const stored = fakeBroker((method) => {
    if (method === "client_new_task") return "batch-1";
    if (stored.asked.filter((each) => each.method === method).length > 1) throw unknownTask();
    isWaiting();
    return never;
  }, "disk");
  const outcome = laterOf({ dial: stored.dial }).$with({ batch: true }).refresh().wait();
  await waiting;
  stored.restart();
  await expect(outcome).rejects.toThrow("No task has that id");
  expect(submissionsTo(stored.asked)).toHaveLength(1);
});

it("rejects all that a handle is asked when its submission is refused", async () => {
  const { dial } = fakeBroker(() => {
    throw new ZeroTaskError("The batch stands for something else", ErrorCode.Conflict);
  });
  const handle = laterOf({ dial }).$with({ batch: "nightly" }).refresh(7);
  for (const answer of [handle.accepted, handle.wait(), handle.status(), handle.position()]) {
    await expect(answer).rejects.toThrow(ConflictError);
  }
});

it("submits a batched call, and waits no longer than its timeout for what it became", async () => {
  const { dial, asked } = fakeBroker((method) =>
    method === "client_new_task" ? "other-1" : { status: "FINISHED", result: 42 },
  );
  const client = new Client({ dial, batch: true, timeoutMs: 5_000 });
  expect(await client.refresh(7)).toBe(42);
  expect(asked.map(({ method }) => method)).toEqual(["client_new_task", "client_task_wait"]);
  await client.$close();
  const slow = fakeBroker((method) => (method === "client_new_task" ? "other-1" : never));
  const impatient = new Client({ dial: slow.dial, batch: true, timeoutMs: 1, at: "1 day" });
  await expect(impatient.refresh(7)).rejects.toThrow(TaskTimeoutError);
  await impatient.$close();
});

it("sends the options of a call that is to run later along with it", async () => {
  const { dial, asked } = fakeBroker(() => 11);
  const client = new Client({ dial });
  const at = new Date("2030-01-01T00:00:00Z");
  expect(await client.$with({ at, priority: -5, group: "tenant-7", maxRetries: 3 }).add(5, 6)).toBe(11);
  expect(asked).toEqual([
    {
      method: "client_call",
      params: ["add", [5, 6], { at: at.getTime(), priority: -5, group: "tenant-7", max_retries: 3 }],
    },
  ]);
  await client.$close();
});

it("refuses a batch together with a key, and times that are none", () => {
  const { dial } = fakeBroker(() => null);
  const later = laterOf({ dial });
  expect(() => later.$with({ batch: true, idempotencyKey: "x" } as never)).toThrow(OptionError);
  expect(() => later.$with({ batch: true }).$with({ idempotencyKey: "x" })).toThrow(
    "Expected `batch` to be left out where there is an `idempotencyKey`, got true",
  );
  expect(() => later.$with({ at: "tomorrow-ish" })).toThrow("Expected `at` to be a Date");
  expect(() => later.$with({ priority: 101 })).toThrow(
    "Expected `priority` to be an integer from -100 to 100",
  );
  expect(() => new Client({ group: "" })).toThrow("Expected `group` to be a string of 1 to 200 characters");
});

it("puts a task off no further when it has to be submitted again", async () => {
  let now = 1_000_000;
  const runtime = { ...systemRuntime, now: () => now };
  let onSecond = (): void => undefined;
  const second = new Promise<void>((resolve) => {
    onSecond = resolve;
  });
  const { dial, asked, restart } = fakeBroker((_method, params: Params) => {
    if (submissionsTo(asked).length === 2) onSecond();
    return (params as unknown as Submission).task_id;
  });
  const handle = laterOf({ dial, runtime }).$with({ at: "1 minute" }).refresh();
  await handle.accepted;
  now += 20_000;
  restart();
  await second;
  expect(submissionsTo(asked).map(({ options }) => options.delay_ms)).toEqual([60_000, 40_000]);
});
