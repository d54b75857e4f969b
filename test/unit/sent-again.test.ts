// What a peer sends again on its next connection, while what it sent before still waits for a store.
import { expect, it } from "vitest";
import type { Effect } from "../../packages/broker/src/state/effect.ts";
import { call, type Machine, machine, sends } from "../support/broker-machine.ts";

const submitted = call("zerotask.broker.client_new_task", "s", { method: "add", params: [1], task_id: "1" });
const stop = call("zerotask.broker.client_task_stop", "stop", { task_id: "c-1", confirm: true });
const start = call("zerotask.broker.client_task_start", "start", ["c-1"]);
const reload = call("zerotask.broker.client_task_reload", "reload", ["c-1"]);
const killed = { code: -32040, message: "", data: { how: "killed" } };

function connect(broker: Machine, peer: string): void {
  const params = { protocol: 2, client_id: "c", token: "c's" };
  broker.from(peer, call("zerotask.broker.client_connect", "hi", params));
}

/** Requests that are sent on each connection, in this order. */
function sendOn(broker: Machine, peers: readonly string[], requests: readonly object[]): void {
  for (const peer of peers) {
    connect(broker, peer);
    broker.from(peer, requests);
  }
}

/** What was answered to a request on a connection. */
function answersTo(effects: readonly Effect[], request: string, peer: string): unknown[] {
  return sends(effects).flatMap((effect) => {
    const { message, peer: to } = effect as unknown as { message: Record<string, unknown>; peer: string };
    return to === peer && message.id === request ? [message.result ?? message.error] : [];
  });
}

const statusOf = (broker: Machine): unknown => broker.stores.disk.get(["c-1"])[0]?.status;

it("refuses a start again that was refused, though the task was stopped after it", () => {
  const broker = machine({ hasDisk: true });
  broker.holdStores();
  sendOn(broker, ["a", "b"], [submitted, start, stop]);
  const effects = broker.storeAll();
  const message = expect.stringContaining("Expected a task that is STOPPED");
  expect(answersTo(effects, "start", "b")).toEqual([expect.objectContaining({ message })]);
  expect(statusOf(broker)).toBe("STOPPED");
});

it("stops a task once that was started after that, however far the store was when it was asked for again", () => {
  const requests = [submitted, stop, start];
  const steps = Array.from({ length: 8 }, (_, count) => count);
  for (const [first, second] of steps.flatMap((one) => steps.map((other) => [one, other] as const))) {
    const broker = machine({ hasDisk: true });
    broker.holdStores();
    sendOn(broker, ["a"], requests);
    for (let done = 0; done < first; done++) broker.storeNext();
    sendOn(broker, ["b"], requests);
    for (let done = 0; done < second; done++) broker.storeNext();
    sendOn(broker, ["d"], requests);
    broker.storeAll();
    expect(statusOf(broker), `after ${first} and ${second} steps`).toBe("QUEUED");
  }
});

it("makes nothing anew that was stopped before, though that was asked for again", () => {
  const broker = machine({ hasDisk: true });
  broker.node("n", ["add"], 1);
  sendOn(broker, ["a"], [submitted]);
  broker.holdStores();
  broker.from("a", [reload, stop]);
  broker.from("n", { jsonrpc: "2.0", id: "c-1#1", error: killed });
  sendOn(broker, ["b"], [reload, stop]);
  const effects = broker.storeAll();
  const message = "The task was settled before it was made anew: STOPPED";
  expect(answersTo(effects, "reload", "b")).toEqual([expect.objectContaining({ message })]);
  expect(answersTo(effects, "stop", "b")).toEqual([{ how: "killed", status: "STOPPED" }]);
  expect(statusOf(broker)).toBe("STOPPED");
});

it("has a node on its latest connection, though it introduced itself on an earlier one", () => {
  const broker = machine({ hasDisk: true });
  connect(broker, "c");
  const introduce = (peer: string, running: readonly string[]): object[] =>
    broker.from(peer, {
      ...call("zerotask.broker.node_connect", "hi", {
        ...{ protocol: 2, node_id: "n", token: "n's", methods: ["add"], slots: 1, running },
      }),
    });
  broker.holdStores();
  // What is said to run has to be looked up first.
  introduce("early", ["x-1#1"]);
  introduce("late", []);
  broker.storeAll();
  const assigned = { type: "send", peer: "late", message: expect.objectContaining({ id: "c-1#1" }) };
  expect(sends(broker.from("c", submitted))).toContainEqual(assigned);
});

it("leaves a node what it runs whose earlier connection is found to be gone before it is heard on the next", () => {
  const broker = machine({ hasDisk: true });
  const introduce = (running: readonly string[]): object =>
    call("zerotask.broker.node_connect", "hi", {
      ...{ protocol: 2, node_id: "n", token: "n's", methods: ["add"], slots: 1, running },
    });
  broker.from("early", introduce([]));
  broker.node("m", ["add"], 1);
  sendOn(broker, ["a"], [submitted]);
  broker.holdStores();
  broker.from("late", introduce(["c-1#1", "x-1#1"]));
  expect(sends(broker.lost("early"))).toEqual([]);
  expect(answersTo(broker.storeAll(), "hi", "late")).toEqual([expect.objectContaining({ abort: ["x-1#1"] })]);
  expect(sends(broker.lost("late"))).toContainEqual(
    expect.objectContaining({ peer: "m", message: expect.objectContaining({ id: "c-1#2" }) }),
  );
});

it("loses a node whose next connection is gone, too, before it was heard", () => {
  const broker = machine({ hasDisk: true });
  broker.node("n", ["add"], 1);
  broker.node("m", ["add"], 1);
  sendOn(broker, ["a"], [submitted]);
  broker.holdStores();
  const again = { protocol: 2, node_id: "n", token: "n's", methods: ["add"], slots: 1, running: ["x-1#1"] };
  broker.from("late", call("zerotask.broker.node_connect", "hi", again));
  broker.lost("n");
  broker.lost("late");
  expect(sends(broker.lost("n"))).toContainEqual(
    expect.objectContaining({ peer: "m", message: expect.objectContaining({ id: "c-1#2" }) }),
  );
});

it("gives no task to a node whose connection was lost before it was heard", () => {
  const broker = machine({ hasDisk: true });
  broker.holdStores();
  broker.node("n", ["add"], 1, { running: ["x-1#1"] });
  broker.lost("n");
  broker.storeAll();
  expect(broker.counts.sessions).toBe(0);
  broker.node("n", ["add"], 1, { running: ["x-1#1"] });
  expect(broker.counts.sessions).toBe(1);
});

it("refuses a start again that there was no room for, though there is room by now", () => {
  const broker = machine({ hasDisk: true, maxClientTasks: 1 });
  const other = { method: "add", task_id: "2" };
  sendOn(broker, ["a"], [submitted]);
  broker.from("a", { ...stop, id: "earlier" });
  broker.from("a", call("zerotask.broker.client_new_task", "o", other));
  broker.from("a", start);
  broker.from("a", call("zerotask.broker.client_task_stop", "p", { task_id: "c-2" }));
  broker.from("a", stop);
  connect(broker, "b");
  const busy = expect.objectContaining({ code: -32060 });
  expect(answersTo(broker.from("b", start), "start", "b")).toEqual([busy]);
  expect(answersTo(broker.from("b", stop), "stop", "b")).toEqual([
    { how: "never-started", status: "STOPPED" },
  ]);
  expect(statusOf(broker)).toBe("STOPPED");
});

it("refuses a start again of what its node was not there for to run", () => {
  const broker = machine();
  const id = "local:n-1";
  const stopIt = call("zerotask.broker.client_task_stop", "stop", { task_id: id });
  const startIt = call("zerotask.broker.client_task_start", "start", [id]);
  broker.node("n", ["watch"], 1);
  broker.from("n", call("zerotask.broker.node_run_local", "l", { name: "1", method: "watch" }));
  sendOn(broker, ["a"], [{ ...stopIt, id: "earlier" }]);
  broker.lost("n");
  broker.from("a", startIt);
  broker.node("n", ["watch"], 1);
  broker.from("a", stopIt);
  connect(broker, "b");
  expect(answersTo(broker.from("b", startIt), "start", "b")).toEqual([
    expect.objectContaining({ code: -32042 }),
  ]);
  expect(answersTo(broker.from("b", stopIt), "stop", "b")).toEqual(["STOPPED"]);
});

it("tells who asks again that a task was made anew when that is stored, and not before", () => {
  const broker = machine({ hasDisk: true });
  broker.node("n", ["add"], 1);
  const request = call("zerotask.broker.client_task_reload", "reload", { task_id: "c-1", params: [2] });
  sendOn(broker, ["a"], [submitted, request]);
  broker.holdStores();
  broker.from("n", { jsonrpc: "2.0", id: "c-1#1", error: killed });
  connect(broker, "b");
  expect(answersTo(broker.from("b", request), "reload", "b")).toEqual([]);
  expect(answersTo(broker.storeAll(), "reload", "b")).toEqual([true]);
  expect(broker.stores.disk.get(["c-1"])[0]?.params).toBe("[2]");
});

it("stops a task that is just being put back, where that was asked for before", () => {
  const broker = machine({ hasDisk: true });
  sendOn(broker, ["a"], [submitted, { ...stop, id: "earlier" }]);
  broker.holdStores();
  broker.from("a", [reload, stop]);
  const effects = broker.storeAll();
  expect(answersTo(effects, "reload", "a")).toEqual([true]);
  expect(answersTo(effects, "stop", "a")).toEqual([{ how: "never-started", status: "STOPPED" }]);
  expect(statusOf(broker)).toBe("STOPPED");
});
