import { describe, expect, it } from "vitest";
import type { Effect } from "../../packages/broker/src/state/effect.ts";
import { EmptinessState } from "../../packages/node/src/state/emptiness-state.ts";
import { call, type Machine, type MachineOptions, machine } from "../support/broker-machine.ts";
import { type Driven, drive } from "../support/driven.ts";

/** What the node was told of its questions, by the id of each. */
function told(effects: readonly Effect[]): unknown[] {
  return effects.flatMap((effect) => {
    if (effect.type !== "send" || effect.peer !== "worker" || !("id" in effect.message)) return [];
    const { message } = effect;
    if (typeof message.id !== "string" || !message.id.startsWith("q")) return [];
    return [[message.id, "result" in message ? message.result : "error" in message && message.error.code]];
  });
}

function asking(options: MachineOptions = {}): Driven & { ask(id: string, wait?: boolean): unknown[] } {
  const driven = drive(machine(options));
  return {
    ...driven,
    ask: ((id: string, wait = false) =>
      told(driven.broker.from("worker", call("zerotask.broker.node_empty", id, { wait })))) as never,
  };
}

const submit = (broker: Machine, taskId: string, method = "add", options: object = {}): readonly Effect[] =>
  broker.from(
    "cli",
    call("zerotask.broker.client_new_task", `s${taskId}`, {
      method,
      params: [1],
      task_id: taskId,
      options,
    }),
  );

describe("a broker that a node asks whether it is empty", () => {
  it("says so at once when nothing of the node's methods is there", () => {
    const { broker, node, ask } = asking();
    node(1);
    expect(ask("q1", true)).toEqual([["q1", { empty: true }]]);
    submit(broker, "other", "subtract");
    expect(ask("q2", true)).toEqual([["q2", { empty: true }]]);
  });

  it("answers when the last task that is queued or runs has ended", () => {
    const { broker, node, ask, finish } = asking();
    node(1);
    for (const id of ["1", "2"]) submit(broker, id);
    expect(ask("q1")).toEqual([["q1", { empty: false }]]);
    expect(ask("q2", true)).toEqual([]);
    expect(told(finish("cli-1#1"))).toEqual([]);
    expect(told(finish("cli-2#1"))).toEqual([["q2", { empty: true }]]);
  });

  it("waits for what a store has and was not claimed, also after a restart", () => {
    const before = asking({ hasDisk: true });
    for (const id of ["1", "2"]) submit(before.broker, id);
    const { node, ask, started, finish, after } = asking({ hasDisk: true, stores: before.broker.stores });
    node(1);
    expect(ask("q1", true)).toEqual([]);
    expect(told(after(1_500))).toEqual([]);
    finish(started()[0] ?? "");
    expect(told(finish(started()[0] ?? ""))).toEqual([["q1", { empty: true }]]);
  });

  it("does not wait for what is scheduled for later, but for what is due and about to be claimed", () => {
    const { broker, node, ask, started, finish } = asking({ hasDisk: true });
    node(1);
    submit(broker, "later", "add", { delay_ms: 1_000 });
    expect(ask("q1", true)).toEqual([["q1", { empty: true }]]);
    broker.holdStores();
    broker.after(1_000);
    expect(ask("q2", true)).toEqual([]);
    broker.storeAll();
    expect(told(finish("cli-later#1"))).toEqual([["q2", { empty: true }]]);
    expect(started()).toEqual([]);
  });

  it("waits for what waits for another node's task of its instance", () => {
    const { broker, node, ask } = asking();
    const methods = [{ name: "add", singleton: { by: "method", mode: "queue" } }];
    broker.node("other", methods, 1);
    for (const id of ["1", "2"]) submit(broker, id);
    node(10, methods);
    expect(ask("q1", true)).toEqual([]);
    broker.from("other", { jsonrpc: "2.0", id: "cli-1#1", result: 1 });
    expect(ask("q2")).toEqual([["q2", { empty: false }]]);
    expect(told(broker.from("worker", { jsonrpc: "2.0", id: "cli-2#1", result: 1 }))).toEqual([
      ["q1", { empty: true }],
    ]);
  });

  it("waits for what is being stored", () => {
    const { broker, node, ask, finish } = asking();
    node(1);
    broker.holdStores();
    submit(broker, "1");
    expect(ask("q1", true)).toEqual([]);
    broker.storeAll();
    expect(told(finish("cli-1#1"))).toEqual([["q1", { empty: true }]]);
  });

  it("answers an earlier question when the node asks again", () => {
    const { broker, node, ask } = asking();
    node(1);
    submit(broker, "1");
    expect(ask("q1", true)).toEqual([]);
    expect(ask("q2", true)).toEqual([["q1", { empty: false }]]);
  });

  it("forgets the question of a node that is gone", () => {
    const { broker, node, ask } = asking();
    node(1);
    submit(broker, "1");
    ask("q1", true);
    broker.lost("worker");
    node(1);
    expect(told(broker.from("worker", { jsonrpc: "2.0", id: "cli-1#2", result: 1 }))).toEqual([]);
  });

  it("refuses anybody but a node, and what is neither true nor false", () => {
    const { broker, node, ask } = asking();
    node(1);
    expect(ask("q1", 5 as never)).toEqual([["q1", -32602]]);
    const [effect] = broker.from("cli", call("zerotask.broker.node_empty", 1, {}));
    expect(effect).toMatchObject({ message: { error: { code: -32070 } } });
  });
});

describe("a node with several brokers", () => {
  const connected = [
    [0, true],
    [1, true],
  ] as const;

  it("is empty when the one that it has is", () => {
    const state = new EmptinessState([[0, true]]);
    expect(state.questions).toEqual([{ link: 0, wait: true }]);
    expect(state.isEmpty).toBe(false);
    expect(state.answered(0, true)).toEqual([]);
    expect(state.isEmpty).toBe(true);
  });

  it("asks all once more when each was empty, as the first may have got something meanwhile", () => {
    const state = new EmptinessState(connected);
    expect(state.answered(0, true)).toEqual([]);
    const again = [0, 1].map((link) => ({ link, wait: false }));
    expect(state.answered(1, true)).toEqual(again);
    expect(state.answered(0, false)).toEqual([{ link: 0, wait: true }]);
    expect(state.answered(1, true)).toEqual([]);
    expect(state.isEmpty).toBe(false);
    expect(state.answered(0, true)).toEqual(again);
    for (const link of [0, 1]) expect(state.answered(link, true)).toEqual([]);
    expect(state.isEmpty).toBe(true);
  });

  it("waits for one that is not connected, and asks one that comes back", () => {
    const state = new EmptinessState([connected[0], [1, false]]);
    expect(state.questions).toEqual([{ link: 0, wait: true }]);
    expect(state.answered(0, true)).toEqual([]);
    expect(state.isEmpty).toBe(false);
    state.lost(0);
    expect(state.welcomed(1)).toEqual([{ link: 1, wait: true }]);
    expect(state.answered(1, true)).toEqual([]);
    expect(state.welcomed(0)).toEqual([{ link: 0, wait: true }]);
  });
});
