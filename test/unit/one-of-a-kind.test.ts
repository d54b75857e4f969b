// What is one of several kinds at once, and what it must not stand in the way of.
import { describe, expect, it } from "vitest";
import { answer, call } from "../support/broker-machine.ts";
import { answers, ask, begun, brokerOf, restarted, statusOf, submit } from "../support/scheduled.ts";

const roomy = {
  ...{ maxClientTasks: 50_000, maxStoredTasks: 50_000, maxTasks: 50_000 },
  ...{ maxTaskBytes: 1e9, maxStoredBytes: 1e9, maxClientBytes: 1e9 },
};
const queued = { name: "add", singleton: { by: "method", mode: "queue" } };
const named = { name: "add", singleton: { by: "params", mode: "stop" } };

describe("a singleton", () => {
  it("is one, whatever batches its tasks are in", () => {
    const broker = brokerOf();
    broker.node("n", [queued], 5);
    expect(begun(broker.from("c", submit("1")))).toEqual(["c-1#1"]);
    expect(begun(broker.from("c", submit("2", { batch: "x" })))).toEqual([]);
    expect(begun(broker.from("c", submit("3", { batch: "y" })))).toEqual([]);
    expect(begun(broker.from("n", answer("c-1#1", 0)))).toEqual(["c-2#1"]);
    expect(begun(broker.from("n", answer("c-2#1", 0)))).toEqual(["c-3#1"]);
    broker.from("n", answer("c-3#1", 0));
    expect(broker.counts).toMatchObject({ unsettled: 0, tasks: 0 });
  });

  it("that is one of a batch, too, ends when another one runs", () => {
    const broker = brokerOf();
    broker.node("n", [{ name: "add", singleton: { by: "method", mode: "stop" } }], 5);
    broker.from("c", submit("1", { batch: "x" }));
    broker.from("c", submit("2"));
    expect(statusOf(broker, "2")).toBe("STOPPED");
    broker.from("c", submit("3", { batch: "x" }));
    expect(begun(broker.from("n", answer("c-1#1", 0)))).toEqual(["c-3#1"]);
  });

  it("is not forgotten when its node comes back twice before it has told its name", () => {
    const before = brokerOf();
    before.node("n", [named], 5);
    before.from("c", submit("1", { params: ["a"] }));
    before.from("n", answer("name:1", { name: "a" }));
    const broker = restarted(before);
    const running = { running: ["c-1#1"] };
    broker.node("n", [named], 5, running);
    broker.lost("n");
    broker.from(
      "n2",
      call("zerotask.broker.node_connect", "hi", {
        ...{ node_id: "n", protocol: 2, token: "n's", methods: [named], slots: 5 },
        ...running,
      }),
    );
    broker.from("c", submit("2", { params: ["a"] }));
    expect(begun(broker.after(5_000))).toEqual([]);
  });

  it("fails when no node tells its name, however often it is asked", () => {
    const broker = brokerOf();
    broker.node("n", [named], 5);
    broker.from("c", submit("1", { params: ["a"] }));
    for (let i = 0; i < 60; i++) broker.after(1_000);
    expect(statusOf(broker, "1")).toBe("FAILED");
  });

  it("can be one of the broker's own tasks", () => {
    const broker = brokerOf({
      brokerTasks: () => [{ name: "broker.one", singleton: { by: "params", mode: "stop" } }],
    });
    const own = { method: "broker.one" };
    expect(begun(broker.from("c", ask("1", { ...own, params: ["a"] })))).toEqual(["c-q1#1"]);
    expect(answers(broker.from("c", ask("2", { ...own, params: ["a"] }))).get("q2")).toMatchObject({
      error: { code: -32040 },
    });
    expect(begun(broker.from("c", ask("3", { ...own, params: ["b"] })))).toEqual(["c-q3#1"]);
  });
});

it("holds the broker's own tasks to their limits", () => {
  const broker = brokerOf({ brokerTasks: () => [{ name: "broker.two", concurrency: 2 }] });
  const asked = [1, 2, 3].map((n) => ask(String(n), { method: "broker.two" }));
  expect(begun(broker.from("c", asked))).toHaveLength(2);
});

it("runs what can run, though thousands wait for others to end", () => {
  const broker = brokerOf(roomy);
  broker.node("n", [{ name: "add", coalesce: true }], 3);
  for (let i = 0; i < 12_000; i += 500) {
    broker.from(
      "c",
      Array.from({ length: 500 }, (_, j) => submit(String(i + j))),
    );
  }
  expect(begun(broker.from("c", submit("other", { params: [2] })))).toHaveLength(1);
});

it("runs stored tasks in their order, though thousands of calls wait", () => {
  const broker = brokerOf(roomy);
  broker.node("n", ["add"], 1);
  for (let i = 0; i < 35_000; i += 500) {
    broker.from(
      "c",
      Array.from({ length: 500 }, (_, j) => ask(String(i + j))),
    );
  }
  broker.from("c", submit("urgent", { priority: 100 }));
  expect(begun(broker.from("n", answer("c-q0#1", 0)))).toEqual(["c-urgent#1"]);
});

describe("equal calls", () => {
  it("are equal whatever the order of their members", () => {
    const broker = brokerOf();
    broker.node("n", [{ name: "add", coalesce: true }], 5);
    const first = broker.from("c", ask("1", { params: [{ a: 1, b: 2 }] }));
    const second = broker.from("c", ask("2", { params: [{ b: 2, a: 1 }] }));
    expect([begun(first).length, begun(second).length]).toEqual([1, 0]);
  });

  it("of two groups are two runs: neither waits for the other's turn", () => {
    const broker = brokerOf();
    broker.node("n", [{ name: "add", coalesce: true, per_group: { concurrency: 1 } }], 5);
    broker.from("c", ask("1", { params: [0], group: "a" }));
    expect(begun(broker.from("c", ask("2", { group: "a" })))).toEqual([]);
    expect(begun(broker.from("c", ask("3", { group: "b" })))).toHaveLength(1);
  });

  it("with other bounds on their runs are two runs", () => {
    const broker = brokerOf();
    broker.node("n", [{ name: "add", coalesce: true }], 5);
    broker.from("c", [ask("1", { timeout_ms: 1_000 }), ask("2")]);
    const told = answers(broker.after(1_000));
    expect(told.get("q1")).toMatchObject({ error: { code: -32041 } });
    expect(told.get("q2")).toBeUndefined();
  });
});

describe("a batch", () => {
  it("still expires when somebody has joined it", () => {
    const broker = brokerOf();
    broker.from("c", submit("1", { batch: "x", expires_ms: 1_000 }));
    broker.after(500);
    broker.from("c", submit("2", { batch: "x" }));
    broker.after(500);
    expect(statusOf(broker, "1")).toBe("EXPIRED");
  });

  it("is the same whatever the order of the members of its params", () => {
    const broker = brokerOf();
    broker.from("c", submit("1", { batch: true, params: [{ a: 1, b: 2 }] }));
    const told = answers(broker.from("c", submit("2", { batch: true, params: [{ b: 2, a: 1 }] })));
    expect(told.get("s2")).toMatchObject({ result: "c-1" });
  });
});

it("takes other groups where the rates of idle ones are all that is remembered", () => {
  const broker = brokerOf({ maxGroups: 3 });
  broker.node("n", [{ name: "add", per_group: { rate: "10/day" } }], 5);
  for (let i = 0; i < 10; i++) {
    const [attempt = ""] = begun(broker.from("c", submit(String(i), { group: `g${i}` })));
    expect(attempt).toBe(`c-${i}#1`);
    broker.from("n", answer(attempt, 0));
  }
});

it("gives up a store that failed with thousands of tasks waiting", () => {
  const broker = brokerOf(roomy);
  broker.node("n", ["add"], 1);
  for (let i = 0; i < 10_000; i += 500) {
    broker.from(
      "c",
      Array.from({ length: 500 }, (_, j) => submit(String(i + j))),
    );
  }
  broker.handle({ type: "store-failed", level: "disk", reason: "gone" });
  expect(broker.counts.tasks).toBe(1);
});
