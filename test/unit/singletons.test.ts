import { describe, expect, it } from "vitest";
import type { Effect } from "../../packages/broker/src/state/effect.ts";
import { answer, call, type Machine } from "../support/broker-machine.ts";
import {
  answers,
  ask,
  begun,
  brokerOf,
  failed,
  finishAll,
  orderOf,
  restarted,
  statusOf,
  stop,
  submit,
} from "../support/scheduled.ts";

const one = { name: "add", singleton: { by: "method", mode: "stop" } };
const queued = { name: "add", singleton: { by: "method", mode: "queue" } };
const named = { name: "add", singleton: { by: "params", mode: "stop" } };
const namedQueue = { name: "add", singleton: { by: "params", mode: "queue" } };

const many = { maxClientTasks: 10_000, maxReplay: 10_000, maxTaskBytes: 1e9, maxClientBytes: 1e9 };

/** The requests for names that a node got. */
function asked(effects: readonly Effect[], node = "n"): { readonly id: string; readonly params: unknown }[] {
  return effects.flatMap((effect) => {
    if (effect.type !== "send" || effect.peer !== node) return [];
    const message = effect.message as { method?: string; id?: string; params?: { params?: unknown } };
    if (message.method !== "zerotask.node.name_instance") return [];
    return [{ id: message.id ?? "", params: message.params?.params }];
  });
}

/** Answers every request for a name with the first param. */
function nameAll(broker: Machine, effects: readonly Effect[], node = "n"): Effect[] {
  return asked(effects, node).flatMap(({ id, params }) => {
    const [name] = params as string[];
    return broker.from(node, answer(id, { name }));
  });
}

describe("of a singleton by its method", () => {
  it("a second one ends as STOPPED while one is running", () => {
    const broker = brokerOf();
    broker.node("n", [one], 5);
    expect(begun(broker.from("c", submit("1")))).toEqual(["c-1#1"]);
    const told = answers(broker.from("c", [submit("2", { notify: true, params: [2] }), ask("3")]));
    const error = { code: -32040, data: { reason: "singleton" } };
    expect(told.get("s2")).toMatchObject({ result: "c-2" });
    expect(told.get("c-2")).toMatchObject({ status: "STOPPED", error });
    expect(told.get("q3")).toMatchObject({ error });
    expect(statusOf(broker, "2")).toBe("STOPPED");
    broker.from("n", answer("c-1#1", 0));
    expect(begun(broker.from("c", submit("4")))).toEqual(["c-4#1"]);
    broker.from("n", answer("c-4#1", 0));
    broker.from("c", call("zerotask.broker.client_ack", "ack", [99]));
    expect(broker.counts).toMatchObject({ unsettled: 0 });
  });

  it("a second one ends as STOPPED while one is queued", () => {
    const broker = brokerOf();
    broker.node("n", [one, "other"], 1);
    broker.from("c", submit("0", { method: "other" }));
    broker.from("c", submit("1"));
    expect(answers(broker.from("c", ask("2"))).get("q2")).toMatchObject({ error: { code: -32040 } });
    expect(begun(broker.from("n", answer("c-0#1", 0)))).toEqual(["c-1#1"]);
    broker.lost("n");
    expect(answers(broker.from("c", ask("3"))).get("q3")).toMatchObject({ error: { code: -32040 } });
    expect(begun(broker.node("m", [one], 2))).toEqual(["c-1#2"]);
  });

  it.each([
    ["fails", (broker: Machine) => broker.from("n", failed("c-1#1"))],
    ["is stopped", (broker: Machine) => broker.from("c", stop("c-1"))],
  ])("the next one runs after one that %s", (_, end) => {
    const broker = brokerOf();
    broker.node("n", [one], 5);
    broker.from("c", submit("1"));
    end(broker);
    expect(begun(broker.from("c", submit("2")))).toEqual(["c-2#1"]);
  });

  it("that waits runs one at a time, the most urgent first", () => {
    const broker = brokerOf();
    const first = broker.node("n", [queued], 5);
    first.push(...broker.from("c", submit("1")));
    broker.from("c", [submit("2"), ask("3"), submit("4", { priority: 1 }), submit("5")]);
    expect(statusOf(broker, "2")).toBe("QUEUED");
    expect(begun(broker.from("c", stop("c-2")))).toEqual([]);
    expect(orderOf(finishAll(broker, first))).toEqual(["1", "4", "q3", "5"]);
    expect(broker.counts).toMatchObject({ unsettled: 0, assignable: 0 });
  });

  it("one that waits for its turn expires, and leaves the turn to the others", () => {
    const broker = brokerOf();
    broker.node("n", [queued], 5);
    broker.from("c", [submit("1"), submit("2", { expires_ms: 100, notify: true }), submit("3")]);
    expect(answers(broker.after(100)).get("c-2")).toMatchObject({ status: "EXPIRED" });
    expect(begun(broker.from("n", answer("c-1#1", 0)))).toEqual(["c-3#1"]);
  });

  it("thousands that have waited too long end when it would be their turn", () => {
    const broker = brokerOf({ ...many, maxTasks: 10_000 });
    broker.node("n", [queued], 5);
    broker.from("c", submit("1"));
    for (let i = 0; i < 9; i++) {
      broker.from(
        "c",
        Array.from({ length: 1_000 }, (_, j) => ask(`${i}-${j}`, { expires_ms: 1_000 })),
      );
    }
    broker.holdStores();
    // The clock goes on before the broker gets to look at what expired.
    const late = broker.late(2_000, "n", answer("c-1#1", 0));
    expect(answers(late).size).toBe(9_000);
    broker.storeAll();
    expect(broker.counts).toMatchObject({ unsettled: 0 });
  });

  it("waits behind a call that nobody serves no longer than the grace", () => {
    const broker = brokerOf();
    broker.node("n", [queued], 5);
    broker.from("c", submit("1"));
    broker.from("c", [ask("2"), ask("3")]);
    broker.lost("n");
    const told = answers(broker.after(5_000));
    expect(told.get("q2")).toMatchObject({ error: { code: -32601 } });
    expect(told.get("q3")).toMatchObject({ error: { code: -32601 } });
    expect(statusOf(broker, "1")).toBe("QUEUED");
    expect(begun(broker.node("m", [queued], 5))).toEqual(["c-1#2"]);
  });

  it("what was queued before anybody served the method is looked at when somebody does", () => {
    const broker = brokerOf();
    broker.from("c", [submit("1"), submit("2"), ask("3")]);
    const effects = broker.node("n", [one], 5);
    expect(begun(effects)).toHaveLength(1);
    expect(answers(effects).get("q3") ?? begun(effects)[0]).toBeDefined();
    const statuses = [statusOf(broker, "1"), statusOf(broker, "2")];
    expect(statuses.filter((status) => status === "STOPPED").length).toBeGreaterThanOrEqual(1);
    expect(broker.counts).toMatchObject({ unsettled: 1, assignable: 0 });
  });

  it("one that a node brings back after a restart has the turn", () => {
    const before = brokerOf();
    before.node("n", [queued], 5);
    before.from("c", [submit("1"), submit("2")]);
    const broker = restarted(before);
    broker.node("m", [queued], 5);
    expect(begun(broker.from("c", ask("3")))).toEqual([]);
    expect(begun(broker.node("n", [queued], 5, { running: ["c-1#1"] }))).toEqual([]);
    expect(begun(broker.after(60_000))).toEqual([]);
    const next = broker.from("n", answer("c-1#1", 0));
    expect(begun(next)).toEqual(["c-2#1"]);
    const node = begun(next, "n").length > 0 ? "n" : "m";
    expect(begun(broker.from(node, answer("c-2#1", 0)))).toEqual(["c-q3#1"]);
  });

  it("stops what comes while a node may bring one back after a restart", () => {
    const before = brokerOf();
    before.node("n", [one], 5);
    before.from("c", submit("1"));
    const broker = restarted(before);
    broker.node("m", [one], 5);
    expect(begun(broker.from("c", ask("2")))).toEqual([]);
    const effects = broker.node("n", [one], 5, { running: ["c-1#1"] });
    expect(answers(effects).get("q2")).toMatchObject({
      error: { code: -32040, data: { reason: "singleton" } },
    });
    expect(begun(broker.after(60_000))).toEqual([]);
  });

  it("nothing of another store runs twice when one fails", () => {
    const broker = brokerOf();
    broker.node("n", [queued], 5);
    broker.from("c", submit("1"));
    broker.from(
      "c",
      ["2", "3", "4"].map((id) => submit(id)),
    );
    broker.from("c", submit("5", { durability: "memory" }));
    expect(begun(broker.handle({ type: "store-failed", level: "disk", reason: "full" }))).toEqual([]);
    expect(begun(broker.from("n", answer("c-1#1", 0)))).toEqual(["c-5#1"]);
  });
});

describe("of a singleton by params", () => {
  it("what the node gives different names runs side by side, and what it gives one name does not", () => {
    const broker = brokerOf();
    broker.node("n", [named], 5);
    const first = broker.from("c", submit("1", { params: ["x"] }));
    expect(begun(first)).toEqual([]);
    expect(asked(first)).toEqual([{ id: expect.stringMatching(/^name:/), params: ["x"] }]);
    expect(begun(nameAll(broker, first))).toEqual(["c-1#1"]);
    expect(begun(nameAll(broker, broker.from("c", submit("2", { params: ["y"] }))))).toEqual(["c-2#1"]);
    const third = nameAll(broker, broker.from("c", ask("3", { params: ["x"] })));
    expect(answers(third).get("q3")).toMatchObject({
      error: { code: -32040, data: { reason: "singleton" } },
    });
    broker.from("n", answer("c-1#1", 0));
    expect(begun(nameAll(broker, broker.from("c", submit("4", { params: ["x"] }))))).toEqual(["c-4#1"]);
    expect(broker.counts).toMatchObject({ unsettled: 2 });
    expect(broker.counts.refusedAnswers).toBe(0);
  });

  it("those of one name wait for each other", () => {
    const broker = brokerOf();
    broker.node("n", [namedQueue], 5);
    const ids = ["x1", "x2", "y1", "x3"];
    const effects = ids.flatMap((id) => nameAll(broker, broker.from("c", submit(id, { params: [id[0]] }))));
    expect(begun(effects)).toEqual(["c-x1#1", "c-y1#1"]);
    expect(begun(broker.from("n", answer("c-x1#1", 0)))).toEqual(["c-x2#1"]);
    expect(begun(broker.from("n", answer("c-x2#1", 0)))).toEqual(["c-x3#1"]);
  });

  it("it is known at once, in whatever order the names come", () => {
    const broker = brokerOf();
    broker.node("n", [named], 5);
    const effects = broker.from("c", [submit("1", { params: ["x"] }), submit("2", { params: ["x"] })]);
    const [first, second] = asked(effects);
    expect(begun(broker.from("n", answer(second?.id ?? "", { name: "x" })))).toEqual(["c-2#1"]);
    expect(begun(broker.from("n", answer(first?.id ?? "", { name: "x" })))).toEqual([]);
    expect(statusOf(broker, "1")).toBe("STOPPED");
  });

  it("another node is asked when the one that was asked is lost, or whoever comes next", () => {
    const broker = brokerOf();
    broker.node("n", [named], 5);
    broker.from("c", submit("1", { params: ["x"] }));
    broker.node("m", [named], 5);
    const again = broker.lost("n");
    expect(asked(again, "m")).toHaveLength(1);
    broker.lost("m");
    expect(statusOf(broker, "1")).toBe("QUEUED");
    const third = broker.node("o", [named], 5);
    expect(begun(nameAll(broker, third, "o"))).toEqual(["c-1#1"]);
  });

  it("a call fails after the grace when the node that was asked is lost", () => {
    const broker = brokerOf();
    broker.node("n", [named], 5);
    broker.from("c", ask("1", { params: ["x"] }));
    broker.lost("n");
    expect(answers(broker.after(5_000)).get("q1")).toMatchObject({ error: { code: -32601 } });
    expect(broker.counts).toMatchObject({ unsettled: 0 });
  });

  it("a task that can't be named has failed", () => {
    const broker = brokerOf();
    broker.node("n", [named], 5);
    const [request] = asked(broker.from("c", submit("1", { notify: true })));
    const told = answers(broker.from("n", failed(request?.id ?? "", -32000, { name: "TypeError" })));
    expect(told.get("c-1")).toMatchObject({ status: "FAILED", error: { data: { name: "TypeError" } } });
    const [second] = asked(broker.from("c", ask("2")));
    expect(answers(broker.from("n", answer(second?.id ?? "", 5))).get("q2")).toMatchObject({
      error: { code: -32603 },
    });
    expect(broker.counts).toMatchObject({ unsettled: 0 });
  });

  it("a name that comes too late changes nothing", () => {
    const broker = brokerOf();
    broker.node("n", [named], 5);
    const [request] = asked(broker.from("c", submit("1")));
    broker.from("c", stop("c-1"));
    expect(begun(broker.from("n", answer(request?.id ?? "", { name: "x" })))).toEqual([]);
    expect(statusOf(broker, "1")).toBe("STOPPED");
    expect(begun(broker.from("n", answer(request?.id ?? "", { name: "x" })))).toEqual([]);
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
  });

  it("what was queued before anybody served the method is named when somebody does", () => {
    const broker = brokerOf();
    broker.from("c", [
      submit("1", { params: ["x"] }),
      submit("2", { params: ["x"] }),
      submit("3", { params: ["y"] }),
    ]);
    const effects = broker.node("n", [named], 1);
    expect(begun(effects)).toEqual([]);
    expect(asked(effects)).toHaveLength(3);
    expect(begun(nameAll(broker, effects))).toEqual(["c-1#1"]);
    expect(statusOf(broker, "2")).toBe("STOPPED");
    expect(begun(broker.from("n", answer("c-1#1", 0)))).toEqual(["c-3#1"]);
  });

  it("one that a node brings back after a restart is named, and has the turn", () => {
    const before = brokerOf();
    before.node("n", [namedQueue], 5);
    nameAll(before, before.from("c", submit("1", { params: ["x"] })));
    nameAll(before, before.from("c", submit("2", { params: ["x"] })));
    nameAll(before, before.from("c", submit("3", { params: ["x"] })));
    const broker = restarted(before);
    const back = broker.node("n", [namedQueue], 5, { running: ["c-1#1"] });
    expect(asked(back)).toHaveLength(1);
    expect(begun(nameAll(broker, back))).toEqual([]);
    const due = broker.after(1_500);
    expect(begun(due)).toEqual([]);
    expect(begun(nameAll(broker, due))).toEqual([]);
    expect(begun(broker.from("n", answer("c-1#1", 0)))).toEqual(["c-2#1"]);
    expect(begun(broker.from("n", answer("c-2#1", 0)))).toEqual(["c-3#1"]);
  });
});
