import { describe, expect, it } from "vitest";
import { answer } from "../support/broker-machine.ts";
import {
  answers,
  ask,
  begun,
  brokerOf,
  finishAll,
  orderOf,
  restarted,
  stop,
  submit,
} from "../support/scheduled.ts";

const many = { maxStoredTasks: 100_000, maxClientTasks: 100_000, maxResults: 100_000, maxGroups: 10_000 };

describe("groups of a method", () => {
  it("take turns, however much each has queued", () => {
    const broker = brokerOf(many);
    const first = broker.node("n", ["add"], 1);
    first.push(...broker.from("c", submit("running", { group: "x" })));
    broker.from(
      "c",
      Array.from({ length: 1_000 }, (_, i) => submit(`a${i}`, { group: "a" })),
    );
    broker.from("c", submit("b0", { group: "b" }));
    const order = orderOf(finishAll(broker, first));
    expect(order.slice(0, 5)).toEqual(["running", "a0", "b0", "a1", "a2"]);
    expect(order).toHaveLength(1_002);
  });

  it("are one each, and what has none is one", () => {
    const broker = brokerOf();
    const first = broker.node("n", ["add"], 1);
    first.push(...broker.from("c", submit("running", { group: "x" })));
    for (const id of ["0", "1", "2"]) broker.from("c", submit(id));
    for (const id of ["a0", "a1"]) broker.from("c", submit(id, { group: "a" }));
    broker.from("c", ask("b0", { group: "b" }));
    expect(orderOf(finishAll(broker, first))).toEqual(["running", "0", "a0", "qb0", "1", "a1", "2"]);
  });

  it("keep the order of priority within them", () => {
    const broker = brokerOf();
    const first = broker.node("n", ["add"], 1);
    first.push(...broker.from("c", submit("running")));
    broker.from("c", [submit("a0", { group: "a" }), submit("a1", { group: "a", priority: 1 })]);
    broker.from("c", [submit("b0", { group: "b", priority: -9 }), submit("b1", { group: "b" })]);
    expect(orderOf(finishAll(broker, first))).toEqual(["running", "a1", "b1", "a0", "b0"]);
  });

  it("of which a store has more than memory may hold are all run, in turns", () => {
    const broker = brokerOf(many);
    for (let group = 0; group < 1_000; group++) {
      broker.from(
        "c",
        Array.from({ length: 20 }, (_, i) => submit(`${group}-${i}`, { group: `g${group}` })),
      );
    }
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 20_000 });
    let held = 0;
    const order: string[] = [];
    for (let todo = begun(broker.node("n", ["add"], 50)); todo.length > 0; ) {
      order.push(...orderOf(todo));
      todo = begun(
        broker.from(
          "n",
          todo.map((id) => answer(id, 0)),
        ),
      );
      held = Math.max(held, broker.counts.tasks);
    }
    expect(new Set(order).size).toBe(20_000);
    expect(order).toHaveLength(20_000);
    expect(held).toBeLessThan(17_000);
    // In turns: after so many runs each group had about as many.
    const counts = new Map<string, number>();
    for (const id of order.slice(0, 10_000)) {
      const group = id.split("-")[0] as string;
      counts.set(group, (counts.get(group) ?? 0) + 1);
    }
    expect(counts.size).toBe(1_000);
    expect(Math.max(...counts.values())).toBeLessThanOrEqual(12);
    expect(Math.min(...counts.values())).toBeGreaterThanOrEqual(8);
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0, assignable: 0 });
  });

  it("keep the order within them across what is in the store", () => {
    const broker = brokerOf(many);
    for (let i = 0; i < 30; i++) {
      broker.from(
        "c",
        Array.from({ length: 500 }, (_, group) => submit(`${group}-${i}`, { group: `g${group}` })),
      );
    }
    const order = orderOf(finishAll(broker, broker.node("n", ["add"], 1)));
    expect(order).toHaveLength(15_000);
    const seen = new Map<string, number>();
    for (const id of order) {
      const [group = "", number] = id.split("-");
      expect(Number(number)).toBe(seen.get(group) ?? 0);
      seen.set(group, Number(number) + 1);
    }
  });

  it("beyond the bound are refused, and there is room again when some are done", () => {
    const broker = brokerOf({ maxGroups: 2 });
    broker.from("c", [submit("1", { group: "a" }), submit("2", { group: "b" })]);
    const busy = { error: { code: -32060 } };
    expect(answers(broker.from("c", submit("3", { group: "c" }))).get("s3")).toMatchObject(busy);
    expect(answers(broker.from("c", ask("3", { group: "c" }))).get("q3")).toMatchObject(busy);
    expect(answers(broker.from("c", submit("3", { group: "b", batch: true }))).get("s3")).toMatchObject({
      result: "c-3",
    });
    expect(answers(broker.from("c", submit("4"))).get("s4")).toMatchObject({ result: "c-4" });
    finishAll(broker, broker.node("n", ["add"], 1));
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
    expect(answers(broker.from("c", submit("5", { group: "c" }))).get("s5")).toMatchObject({ result: "c-5" });
    expect(answers(broker.from("c", submit("6", { group: "d" }))).get("s6")).toMatchObject({ result: "c-6" });
  });

  it.each([
    [
      "finished",
      (broker: ReturnType<typeof brokerOf>, id: string) => broker.from("n", answer(`c-${id}#1`, 0)),
    ],
    ["stopped", (broker: ReturnType<typeof brokerOf>, id: string) => broker.from("c", stop(`c-${id}`))],
  ])("leave nothing behind when their tasks are %s", (_, end) => {
    const broker = brokerOf({ maxGroups: 3 });
    broker.node("n", ["add"], 1);
    for (let i = 0; i < 50; i++) {
      broker.from("c", submit(`a${i}`, { group: `g${i}` }));
      expect(answers(end(broker, `a${i}`))).toBeDefined();
      broker.from("c", ask(`b${i}`, { group: `h${i}` }));
      broker.from("n", answer(`c-qb${i}#1`, 0));
    }
    expect(broker.counts).toMatchObject({ unsettled: 0 });
    for (const group of ["x", "y", "z"]) {
      expect(answers(broker.from("c", submit(group, { group }))).get(`s${group}`)).toMatchObject({
        result: `c-${group}`,
      });
    }
  });

  it("leave nothing behind when their tasks are stopped, or expire, while only the store has them", () => {
    const broker = brokerOf({ maxGroups: 2 });
    for (let i = 0; i < 20; i++) {
      broker.from("c", submit(`a${i}`, { group: `g${i}` }));
      broker.from("c", submit(`b${i}`, { group: `h${i}`, expires_ms: 100 }));
      broker.from("c", stop(`c-a${i}`));
      broker.after(100);
      expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
    }
  });

  it("are there again after a restart", () => {
    const before = brokerOf();
    before.from("c", [
      submit("a0", { group: "a" }),
      submit("a1", { group: "a" }),
      submit("b0", { group: "b" }),
    ]);
    const broker = restarted(before, { maxGroups: 2 });
    expect(answers(broker.from("c", submit("c0", { group: "c" }))).get("sc0")).toMatchObject({
      error: { code: -32060 },
    });
    broker.node("n", ["add"], 1);
    expect(orderOf(finishAll(broker, broker.after(2_000)))).toEqual(["a0", "b0", "a1"]);
  });
});
