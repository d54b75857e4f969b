import { describe, expect, it } from "vitest";
import type { Effect } from "../../packages/broker/src/state/effect.ts";
import { answer, call, type Machine, machine, send, sends } from "../support/broker-machine.ts";

const submit = (task_id: string, options: object = {}): object =>
  call("zerotask.broker.client_new_task", `s${task_id}`, { method: "add", params: [1], task_id, options });
const stop = (id: unknown = "x", more: object = {}): object =>
  call("zerotask.broker.client_task_stop", id, { task_id: "c-1", confirm: true, ...more });
const stopPlainly = call("zerotask.broker.client_task_stop", "p", ["c-1"]);
const reload = (id: string, params: unknown, task_id = "c-1"): object =>
  call("zerotask.broker.client_task_reload", id, { task_id, params });
const ended = (id: string, how: string): object => ({
  ...{ jsonrpc: "2.0", id },
  error: { code: -32040, message: "The task was stopped", data: { how } },
});
const told = (how: string, status: string, peer = "c"): Effect =>
  send(peer, { id: "x", result: { how, status } });
const pushes = (effects: readonly Effect[]): Effect[] =>
  sends(effects).filter((effect) => effect.type === "send" && effect.peer === "n");
const isBusy = { message: { error: { code: -32060 } } };

function cluster(options: Parameters<typeof machine>[0] = {}): Machine {
  const broker = machine({ hasDisk: true, ...options });
  broker.client("c");
  broker.node("n", ["add"], 1);
  return broker;
}

describe("who waits for a run to end", () => {
  it("is told in the end that it goes on, where the node says nothing", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    broker.from("c", stop("x", { grace_ms: 100 }));
    expect(sends(broker.after(5_099))).not.toContainEqual(told("unstoppable", "ASSIGNED"));
    expect(sends(broker.after(1))).toEqual([told("unstoppable", "ASSIGNED")]);
    expect(sends(broker.from("c", stop("x", { grace_ms: 100 })))).toEqual([told("unstoppable", "ASSIGNED")]);
    broker.from("n", ended("c-1#1", "cooperative"));
    expect(broker.stores.disk.get(["c-1"])[0]?.status).toBe("STOPPED");
  });

  it("waits no longer for a run that took too long, where the node says nothing: it is not run again", () => {
    const broker = cluster();
    broker.from("c", submit("1", { timeout_ms: 100, retries: 3 }));
    broker.after(100);
    broker.after(9_999);
    expect(broker.stores.disk.get(["c-1"])[0]?.status).not.toBe("EXPIRED");
    broker.after(1);
    expect(broker.stores.disk.get(["c-1"])[0]?.status).toBe("EXPIRED");
  });

  it.each([
    ["before", [stop(), 100]],
    ["after", [100, stop()]],
  ])("waits no longer for a run that was to be stopped %s it took too long, and can't be", (_, steps) => {
    const broker = cluster();
    broker.from("c", submit("1", { timeout_ms: 100, retries: 1 }));
    for (const step of steps) {
      if (typeof step === "number") broker.after(step);
      else broker.from("c", step);
    }
    const unstoppable = call("zerotask.broker.node_task_unstoppable", "u", { task_id: "c-1#1" });
    expect(sends(broker.from("n", unstoppable))).toMatchObject([
      { message: { id: "x", result: { how: "unstoppable" } } },
      { message: { id: "u" } },
    ]);
    expect(broker.stores.disk.get(["c-1"])[0]?.status).toBe("EXPIRED");
  });

  it.each([
    ["before", [reload("re", [2]), 100]],
    ["after", [100, reload("re", [2])]],
  ])(
    "waits no longer for one that was to be made anew %s it took too long, and is stopped then",
    (_, steps) => {
      const broker = cluster();
      broker.from("c", submit("1", { timeout_ms: 100, retries: 1 }));
      for (const step of steps) {
        if (typeof step === "number") broker.after(step);
        else broker.from("c", step);
      }
      broker.from("n", call("zerotask.broker.node_task_unstoppable", "u", { task_id: "c-1#1" }));
      expect(broker.stores.disk.get(["c-1"])[0]?.status).not.toBe("EXPIRED");
      expect(sends(broker.from("c", stop()))).toMatchObject([
        { message: { id: "x", result: { how: "unstoppable" } } },
      ]);
      expect(broker.stores.disk.get(["c-1"])[0]?.status).toBe("EXPIRED");
    },
  );

  it("hears that the run may go on, where somebody stops the task without waiting", () => {
    const broker = cluster();
    broker.client("d");
    broker.from("c", submit("1"));
    broker.from("c", stop());
    expect(sends(broker.from("d", stopPlainly))).toContainEqual(told("unstoppable", "STOPPED"));
  });

  it.each([
    ["waits", stop()],
    ["does not wait", stopPlainly],
  ])("hears that a stream was killed, whose node is away, where it %s", (_, request) => {
    const broker = cluster();
    const params = {
      method: "add",
      params: [],
      options: { stream: { items: 10, bytes: 1_000, output: true } },
    };
    broker.from("c", call("zerotask.broker.client_call", 1, params));
    broker.from("n", {
      ...{ jsonrpc: "2.0", method: "zerotask.broker.node_stream_items" },
      params: { id: "c-1#1", seq: 0, items: [1], bytes: 1 },
    });
    broker.lost("n");
    broker.from("c", request);
    expect(sends(broker.from("c", stop()))).toContainEqual(told("killed", "STOPPED"));
  });

  it("is one of a bounded number, and leaves with its session", () => {
    const broker = cluster({ maxWaiters: 3 });
    broker.client("d");
    broker.from("c", submit("1"));
    broker.from("c", stop("x1"));
    broker.from("d", [stop("x2"), reload("x3", [2])]);
    expect(broker.counts.waiters).toBe(3);
    expect(sends(broker.from("c", stop("x4")))).toMatchObject([isBusy]);
    broker.from("d", call("zerotask.broker.client_disconnect", "bye"));
    expect(broker.counts.waiters).toBe(1);
    expect(sends(broker.from("n", ended("c-1#1", "killed")))).toEqual([
      send("c", { id: "x1", result: { how: "killed", status: "STOPPED" } }),
    ]);
    expect(broker.counts.waiters).toBe(0);
  });

  it("does not have the node told again, unless there is less time", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    expect(pushes(broker.from("c", stop("x1")))).toHaveLength(1);
    expect(pushes(broker.from("c", stop("x2")))).toHaveLength(0);
    expect(pushes(broker.from("c", stop("x3", { grace_ms: 10 })))).toHaveLength(1);
    broker.from("n", answer("c-1#1", 1));
    expect(broker.counts.waiters).toBe(0);
  });
});

it("a node that ends run after run of a task unasked does not get it for ever", () => {
  const broker = cluster({ redeliveries: 3 });
  broker.from("c", submit("1", { notify: true }));
  for (let attempt = 1; attempt <= 3; attempt++) broker.from("n", ended(`c-1#${attempt}`, "never-started"));
  expect(sends(broker.from("n", ended("c-1#4", "never-started")))).toMatchObject([
    { message: { params: { status: "FAILED", error: { code: -32042 } } } },
  ]);
});

it("a task is not made anew with params that there is no room for, and goes on", () => {
  const broker = cluster({ maxStoredBytes: 300 });
  broker.from("c", submit("1"));
  broker.from("c", submit("2"));
  const large = ["x".repeat(400)];
  expect(sends(broker.from("c", reload("re", large)))).toMatchObject([isBusy]);
  expect(sends(broker.from("c", reload("re", large, "c-2")))).toMatchObject([isBusy]);
  expect(sends(broker.from("c", reload("re", [3], "c-2")))).toEqual([send("c", { id: "re", result: true })]);
});

it("a call whose input was closed is not run again: its next attempt would wait for items for ever", () => {
  const broker = cluster();
  const options = { retries: 3, stream: { items: 10, bytes: 1_000, inputs: [0] } };
  broker.from("c", call("zerotask.broker.client_call", 1, { method: "add", params: [], options }));
  broker.from("n", {
    ...{ jsonrpc: "2.0", method: "zerotask.broker.node_input_grant" },
    params: { id: "c-1#1", input: 0, taken: 0, received: 0, closed: true },
  });
  const failure = { jsonrpc: "2.0", id: "c-1#1", error: { code: -32000, message: "no" } };
  expect(sends(broker.from("n", failure))).toMatchObject([{ message: { id: 1, error: { code: -32000 } } }]);
});
