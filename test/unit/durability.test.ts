import { describe, expect, it } from "vitest";
import type { Effect } from "../../packages/broker/src/state/effect.ts";
import { answer, call, type Machine, machine, send, sends } from "../support/broker-machine.ts";

const newTask = (task_id: string, options: object = {}, more: object = {}): object =>
  call("zerotask.broker.client_new_task", `s${task_id}`, {
    method: "add",
    params: [1],
    task_id,
    options,
    ...more,
  });
const accepted = (id: string): object => send("c", { id: `s${id}`, result: `c-${id}` });
const assigned = (id: string, peer = "n"): object => send(peer, { method: "add", params: [1], id });
const settled = (id: string, outcome: object): object =>
  send("c", { method: "zerotask.client.task_settled", params: { task_id: `c-${id}`, ...outcome } });
const statusOf = (broker: Machine, id: string): unknown =>
  broker.from("c", call("zerotask.broker.client_task_status", "st", [`c`, id]));

/** What nodes are given to run. */
const given = (effects: readonly Effect[]): Effect[] =>
  sends(effects).filter(
    (effect) => effect.type === "send" && "method" in effect.message && "id" in effect.message,
  );

/** A broker with a disk, a client and a node. */
function onDisk(options: Parameters<typeof machine>[0] = {}, slots = 1): Machine {
  const broker = machine({ hasDisk: true, ...options });
  broker.client("c");
  broker.node("n", ["add"], slots);
  return broker;
}

/** The same data, another run of the broker. */
function restarted(before: Machine, options: Parameters<typeof machine>[0] = {}): Machine {
  return machine({ hasDisk: true, stores: before.stores, startAt: 100_000, ...options });
}

describe("a submitted task", () => {
  it("is neither acknowledged nor run before it is stored", () => {
    const broker = onDisk();
    broker.holdStores();
    expect(sends(broker.from("c", newTask("1")))).toEqual([]);
    expect(broker.stores.disk.get(["c-1"])).toEqual([]);
    expect(sends(broker.storeAll())).toEqual([accepted("1"), assigned("c-1#1")]);
    expect(broker.stores.disk.get(["c-1"])).toMatchObject([{ status: "QUEUED", params: "[1]" }]);
  });

  it("has no outcome that anybody hears of before that is stored", () => {
    const broker = onDisk();
    broker.from("c", newTask("1", { notify: true }));
    const wait = call("zerotask.broker.client_task_wait", "w", ["c-1"]);
    broker.from("c", wait);
    broker.holdStores();
    expect(sends(broker.from("n", answer("c-1#1", 11)))).toEqual([]);
    expect(sends(statusOf(broker, "1") as never[])).toEqual([]);
    expect(sends(broker.storeAll())).toEqual([
      settled("1", { status: "FINISHED", result: 11 }),
      send("c", { id: "w", result: { task_id: "c-1", status: "FINISHED", result: 11 } }),
      send("c", { id: "st", result: "FINISHED" }),
    ]);
  });

  it("leaves its node room for the next before its outcome is stored", () => {
    const broker = onDisk();
    broker.from("c", [newTask("1"), newTask("2")]);
    broker.holdStores();
    expect(sends(broker.from("n", answer("c-1#1", 11)))).toEqual([assigned("c-2#1")]);
  });

  it("goes to memory when that is asked for, and is gone with it", () => {
    const broker = onDisk();
    broker.from("c", newTask("1", { durability: "memory" }));
    expect(broker.stores.disk.get(["c-1"])).toEqual([]);
    expect(broker.stores.memory.get(["c-1"])).toHaveLength(1);
  });

  it("is acknowledged by a broker without a disk, which says what it is", () => {
    const broker = machine();
    const hello = { client_id: "c", token: "t", protocol: 2 };
    expect(broker.from("c", call("zerotask.broker.client_connect", 1, hello))).toMatchObject([
      { message: { result: { durability: "memory" } } },
    ]);
    expect(
      onDisk().from("d", call("zerotask.broker.client_connect", 1, { ...hello, client_id: "d" })),
    ).toMatchObject([{ message: { result: { durability: "disk" } } }]);
  });

  it("is in the store alone while nobody serves its method, and comes back in order", () => {
    const broker = machine({ hasDisk: true });
    broker.client("c");
    for (const id of ["1", "2", "3"]) broker.from("c", newTask(id));
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 3 });
    expect(sends(broker.node("n", ["add"], 2)).slice(1)).toEqual([assigned("c-1#1"), assigned("c-2#1")]);
    expect(sends(broker.from("n", answer("c-1#1", 0)))).toEqual([assigned("c-3#1")]);
  });

  it("waits behind those that were left to the store before it", () => {
    const broker = machine({ hasDisk: true });
    broker.client("c");
    broker.from("c", newTask("1"));
    broker.holdStores();
    broker.node("n", ["add"], 1);
    broker.from("c", newTask("2"));
    expect(sends(broker.storeAll())).toEqual([assigned("c-1#1"), accepted("2")]);
    expect(sends(broker.from("n", answer("c-1#1", 0)))).toEqual([assigned("c-2#1")]);
  });

  it("can be stopped, looked at and waited for while only the store has it", () => {
    const broker = machine({ hasDisk: true });
    broker.client("c");
    broker.from("c", newTask("1"));
    expect(statusOf(broker, "1")).toEqual([send("c", { id: "st", result: "QUEUED" })]);
    expect(broker.from("c", call("zerotask.broker.client_task_wait", "w", ["c-1"]))).toEqual([]);
    expect(broker.from("c", call("zerotask.broker.client_task_stop", "x", ["c-1"]))).toMatchObject([
      { message: { id: "w", result: { status: "STOPPED", error: { code: -32040 } } } },
      { message: { id: "x", result: "STOPPED" } },
    ]);
    expect(statusOf(broker, "1")).toEqual([send("c", { id: "st", result: "STOPPED" })]);
    expect(sends(broker.node("n", ["add"], 2))).toHaveLength(1);
  });
});

describe("after a restart", () => {
  it("goes on with what was queued, once nodes had time to come back", () => {
    const before = onDisk();
    before.from("c", [newTask("1"), newTask("2")]);
    const broker = restarted(before);
    expect(broker.counts.unsettled).toBe(2);
    expect(sends(broker.node("other", ["add"], 5))).toHaveLength(1);
    expect(given(broker.after(1_499))).toEqual([]);
    expect(sends(broker.after(1))).toContainEqual(assigned("c-1#1", "other"));
  });

  it("lets a node go on with what it is still running, and does not run it twice", () => {
    const before = onDisk();
    before.from("c", newTask("1", { notify: true }));
    const broker = restarted(before);
    const [welcome] = broker.node("n", ["add"], 1, { running: ["c-1#1"] });
    expect(welcome).toMatchObject({ message: { result: { abort: [] } } });
    broker.node("other", ["add"], 1);
    expect(given(broker.after(5_000))).toEqual([]);
    broker.client("c");
    expect(broker.from("n", answer("c-1#1", 11))).toEqual([settled("1", { status: "FINISHED", result: 11 })]);
  });

  it("lets one of two nodes that claim the same task go on, and tells the other to give up", () => {
    const before = onDisk();
    before.from("c", newTask("1"));
    const broker = restarted(before);
    const welcomes = ["n", "m"].flatMap((name) => broker.node(name, ["add"], 1, { running: ["c-1#1"] }));
    expect(welcomes).toMatchObject([
      { message: { result: { abort: [] } } },
      { message: { result: { abort: ["c-1#1"] } } },
    ]);
  });

  it("refuses a run that was known to be lost before", () => {
    const before = onDisk();
    before.from("c", newTask("1"));
    before.lost("n");
    const broker = restarted(before);
    expect(sends(broker.node("n", ["add"], 1, { running: ["c-1#1"] }))[0]).toMatchObject({
      message: { result: { abort: ["c-1#1"] } },
    });
    // It goes on at once: its node is known not to run it.
    expect(statusOfForeign(broker)).toBe("ASSIGNED");
    function statusOfForeign(of: Machine): unknown {
      of.client("d");
      const [effect] = of.from("d", call("zerotask.broker.client_task_get", 1, ["c-1"])) as {
        message: { result: { status: string } };
      }[];
      return effect?.message.result.status;
    }
  });

  it("knows a task by its id, and tells its outcome to the client that submits it again", () => {
    const before = onDisk();
    before.from("c", newTask("1", { notify: true }));
    before.from("n", answer("c-1#1", 11));
    const broker = restarted(before);
    broker.client("c");
    broker.node("n", ["add"], 1);
    expect(broker.from("c", newTask("1", { notify: true }))).toEqual([
      accepted("1"),
      settled("1", { status: "FINISHED", result: 11 }),
    ]);
  });

  it("still knows who its clients are", () => {
    const before = onDisk();
    before.from("c", newTask("1"));
    const broker = restarted(before);
    const stranger = { client_id: "c", token: "invented", protocol: 2 };
    expect(broker.from("x", call("zerotask.broker.client_connect", 1, stranger))).toMatchObject([
      { message: { error: { code: -32010 } } },
    ]);
    broker.client("c");
    broker.from("c", call("zerotask.broker.client_disconnect", 1, {}));
    expect(restarted(broker).counts.sessions).toBe(0);
  });

  it("does not let a task expire that a node may be running", () => {
    const before = onDisk();
    before.from("c", newTask("1", { expires_ms: 300 }));
    const broker = restarted(before);
    broker.after(1_000);
    const [welcome] = sends(broker.node("n", ["add"], 1, { running: ["c-1#1"] }));
    expect(welcome).toMatchObject({ message: { result: { abort: [] } } });
    broker.after(5_000);
    broker.client("c");
    expect(statusOf(broker, "1")).toEqual([send("c", { id: "st", result: "RUNNING" })]);
  });

  it("counts the nodes that a task was lost with before", () => {
    let broker = onDisk({ redeliveries: 1 });
    broker.from("c", newTask("1"));
    broker.lost("n");
    broker = restarted(broker, { redeliveries: 1 });
    broker.client("c");
    broker.node("n", ["add"], 1);
    broker.after(1_500);
    expect(statusOf(broker, "1")).toEqual([send("c", { id: "st", result: "ASSIGNED" })]);
    broker.lost("n");
    expect(statusOf(broker, "1")).toEqual([send("c", { id: "st", result: "FAILED" })]);
  });
});

describe("when the store fails", () => {
  it("acknowledges nothing that is not stored, and refuses what it would have to store", () => {
    const broker = onDisk();
    broker.from("c", newTask("1", { notify: true }));
    broker.holdStores();
    broker.from("c", newTask("2"));
    broker.from("n", answer("c-1#1", 11));
    const effects = sends(broker.handle({ type: "store-failed", level: "disk", reason: "disk is full" }));
    const error = { code: -32062, message: "The broker can't store tasks any more: disk is full" };
    expect(effects).toEqual([send("c", { id: "s2", error })]);
    expect(sends(broker.from("c", newTask("3")))).toEqual([send("c", { id: "s3", error })]);
    statusOf(broker, "1");
    expect(sends(broker.storeAll())).toEqual([send("c", { id: "st", error })]);
  });

  it("goes on with calls, and with what is in memory", () => {
    const broker = onDisk();
    broker.handle({ type: "store-failed", level: "disk", reason: "I/O error" });
    expect(sends(broker.from("c", call("add", 9)))).toEqual([send("n", { method: "add", id: "c-9#1" })]);
    broker.from("n", answer("c-9#1", 1));
    expect(sends(broker.from("c", newTask("1", { durability: "memory" })))).toEqual([
      accepted("1"),
      assigned("c-1#1"),
    ]);
  });

  it("assigns nothing of it any more", () => {
    const broker = onDisk();
    broker.from("c", [newTask("1"), newTask("2")]);
    broker.handle({ type: "store-failed", level: "disk", reason: "I/O error" });
    expect(sends(broker.from("n", answer("c-1#1", 1)))).toEqual([]);
    expect(broker.counts.tasks).toBe(0);
  });
});

describe("retries", () => {
  it("runs a failed task again after its backoff, as often as it may", () => {
    const broker = onDisk();
    const backoff = { initial_ms: 100, factor: 3, jitter: 0 };
    broker.from("c", newTask("1", { retries: 2, backoff, notify: true }));
    const fails = { jsonrpc: "2.0", error: { code: -32000, message: "no" } };
    expect(sends(broker.from("n", { ...fails, id: "c-1#1" }))).toEqual([]);
    expect(statusOf(broker, "1")).toEqual([send("c", { id: "st", result: "SCHEDULED" })]);
    expect(broker.stores.disk.get(["c-1"])).toMatchObject([{ failures: 1, attempt: 1, dueAt: 1_100 }]);
    expect(sends(broker.after(99))).toEqual([]);
    expect(sends(broker.after(1))).toEqual([assigned("c-1#2")]);
    broker.from("n", { ...fails, id: "c-1#2" });
    expect(sends(broker.after(299))).toEqual([]);
    expect(sends(broker.after(1))).toEqual([assigned("c-1#3")]);
    expect(broker.from("n", { ...fails, id: "c-1#3" })).toEqual([
      settled("1", { status: "FAILED", error: fails.error }),
    ]);
  });

  it("keeps a retry that is not due over a restart", () => {
    const before = onDisk();
    before.from("c", newTask("1", { retries: 1, backoff: { initial_ms: 60_000, jitter: 0 } }));
    before.from("n", { jsonrpc: "2.0", id: "c-1#1", error: { code: -32000, message: "no" } });
    const broker = restarted(before, { startAt: 30_000 });
    broker.node("n", ["add"], 1);
    expect(given(broker.after(30_999))).toEqual([]);
    expect(sends(broker.after(1))).toContainEqual(assigned("c-1#2"));
  });

  it("retries calls, too, going by what the node said of the method", () => {
    const broker = machine();
    broker.client("c");
    const flaky = { name: "add", retries: 1, backoff: { initial_ms: 50, jitter: 1 } };
    broker.from(
      "n",
      call("zerotask.broker.node_connect", 1, { protocol: 2, node_id: "n", methods: [flaky], slots: 1 }),
    );
    broker.from("c", call("add", 1));
    expect(
      sends(broker.from("n", { jsonrpc: "2.0", id: "c-1#1", error: { code: -32000, message: "no" } })),
    ).toEqual([]);
    expect(sends(broker.after(25))).toEqual([send("n", { method: "add", id: "c-1#2" })]);
    expect(broker.from("n", answer("c-1#2", 1))).toEqual([send("c", { id: 1, result: 1 })]);
  });

  it("does not retry what no other run could change", () => {
    const broker = onDisk();
    broker.from("c", newTask("1", { retries: 5, notify: true }));
    const error = { code: -32602, message: "Invalid params" };
    expect(broker.from("n", { jsonrpc: "2.0", id: "c-1#1", error })).toEqual([
      settled("1", { status: "FAILED", error }),
    ]);
  });
});

describe("deadlines", () => {
  it("ends a run that takes too long, and tells the node", () => {
    const broker = onDisk();
    broker.from("c", newTask("1", { timeout_ms: 200, notify: true }));
    expect(sends(broker.after(199))).toEqual([]);
    expect(sends(broker.after(1))).toMatchObject([
      { peer: "n", message: { method: "zerotask.node.task_abort", params: { id: "c-1#1" } } },
      { peer: "c", message: { params: { status: "EXPIRED", error: { code: -32041 } } } },
    ]);
    expect(broker.from("n", answer("c-1#1", "late"))).toEqual([]);
    expect(broker.counts.refusedAnswers).toBe(1);
  });

  it("runs it again when it may", () => {
    const broker = onDisk();
    broker.from("c", newTask("1", { timeout_ms: 200, retries: 1, backoff: { initial_ms: 10, jitter: 0 } }));
    const stop = { method: "zerotask.node.task_stop", params: { id: "c-1#1", grace_ms: 5_000 } };
    expect(sends(broker.after(200))).toMatchObject([{ peer: "n", message: stop }]);
    expect(sends(broker.after(700))).toEqual([]);
    const error = { code: -32040, message: "The task was stopped", data: { how: "cooperative" } };
    broker.from("n", { jsonrpc: "2.0", id: "c-1#1", error });
    expect(sends(broker.after(10))).toMatchObject([{ message: { id: "c-1#2", meta: { timeout_ms: 200 } } }]);
  });

  it.each([
    ["held in memory", true],
    ["left to the store", false],
  ])("ends a task that waits too long for its first run, %s", (_where, isHeld) => {
    const broker = machine({ hasDisk: true });
    broker.client("c");
    if (isHeld) {
      broker.node("n", ["add"], 1);
      broker.from("c", newTask("0"));
    }
    broker.from("c", newTask("1", { expires_ms: 300, notify: true }));
    expect(sends(broker.after(299))).toEqual([]);
    expect(sends(broker.after(1))).toMatchObject([
      { peer: "c", message: { params: { task_id: "c-1", status: "EXPIRED", error: { code: -32041 } } } },
    ]);
  });

  it("lets a task run on that began in time", () => {
    const broker = onDisk();
    broker.from("c", newTask("1", { expires_ms: 300 }));
    broker.after(900);
    expect(statusOf(broker, "1")).toEqual([send("c", { id: "st", result: "ASSIGNED" })]);
  });
});

describe("idempotency keys", () => {
  const keyed = (id: string, more: object = {}): object => newTask(id, { idempotency_key: "k" }, more);
  const result = (peer: string, id: string): object => send(peer, { id: `s${id}`, result: "key:k" });

  it("make two submissions one task, whoever sends them, also after it is settled", () => {
    const broker = onDisk({}, 5);
    broker.client("d");
    expect(sends(broker.from("c", keyed("1")))).toEqual([result("c", "1"), assigned("key:k#1")]);
    expect(sends(broker.from("d", keyed("9")))).toEqual([result("d", "9")]);
    broker.from("n", answer("key:k#1", 11));
    expect(sends(broker.from("d", keyed("10")))).toEqual([result("d", "10")]);
  });

  it("conflict when they come with something else", () => {
    const broker = onDisk();
    broker.from("c", keyed("1"));
    const conflict = [{ message: { error: { code: -32021 } } }];
    expect(broker.from("c", keyed("2", { params: [2] }))).toMatchObject(conflict);
    broker.from("n", answer("key:k#1", 11));
    expect(broker.from("c", keyed("3", { method: "sub" }))).toMatchObject(conflict);
  });

  it("hold for memory and disk alike: what has a key is stored as safely as can be", () => {
    const broker = onDisk({}, 5);
    broker.from("c", newTask("1", { idempotency_key: "k", durability: "memory" }));
    expect(broker.stores.memory.get(["key:k"])).toEqual([]);
    expect(sends(broker.from("c", keyed("2")))).toEqual([result("c", "2")]);
  });

  it("can't be reached by a client id", () => {
    const broker = machine();
    const hello = { client_id: "key:k", token: "t", protocol: 2 };
    expect(broker.from("c", call("zerotask.broker.client_connect", 1, hello))).toMatchObject([
      { message: { error: { code: -32010 } } },
    ]);
  });
});

describe("bounds", () => {
  const busy = { message: { error: { code: -32060, data: { retry_after_ms: 1_000 } } } };

  it.each([
    ["tasks of one client", { maxClientTasks: 1 }],
    ["bytes of one client", { maxClientBytes: 5 }],
    ["tasks on disk", { maxStoredTasks: 1 }],
    ["bytes on disk", { maxStoredBytes: 5 }],
  ])("refuses more %s, and takes more when there is room again", (_what, bound) => {
    const broker = onDisk(bound);
    expect(broker.from("c", newTask("1"))[0]).toEqual(accepted("1"));
    expect(broker.from("c", newTask("2"))).toMatchObject([busy]);
    broker.from("n", answer("c-1#1", 0));
    expect(broker.from("c", newTask("2"))[0]).toEqual(accepted("2"));
  });

  it.each([
    ["calls", { maxTasks: 1 }],
    ["bytes of calls", { maxTaskBytes: 100 }],
  ])("refuses more %s", (_what, bound) => {
    const broker = onDisk(bound);
    const big = "x".repeat(60);
    broker.from("c", call("add", 1, [big]));
    expect(broker.from("c", call("add", 2, [big]))).toMatchObject([busy]);
  });

  it("refuses more waiting requests, and forgets those of a client that leaves", () => {
    const broker = onDisk({ maxWaiters: 2 });
    broker.from("c", newTask("1"));
    const wait = (id: number): object => call("zerotask.broker.client_task_wait", id, ["c-1"]);
    broker.from("c", [wait(1), wait(2), wait(1)]);
    expect(broker.from("c", wait(3))).toMatchObject([busy]);
    broker.from("c", call("zerotask.broker.client_disconnect", 1, {}));
    expect(broker.counts.waiters).toBe(0);
  });

  it("takes nothing more while the broker is about to stop, and settles what runs", () => {
    const broker = onDisk();
    broker.from("c", newTask("1", { notify: true }));
    broker.handle({ type: "drain" });
    expect(broker.from("c", newTask("2"))).toMatchObject([busy]);
    expect(broker.from("c", call("add", 3))).toMatchObject([busy]);
    expect(broker.from("n", answer("c-1#1", 1))).toEqual([settled("1", { status: "FINISHED", result: 1 })]);
  });
});
