import { describe, expect, it } from "vitest";
import { answer } from "../support/broker-machine.ts";
import {
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

const many = { maxStoredTasks: 100_000, maxClientTasks: 100_000, maxResults: 100_000 };

describe("of the tasks that wait", () => {
  it("those of higher priority run first, and among equals those that came first", () => {
    const broker = brokerOf();
    const first = broker.node("n", ["add"], 1);
    for (const [id, priority] of [
      ["a", 0],
      ["b", 0],
      ["c", 5],
      ["d", -5],
      ["e", 5],
      ["f", undefined],
    ] as const) {
      first.push(...broker.from("c", submit(id, priority === undefined ? {} : { priority })));
    }
    expect(orderOf(finishAll(broker, first))).toEqual(["a", "c", "e", "b", "f", "d"]);
  });

  it("one that has waited a minute for each level goes before a newer one that is more urgent", () => {
    const broker = brokerOf();
    const first = [...broker.node("n", ["add"], 1), ...broker.from("c", submit("running"))];
    broker.from("c", submit("old"));
    broker.after(179_999);
    broker.from("c", submit("before", { priority: 3 }));
    broker.after(2);
    broker.from("c", submit("after", { priority: 3 }));
    expect(orderOf(finishAll(broker, first))).toEqual(["running", "before", "old", "after"]);
  });

  it("have the priority that their method says, if none of their own", () => {
    const broker = brokerOf();
    const first = broker.node("n", [{ name: "add", priority: 2 }, "other"], 1);
    first.push(...broker.from("c", submit("running")));
    broker.from("c", submit("none", { method: "other" }));
    broker.from("c", submit("own", { priority: 1 }));
    broker.from("c", submit("its"));
    expect(orderOf(finishAll(broker, first))).toEqual(["running", "its", "own", "none"]);
  });

  it("run in order across the methods of a node, calls among them", () => {
    const broker = brokerOf();
    const first = broker.node("n", ["a", "b", "c"], 1);
    first.push(...broker.from("c", submit("running", { method: "a" })));
    broker.from("c", submit("1", { method: "a" }));
    broker.from("c", submit("2", { method: "b", priority: 1 }));
    broker.from("c", ask("3", { method: "c", priority: 2 }));
    broker.from("c", submit("4", { method: "b" }));
    expect(orderOf(finishAll(broker, first))).toEqual(["running", "q3", "2", "1", "4"]);
  });

  it("a new urgent one runs next, though thousands wait in memory and in the store", () => {
    const broker = brokerOf(many);
    const first = [...broker.node("n", ["add"], 1), ...broker.from("c", submit("running"))];
    for (let i = 0; i < 24; i++) {
      broker.from(
        "c",
        Array.from({ length: 1_000 }, (_, j) => submit(String(i * 1_000 + j))),
      );
    }
    expect(broker.counts.tasks).toBeLessThan(11_000);
    broker.from("c", submit("urgent", { priority: 1 }));
    expect(begun(broker.from("n", answer(begun(first)[0] as string, 0)))).toEqual(["c-urgent#1"]);
    expect(begun(broker.from("n", answer("c-urgent#1", 0)))).toEqual(["c-0#1"]);
  });

  it("urgent ones run first, though there are more of them than memory holds", () => {
    const broker = brokerOf(many);
    const first = [...broker.node("n", ["add"], 1), ...broker.from("c", submit("running"))];
    const submitAll = (prefix: string, count: number, options: { priority?: number }): void => {
      for (let i = 0; i < count; i += 1_000) {
        const ids = Array.from({ length: 1_000 }, (_, j) => `${prefix}${i + j}`);
        broker.from(
          "c",
          ids.map((id) => submit(id, options)),
        );
      }
    };
    submitAll("low", 12_000, {});
    broker.after(1);
    submitAll("high", 24_000, { priority: 1 });
    let held = broker.counts.tasks;
    const order: string[] = [];
    for (let todo = begun(first); todo.length > 0; ) {
      order.push(...orderOf(todo));
      todo = begun(
        broker.from(
          "n",
          todo.map((id) => answer(id, 0)),
        ),
      );
      held = Math.max(held, broker.counts.tasks);
    }
    const expected = ["running"];
    for (let i = 0; i < 24_000; i++) expected.push(`high${i}`);
    for (let i = 0; i < 12_000; i++) expected.push(`low${i}`);
    expect(order.findIndex((id, i) => id !== expected[i])).toBe(-1);
    expect(order).toHaveLength(36_001);
    expect(held).toBeLessThan(25_000);
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
  });

  it("memory is bounded also where urgent ones come and are stopped again and again", () => {
    const broker = brokerOf(many);
    broker.node("n", ["add"], 1);
    const page = (prefix: string, options: { priority?: number }): void =>
      void broker.from(
        "c",
        Array.from({ length: 1_000 }, (_, i) => submit(`${prefix}-${i}`, options)),
      );
    for (let i = 0; i < 22; i++) page(`low${i}`, {});
    for (let i = 0; i < 12; i++) page(`high${i}`, { priority: 1 });
    for (let i = 0; i < 60; i++) {
      broker.from("c", submit(`most${i}`, { priority: 2 }));
      broker.from("c", stop(`c-most${i}`));
      broker.after(10);
    }
    expect(broker.counts.tasks).toBeLessThan(32_000);
  });

  it("keep their places when their node is lost", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 2);
    broker.from("c", [submit("1"), submit("2"), submit("3"), submit("4")]);
    broker.after(10);
    broker.from("c", submit("5"));
    broker.lost("n");
    expect(orderOf(finishAll(broker, broker.node("m", ["add"], 1), "m"))).toEqual(["1", "2", "3", "4", "5"]);
  });

  it("are in the same order after a restart", () => {
    const before = brokerOf();
    before.from("c", [submit("1"), submit("2", { priority: 2 }), submit("3", { priority: 1 }), submit("4")]);
    const broker = restarted(before);
    broker.node("n", ["add"], 1);
    expect(orderOf(finishAll(broker, broker.after(2_000)))).toEqual(["2", "3", "1", "4"]);
  });

  it("one that failed comes back behind those that were due before it", () => {
    const broker = brokerOf();
    const first = [...broker.node("n", ["add"], 1)];
    first.push(...broker.from("c", submit("1", { retries: 1, backoff: { initial_ms: 0 } })));
    broker.after(1);
    broker.from("c", [submit("2"), submit("3")]);
    broker.after(1);
    expect(begun(broker.from("n", failed("c-1#1")))).toEqual(["c-2#1"]);
    expect(statusOf(broker, "1")).toBe("QUEUED");
    expect(orderOf(finishAll(broker, broker.from("n", answer("c-2#1", 0))))).toEqual(["3", "1"]);
  });
});
