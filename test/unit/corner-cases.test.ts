// What once went wrong: two stores, late answers of a store, peers that leave meanwhile, numbers without bounds.
import { describe, expect, it } from "vitest";
import { retryDelay } from "../../packages/core/src/protocol/retry.ts";
import { answer, call, type Machine, machine, send, sends } from "../support/broker-machine.ts";

const command = (name: string, id: string, params: unknown): object =>
  call(`zerotask.broker.${name}`, id, params);
const newTask = (task_id: string, options: object = {}): object =>
  command("client_new_task", `s${task_id}`, { method: "add", params: [1], task_id, options });
const statusOf = (broker: Machine, id: string): unknown =>
  (
    broker.from("d", command("client_task_get", "g", [id])) as { message: { result?: { status: string } } }[]
  )[0]?.message.result?.status;

function onDisk(options: Parameters<typeof machine>[0] = {}): Machine {
  const broker = machine({ hasDisk: true, ...options });
  broker.client("c");
  broker.client("d");
  return broker;
}

it("waits for a number of milliseconds before a retry, whatever the backoff", () => {
  for (const initialMs of [0, 1, 1_000]) {
    for (const failures of [1, 2, 500, 100_000]) {
      const delay = retryDelay(failures, { initialMs, factor: 100 }, 0.5);
      expect(delay).toBeGreaterThanOrEqual(0);
      expect(delay).toBeLessThanOrEqual(300_000);
    }
  }
});

describe("one id in two stores", () => {
  it("is one task for a client that submits it to memory and to disk", () => {
    const broker = onDisk();
    broker.from("c", newTask("0"));
    broker.from("c", newTask("1", { durability: "memory" }));
    expect(broker.from("c", newTask("1"))).toEqual([send("c", { id: "s1", result: "c-1" })]);
    expect(broker.stores.disk.get(["c-1"])).toEqual([]);
    broker.node("n", ["add"], 5);
    broker.from("n", [answer("c-0#1", 0), answer("c-1#1", 1)]);
    expect(broker.from("c", newTask("1"))).toEqual([send("c", { id: "s1", result: "c-1" })]);
    expect(broker.counts.unsettled).toBe(0);
  });

  it("runs one after the other where a call has the id of a stored task", () => {
    const broker = onDisk();
    broker.from("c", newTask("1"));
    broker.from("c", call("add", 1, ["called"]));
    const assigned = sends(broker.node("n", ["add"], 2)).slice(1);
    expect(assigned).toEqual([send("n", { method: "add", params: ["called"], id: "c-1#1" })]);
    expect(broker.from("n", answer("c-1#1", "called"))).toEqual([send("c", { id: 1, result: "called" })]);
    broker.from("c", command("client_ack", "a", [2]));
    expect(sends(broker.after(1_000))).toContainEqual(send("n", { method: "add", params: [1], id: "c-1#1" }));
  });
});

it("takes away the record that it answered with, and no task that waits", () => {
  const broker = onDisk();
  broker.from("c", newTask("2"));
  broker.node("n", ["add"], 5);
  broker.from("n", answer("c-2#1", 2));
  expect(broker.from("c", command("client_task_result", "r", ["c", "2"]))).toEqual([
    send("c", { id: "r", result: 2 }),
  ]);
  expect(broker.stores.disk.get(["c-2"])).toEqual([]);
  broker.from("c", newTask("3"));
  expect(broker.from("c", command("client_task_result", "r", ["c", "3"]))).toMatchObject([
    { message: { error: { code: -32050 } } },
  ]);
  expect(broker.stores.disk.get(["c-3"])).toHaveLength(1);
});

it("counts the same bytes when a task comes and when it goes, also through the store", () => {
  const broker = onDisk({ maxStoredBytes: 1_000 });
  for (let i = 0; i < 1_000; i++) {
    expect(broker.from("c", newTask(`${i}`, { notify: true }))[0]).toMatchObject({
      message: { result: `c-${i}` },
    });
    broker.node("n", ["add"], 1);
    broker.from("n", answer(`c-${i}#1`, i));
    broker.from("n", command("node_disconnect", "x", {}));
  }
  expect(broker.counts.unsettled).toBe(0);
});

describe("while the store is asked", () => {
  it("lets a task wait again whose node was refused meanwhile", () => {
    const before = onDisk();
    before.from("c", newTask("1"));
    const broker = machine({ hasDisk: true, stores: before.stores, startAt: 100_000, maxSessions: 3 });
    broker.client("d");
    broker.holdStores();
    broker.node("n", ["add"], 1, { running: ["c-1#1"] });
    broker.client("e");
    broker.client("f");
    broker.storeAll();
    broker.lost("e");
    broker.after(61_000);
    broker.node("m", ["add"], 1);
    expect(statusOf(broker, "c-1")).toBe("ASSIGNED");
  });

  it("gives no task to a node that has left meanwhile", () => {
    const broker = onDisk();
    broker.from("c", newTask("1"));
    broker.from("old", command("node_connect", "h", ["old"]), "req");
    broker.from("old", command("node_disconnect", "h", ["old"]), "req");
    broker.from("c", newTask("2"));
    broker.holdStores();
    broker.from("old", command("node_connect", "h", ["old"]), "req");
    broker.from("old", command("node_task_request", "r", ["old", "c-2"]), "req");
    broker.from("old", command("node_disconnect", "x", ["old"]), "req");
    broker.storeAll();
    broker.node("n", ["add"], 5);
    expect(statusOf(broker, "c-2")).toBe("ASSIGNED");
    expect(sends(broker.from("n", answer("c-2#1", 2)))).toBeDefined();
  });
});

it("lets no task expire that a node may have begun and lost its connection with", () => {
  const broker = onDisk();
  broker.node("n", ["add"], 1);
  broker.from("c", newTask("1", { expires_ms: 100 }));
  broker.after(200);
  broker.node("m", ["other"], 1);
  broker.from("n", command("node_disconnect", "x", {}));
  expect(statusOf(broker, "c-1")).toBe("QUEUED");
});

it("takes one introduction on a connection, also of several in one message", () => {
  const broker = machine();
  const hello = (id: string): object =>
    command("client_connect", id, { protocol: 2, client_id: id, token: "t" });
  expect(broker.from("p", [hello("a"), hello("b"), hello("c")])).toMatchObject([
    { message: [{ result: { client_id: "a" } }, { error: { code: -32070 } }, { error: { code: -32070 } }] },
  ]);
  expect(broker.counts.sessions).toBe(1);
});

describe("waiting requests", () => {
  it("of strangers leave room for sessions, and end by themselves", () => {
    const broker = onDisk({ maxWaiters: 4 });
    broker.from("c", newTask("1"));
    const wait = (id: number): object => call("zerotask.broker.client_task_wait", id, ["c-1"]);
    for (let i = 0; i < 5; i++) broker.from(`stranger ${i}`, wait(1));
    expect(broker.counts.waiters).toBe(2);
    broker.from("d", [wait(1), wait(2)]);
    expect(broker.counts.waiters).toBe(4);
    broker.after(60_000);
    expect(broker.counts.waiters).toBe(2);
  });

  it("of a node end with it", () => {
    const broker = onDisk();
    broker.from("c", newTask("1", {}));
    broker.node("n", ["other"], 1);
    broker.from("n", call("zerotask.broker.client_task_wait", 1, ["c-1"]));
    broker.lost("n");
    expect(broker.counts.waiters).toBe(0);
  });

  it("are told when the store fails", () => {
    const broker = onDisk();
    broker.from("c", [newTask("1"), newTask("2", { durability: "memory" })]);
    const wait = (id: string): object => command("client_task_wait", id, [id]);
    broker.from("c", [wait("c-1"), wait("c-2")]);
    const effects = sends(broker.handle({ type: "store-failed", level: "disk", reason: "I/O error" }));
    expect(effects).toMatchObject([{ message: { id: "c-1", error: { code: -32062 } } }]);
    expect(broker.counts.waiters).toBe(1);
  });
});

it("hands out nothing more while it is about to stop", () => {
  const broker = onDisk();
  broker.node("n", ["add"], 1);
  broker.from("c", [newTask("1"), newTask("2")]);
  broker.handle({ type: "drain" });
  expect(sends(broker.from("n", answer("c-1#1", 1)))).toEqual([]);
  expect(broker.stores.disk.get(["c-1", "c-2"])).toMatchObject([
    { status: "FINISHED" },
    { status: "QUEUED" },
  ]);
});

it("tells how an ignored task ended, though its outcome was not kept", () => {
  const broker = onDisk();
  broker.node("n", ["add"], 1);
  broker.from("c", newTask("1", { discard: true }));
  broker.from("n", { jsonrpc: "2.0", id: "c-1#1", error: { code: -32000, message: "no" } });
  expect(broker.from("c", command("client_task_wait", "w", ["c-1"]))).toMatchObject([
    { message: { result: { status: "FAILED", error: { code: -32000 } } } },
  ]);
});
