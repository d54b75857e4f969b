// Limits that clients set, tasks that failed, and places in a queue, on a clock that the test turns.
import { describe, expect, it } from "vitest";
import type { Effect } from "../../packages/broker/src/state/effect.ts";
import { call, type MachineOptions, machine } from "../support/broker-machine.ts";
import { drive } from "../support/driven.ts";

function setUp(options: MachineOptions = {}) {
  const driven = drive(machine({ hasDisk: true, stalledMs: 1e12, sessionTtlMs: 1e12, ...options }));
  const submit = (task_id: string, options: object = {}, method = "add"): unknown =>
    driven.ask("client_new_task", { method, params: [task_id], task_id, options });
  return { ...driven, submit };
}

/** What a client is answered, in order. */
function answersOf(effects: readonly Effect[]): unknown[] {
  const messages = effects.flatMap((effect) =>
    effect.type === "send" && effect.peer === "cli" && !("method" in effect.message) ? [effect.message] : [],
  );
  return messages.map((message) =>
    "error" in message ? message.error : (message as { result: unknown }).result,
  );
}

interface Page {
  readonly tasks: readonly { readonly task_id: string; readonly error: { readonly message: string } }[];
  readonly next: string | null;
}

describe("limits that a client sets", () => {
  it("hold at once, and let waiting tasks go when they are lifted", () => {
    const driven = setUp();
    driven.node();
    expect(driven.ask("limits_set", { method: "add", concurrency: 2 })).toEqual({
      method: "add",
      concurrency: 2,
    });
    for (let i = 0; i < 5; i++) driven.submit(`${i}`);
    const first = driven.started();
    expect(first).toHaveLength(2);
    driven.finish(first[0] ?? "");
    expect(driven.started()).toHaveLength(1);
    driven.ask("limits_set", { method: "add", concurrency: null });
    expect(driven.started()).toHaveLength(2);
    expect(driven.ask("limits_list", {})).toEqual([]);
  });

  it("change what is given, and leave the rest", () => {
    const { ask } = setUp();
    ask("limits_set", { method: "add", concurrency: 2, rate: "5/s" });
    ask("limits_set", { method: "add", per_group: { concurrency: 1 } });
    expect(ask("limits_set", { method: "add", rate: null })).toEqual({
      method: "add",
      concurrency: 2,
      per_group: { concurrency: 1 },
    });
  });

  it("come before what the method says, and outlive the broker", () => {
    const before = setUp();
    before.ask("limits_set", { method: "add", concurrency: 1 });
    const after = setUp({ stores: before.broker.stores, startAt: 5_000 });
    after.node(100, [{ name: "add", concurrency: 3, rate: "1/min" }]);
    for (let i = 0; i < 5; i++) after.submit(`${i}`);
    expect(after.started()).toHaveLength(1);
    expect(after.ask("limits_list", {})).toEqual([{ method: "add", concurrency: 1, rate: "1/min" }]);
  });

  it("leave what they don't mention to the method, and all of it once they are reset", () => {
    const driven = setUp();
    driven.node(100, [{ name: "add", concurrency: 3 }]);
    driven.ask("limits_set", { method: "add", rate: "100/min" });
    driven.broker.lost("worker");
    driven.node(100, [{ name: "add", concurrency: 5 }]);
    expect(driven.ask("limits_list", {})).toEqual([{ method: "add", concurrency: 5, rate: "100/min" }]);
    expect(driven.ask("limits_set", { method: "add", concurrency: null })).not.toHaveProperty("concurrency");
    expect(driven.ask("limits_reset", { method: "add" })).toEqual({ method: "add", concurrency: 5 });
  });

  it("begin with those of the method", () => {
    const driven = setUp();
    driven.node(100, [{ name: "add", concurrency: 3 }]);
    expect(driven.ask("limits_set", { method: "add", rate: "100/min" })).toMatchObject({ concurrency: 3 });
  });

  it.each([
    [{ concurrency: 0 }, "`concurrency`"],
    [{ rate: "fast" }, "`rate`"],
    [{ per_group: { size: 1 } }, "size"],
    [{ per_group: 5 }, "`per_group`"],
    [{ method: "" }, "`method`"],
    [{ method: "rpc.discover" }, "`method`"],
  ])("are refused where they are none: %j", (wrong, expected) => {
    const { ask } = setUp();
    ask("limits_set", { method: "add", concurrency: 2 });
    const error = ask("limits_set", { method: "add", ...wrong }) as { message: string };
    expect(error).toMatchObject({ code: -32602 });
    expect(error.message).toContain(expected);
    expect(ask("limits_list", {})).toEqual([{ method: "add", concurrency: 2 }]);
  });
});

describe("failed tasks", () => {
  const failSome = (driven: ReturnType<typeof setUp>, count: number): void => {
    for (let i = 0; i < count; i++) {
      driven.submit(`${i}`);
      driven.fail(driven.started()[0] ?? "", `number ${i}`);
      driven.after(10);
    }
  };

  const list = (driven: ReturnType<typeof setUp>, filter: object = {}): Page =>
    driven.ask("failed_list", filter) as Page;

  it("are listed, the last first, page by page, from both stores", () => {
    const driven = setUp();
    driven.node();
    driven.submit("volatile", { durability: "memory" });
    driven.fail(driven.started()[0] ?? "");
    failSome(driven, 5);
    driven.submit("fine");
    driven.finish(driven.started()[0] ?? "");
    const ids: string[] = [];
    let after: string | null = null;
    do {
      const page: Page = list(driven, { limit: 2, ...(after !== null && { after }) });
      ids.push(...page.tasks.map(({ task_id }) => task_id));
      after = page.next;
    } while (after !== null);
    expect(ids).toEqual(["cli-4", "cli-3", "cli-2", "cli-1", "cli-0", "cli-volatile"]);
  });

  it("are found by method, time and error", () => {
    const driven = setUp();
    driven.node(100, ["add", "sub"]);
    failSome(driven, 3);
    driven.submit("other", {}, "sub");
    driven.fail(driven.started()[0] ?? "");
    const messages = (filter: object): string[] =>
      list(driven, filter).tasks.map(({ error }) => error.message);
    expect(messages({ method: "sub" })).toEqual(["no"]);
    expect(messages({ error: "ber 1" })).toEqual(["number 1"]);
    expect(messages({ from: 1_010, to: 1_030 })).toEqual(["number 2", "number 1"]);
  });

  it("are kept when nobody waited for them, and for as long as `failedTtlMs` says", () => {
    const driven = setUp({ failedTtlMs: 100_000, resultTtlMs: 1_000, replayMs: 1_000 });
    driven.node();
    driven.submit("a", { discard: true });
    driven.fail(driven.started()[0] ?? "");
    driven.after(99_000);
    expect(list(driven).tasks).toHaveLength(1);
    driven.after(2_000);
    expect(list(driven).tasks).toEqual([]);
  });

  it("run again when they are retried, as if nothing had failed yet", () => {
    const driven = setUp();
    driven.node();
    driven.submit("a", { retries: 1, backoff: { initial_ms: 0 } });
    for (let run = 0; run < 2; run++) {
      driven.fail(driven.started()[0] ?? "");
      driven.after(1);
    }
    expect(driven.ask("client_task_status", { task_id: "cli-a" })).toBe("FAILED");
    expect(driven.ask("failed_retry", { task_id: "cli-a" })).toBe(true);
    expect(list(driven).tasks).toEqual([]);
    const [third = ""] = driven.started();
    expect(third).toBe("cli-a#3");
    driven.fail(third);
    driven.after(1);
    const [fourth = ""] = driven.started();
    driven.finish(fourth);
    expect(driven.ask("client_task_result", { task_id: "cli-a" })).toBe(3);
    expect(driven.broker.counts.unsettled).toBe(0);
  });

  it("are retried all at once, those that a filter names", () => {
    const driven = setUp();
    driven.node();
    failSome(driven, 4);
    expect(driven.ask("failed_retry_all", { error: "number 2" })).toEqual({ retried: 1, next: "memory/" });
    expect(driven.started()).toEqual(["cli-2#2"]);
    expect(driven.ask("failed_retry_all", {})).toMatchObject({ retried: 3 });
    expect(driven.started()).toHaveLength(3);
    expect(driven.ask("failed_retry_all", { after: "memory/" })).toEqual({ retried: 0, next: null });
  });

  it("are put back once, however often that is asked for at the same time", () => {
    const driven = setUp();
    driven.node();
    failSome(driven, 1);
    driven.broker.holdStores();
    driven.ask("failed_retry", { task_id: "cli-0" });
    driven.ask("failed_retry_all", {});
    driven.ask("failed_retry", { task_id: "cli-0" });
    driven.broker.storeAll();
    driven.after(1);
    expect(driven.broker.counts.unsettled).toBe(1);
    driven.finish("cli-0#2");
    expect(driven.broker.counts.unsettled).toBe(0);
  });

  it("are put back after a restart, too, and survive one when they were", () => {
    const before = setUp();
    before.node();
    failSome(before, 2);
    before.ask("failed_retry", { task_id: "cli-0" });
    const after = setUp({ stores: before.broker.stores, startAt: 50_000 });
    expect(after.ask("failed_retry", { task_id: "cli-1" })).toBe(true);
    after.node();
    after.after(2_000);
    expect(after.started().sort()).toEqual(["cli-0#2", "cli-1#2"]);
  });

  const askAtOnce = (driven: ReturnType<typeof setUp>, ...asked: [string, object][]): unknown[] =>
    answersOf(
      driven.broker.from(
        "cli",
        asked.map(([method, params], i) => call(`zerotask.broker.${method}`, `q${i}`, params)),
      ),
    );

  it("are gone where their outcome was taken away just before", () => {
    const driven = setUp();
    driven.node();
    failSome(driven, 1);
    const answers = askAtOnce(
      driven,
      ["client_task_result", { task_id: "0" }],
      ["failed_retry", { task_id: "cli-0" }],
    );
    expect(answers).toMatchObject([
      { code: -32000 },
      { code: -32020, message: 'No task has the id "cli-0"' },
    ]);
    expect(driven.broker.counts.unsettled).toBe(0);
    expect(driven.started()).toEqual([]);
  });

  it("run though their outcome was taken away just after", () => {
    const driven = setUp();
    driven.node();
    failSome(driven, 1);
    const answers = askAtOnce(
      driven,
      ["failed_retry", { task_id: "cli-0" }],
      ["client_task_result", { task_id: "0" }],
    );
    expect(answers).toMatchObject([{ code: -32000 }, true]);
    driven.after(1);
    expect(driven.ask("client_task_status", { task_id: "cli-0" })).toBe("ASSIGNED");
    driven.finish("cli-0#2");
    expect(driven.ask("client_task_result", { task_id: "cli-0" })).toBe(3);
    expect(driven.broker.counts.unsettled).toBe(0);
  });

  it("are gone where they went over their time meanwhile", () => {
    const driven = setUp({ failedTtlMs: 100_000, resultTtlMs: 1_000, replayMs: 1_000 });
    driven.node();
    failSome(driven, 2);
    driven.broker.holdStores();
    driven.ask("failed_retry", { task_id: "cli-0" });
    driven.ask("failed_retry_all", {});
    driven.after(200_000);
    expect(answersOf(driven.broker.storeAll())).toMatchObject([
      { code: -32020 },
      { retried: 0, next: "memory/" },
    ]);
    expect(driven.broker.counts.unsettled).toBe(0);
  });

  it("are retried as far as there is room, and the rest when there is some again", () => {
    const driven = setUp({ maxStoredTasks: 2 });
    driven.node();
    failSome(driven, 5);
    expect(driven.ask("failed_retry_all", {})).toEqual({ retried: 2, next: "disk/" });
    expect(driven.ask("failed_retry_all", { after: "disk/" })).toMatchObject({ code: -32060 });
    for (const attempt of driven.started()) driven.finish(attempt);
    expect(driven.ask("failed_retry_all", { after: "disk/" })).toEqual({ retried: 2, next: "disk/" });
    for (const attempt of driven.started()) driven.finish(attempt);
    expect(driven.ask("failed_retry_all", { after: "disk/" })).toEqual({ retried: 1, next: "memory/" });
    expect(list(driven).tasks).toEqual([]);
  });

  it("are none while they run, or went well", () => {
    const driven = setUp();
    driven.node();
    driven.submit("a");
    expect(driven.ask("failed_retry", { task_id: "cli-a" })).toMatchObject({
      code: -32020,
      message: expect.stringContaining("FAILED or EXPIRED"),
    });
    expect(driven.ask("failed_retry", { task_id: "none" })).toMatchObject({ code: -32020 });
    expect(driven.ask("failed_list", { after: "5" })).toMatchObject({ code: -32602 });
    expect(driven.ask("failed_list", { after: "disk/1:2:3" })).toMatchObject({ code: -32602 });
  });
});

describe("a task's position", () => {
  const position = (driven: ReturnType<typeof setUp>, id: string): unknown =>
    driven.ask("client_task_position", { task_id: `cli-${id}` });

  it("counts those before it, and tells when it will begin from what runs took", () => {
    const driven = setUp();
    driven.node(2);
    for (let i = 0; i < 8; i++) driven.submit(`${i}`);
    expect(position(driven, "0")).toEqual({ ahead: 0, eta_ms: 0 });
    expect(position(driven, "5")).toEqual({ ahead: 3, eta_ms: null });
    driven.after(1_000);
    for (const attempt of driven.started()) driven.finish(attempt);
    expect(position(driven, "5")).toEqual({ ahead: 1, eta_ms: 1_000 });
    expect(position(driven, "7")).toEqual({ ahead: 3, eta_ms: 2_000 });
    expect(position(driven, "0")).toEqual({ ahead: 0, eta_ms: 0 });
  });

  it("knows of priorities, groups and limits", () => {
    const driven = setUp();
    driven.node(1);
    driven.submit("runs");
    for (let i = 0; i < 3; i++) driven.submit(`a${i}`, { group: "a" });
    driven.submit("b0", { group: "b" });
    driven.submit("b1", { group: "b", priority: 1 });
    expect(position(driven, "b1")).toMatchObject({ ahead: 1 });
    expect(position(driven, "b0")).toMatchObject({ ahead: 3 });
    expect(position(driven, "a2")).toMatchObject({ ahead: 4 });
  });

  it("of a task that only the store has is counted there", () => {
    const driven = setUp();
    for (let i = 0; i < 5; i++) driven.submit(`${i}`);
    expect(position(driven, "3")).toEqual({ ahead: 3, eta_ms: null });
  });

  it("of a delayed one is its time", () => {
    const driven = setUp();
    driven.submit("later", { delay_ms: 5_000 });
    driven.after(1_000);
    expect(position(driven, "later")).toEqual({ ahead: 0, eta_ms: 4_000 });
  });

  it("goes by the limits of its group, too", () => {
    const driven = setUp();
    driven.node(10, [{ name: "add", per_group: { concurrency: 1 } }]);
    driven.submit("first", { group: "a" });
    driven.after(1_000);
    for (const attempt of driven.started()) driven.finish(attempt);
    for (let i = 0; i < 4; i++) driven.submit(`a${i}`, { group: "a" });
    expect(driven.started()).toEqual(["cli-a0#1"]);
    expect(position(driven, "a1")).toEqual({ ahead: 0, eta_ms: 1_000 });
    expect(position(driven, "a3")).toEqual({ ahead: 2, eta_ms: 3_000 });
    driven.ask("limits_set", { method: "add", per_group: { concurrency: 1, rate: "1/min" } });
    expect(position(driven, "a3")).toEqual({ ahead: 2, eta_ms: 120_000 });
  });

  it("has no time while nothing serves the method", () => {
    const driven = setUp();
    driven.node();
    driven.submit("a");
    driven.after(1_000);
    driven.finish(driven.started()[0] ?? "");
    driven.broker.from("worker", call("zerotask.broker.node_disconnect", "bye", { node_id: "worker" }));
    driven.submit("b");
    expect(position(driven, "b")).toEqual({ ahead: 0, eta_ms: null });
  });

  it("is an error where the store can't count", () => {
    const driven = setUp();
    driven.submit("a");
    const effects: Effect[] = [];
    driven.broker.stores.disk.countBefore = () => {
      effects.push(...driven.broker.handle({ type: "store-failed", level: "disk", reason: "it is full" }));
      return 0;
    };
    position(driven, "a");
    expect(answersOf(effects)).toMatchObject([{ message: expect.stringContaining("it is full") }]);
  });

  it("of an unknown one is an error", () => {
    expect(position(setUp(), "none")).toMatchObject({ code: -32020 });
  });
});
