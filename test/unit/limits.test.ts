import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { answer, call, type Machine } from "../support/broker-machine.ts";
import {
  ask,
  begun,
  brokerOf,
  failed,
  finishAll,
  orderOf,
  restarted,
  stop,
  submit,
} from "../support/scheduled.ts";

const finish = (broker: Machine, attempts: readonly string[], node = "n"): string[] =>
  begun(
    broker.from(
      node,
      attempts.map((id) => answer(id, 0)),
    ),
  );

describe("how many run at once", () => {
  it("is bounded for a method, over all nodes, and others go on", () => {
    const broker = brokerOf();
    const add = { name: "add", concurrency: 2 };
    broker.node("n", [add, "other"], 5);
    broker.node("m", [add, "other"], 5);
    const first = begun(
      broker.from(
        "c",
        ["1", "2", "3", "4"].map((id) => submit(id)),
      ),
    );
    expect(first).toEqual(["c-1#1", "c-2#1"]);
    expect(begun(broker.from("c", submit("5", { method: "other" })))).toEqual(["c-5#1"]);
    expect(begun(broker.from("c", ask("6")))).toEqual([]);
    expect(broker.counts.assignable).toBe(0);
    const owner = broker.from("m", answer("c-1#1", 0));
    const more = begun(owner).length > 0 ? owner : broker.from("n", answer("c-1#1", 0));
    expect(begun(more)).toEqual(["c-3#1"]);
  });

  it("is bounded for each group, and not for what has none", () => {
    const broker = brokerOf();
    broker.node("n", [{ name: "add", per_group: { concurrency: 1 } }], 10);
    const groups = ["a", "a", "b", "b", "b"];
    const first = begun(
      broker.from(
        "c",
        groups.map((group, i) => submit(String(i), { group })),
      ),
    );
    expect(first).toEqual(["c-0#1", "c-2#1"]);
    expect(
      begun(
        broker.from(
          "c",
          ["x", "y", "z"].map((id) => submit(id)),
        ),
      ),
    ).toHaveLength(3);
    expect(finish(broker, ["c-2#1"])).toEqual(["c-3#1"]);
    expect(finish(broker, ["c-0#1"])).toEqual(["c-1#1"]);
    expect(finish(broker, ["c-3#1"])).toEqual(["c-4#1"]);
  });

  it("holds for the method and its groups together", () => {
    const broker = brokerOf();
    broker.node("n", [{ name: "add", concurrency: 2, per_group: { concurrency: 1 } }], 10);
    const first = begun(
      broker.from("c", [
        submit("a0", { group: "a" }),
        submit("a1", { group: "a" }),
        submit("b0", { group: "b" }),
        submit("c0", { group: "c" }),
      ]),
    );
    expect(first).toEqual(["c-a0#1", "c-b0#1"]);
    expect(finish(broker, ["c-b0#1"])).toEqual(["c-c0#1"]);
    expect(finish(broker, ["c-a0#1"])).toEqual(["c-a1#1"]);
  });

  it("counts no run whose node is lost, or that ended in any other way", () => {
    const broker = brokerOf();
    const add = { name: "add", concurrency: 1, timeout_ms: 1_000 };
    broker.node("n", [add], 5);
    broker.node("m", [add], 1);
    broker.from(
      "c",
      ["1", "2", "3", "4", "5"].map((id) => submit(id)),
    );
    expect(begun(broker.lost("n"))).toEqual(["c-1#2"]);
    expect(begun(broker.from("m", failed("c-1#2")))).toEqual(["c-2#1"]);
    expect(begun(broker.from("c", stop("c-2")))).toEqual(["c-3#1"]);
    expect(begun(broker.after(1_000))).toEqual(["c-4#1"]);
    const back = call("zerotask.broker.node_task_status", "b", ["m", "c-4#1", "QUEUED"]);
    expect(begun(broker.from("m", back))).toEqual([]);
    broker.node("o", [add], 1);
    expect(finishAll(broker, [], "o")).toEqual([]);
    broker.from("o", answer("c-4#2", 0));
    expect(broker.counts.assignable).toBe(0);
  });

  it("counts what nodes bring back after a restart, and nothing else begins before they had time to", () => {
    const add = { name: "add", concurrency: 2 };
    const before = brokerOf();
    before.node("n", [add], 5);
    before.from(
      "c",
      ["1", "2", "3"].map((id) => submit(id)),
    );
    const broker = restarted(before);
    broker.node("m", [add, "free"], 5);
    expect(begun(broker.from("c", [ask("4"), ask("5", { method: "free" })]))).toEqual(["c-q5#1"]);
    broker.node("n", [add], 5, { running: ["c-1#1", "c-2#1"] });
    expect(begun(broker.after(1_499))).toEqual([]);
    expect(begun(broker.after(1))).toEqual([]);
    expect(begun(broker.after(60_000))).toEqual([]);
    expect(finish(broker, ["c-1#1"])).toEqual(["c-3#1"]);
  });

  it("begins at once after a restart, when the time is over and nobody brought anything back", () => {
    const add = { name: "add", concurrency: 2 };
    const before = brokerOf();
    before.node("n", [add], 5);
    before.from(
      "c",
      ["1", "2", "3"].map((id) => submit(id)),
    );
    const broker = restarted(before);
    broker.node("m", [add], 5);
    expect(begun(broker.after(1_500))).toEqual(["c-1#1", "c-2#1"]);
  });

  it("is what the last node to come says, from then on, for all nodes", () => {
    const broker = brokerOf();
    broker.node("n", [{ name: "add", concurrency: 1 }], 5);
    expect(
      begun(
        broker.from(
          "c",
          ["1", "2", "3", "4"].map((id) => submit(id)),
        ),
      ),
    ).toEqual(["c-1#1"]);
    expect(begun(broker.node("m", [{ name: "add", concurrency: 3 }], 0), "n")).toEqual(["c-2#1", "c-3#1"]);
    expect(begun(broker.node("o", ["add"], 0), "n")).toEqual(["c-4#1"]);
  });

  it("is bounded for groups by a description that comes later, and not any more without it", () => {
    const broker = brokerOf();
    const limited = { name: "add", per_group: { concurrency: 1, rate: "1/hour" } };
    broker.from(
      "c",
      ["1", "2", "3"].map((id) => submit(id, { group: "g" })),
    );
    expect(begun(broker.node("n", [limited], 5))).toEqual(["c-1#1"]);
    expect(begun(broker.node("m", ["add"], 0))).toEqual(["c-2#1", "c-3#1"]);
  });

  it("holds also for nodes that ask for their tasks", () => {
    const broker = brokerOf();
    broker.node("n", [{ name: "add", concurrency: 1 }], 1);
    broker.from("old", call("zerotask.broker.node_connect", 1, ["legacy"]));
    broker.from("c", [submit("1"), submit("2")]);
    const give = call("zerotask.broker.node_task_request", 2, ["legacy", "c-2"]);
    expect(broker.from("old", give)).toMatchObject([{ message: { result: null } }]);
    broker.node("m", [{ name: "add", concurrency: 2 }], 0);
    expect(broker.from("old", give)).toMatchObject([{ message: { result: { id: "c-2" } } }]);
  });
});

describe("how many begin within a time", () => {
  it("is bounded for a method, and others go on", () => {
    const broker = brokerOf();
    broker.node("n", [{ name: "add", rate: "2/min" }, "other"], 10);
    const ids = ["1", "2", "3", "4", "5"];
    expect(
      begun(
        broker.from(
          "c",
          ids.map((id) => submit(id)),
        ),
      ),
    ).toEqual(["c-1#1", "c-2#1"]);
    expect(begun(broker.from("c", submit("6", { method: "other" })))).toEqual(["c-6#1"]);
    expect(begun(broker.after(59_999))).toEqual([]);
    expect(begun(broker.after(1))).toEqual(["c-3#1", "c-4#1"]);
    expect(begun(broker.after(60_000))).toEqual(["c-5#1"]);
  });

  it("is bounded for each group", () => {
    const broker = brokerOf();
    broker.node("n", [{ name: "add", per_group: { rate: "1/10s" } }], 10);
    const first = begun(
      broker.from("c", [
        submit("a0", { group: "a" }),
        submit("a1", { group: "a" }),
        submit("b0", { group: "b" }),
        submit("0"),
        submit("1"),
      ]),
    );
    expect(first).toEqual(["c-a0#1", "c-b0#1", "c-0#1", "c-1#1"]);
    expect(begun(broker.after(4_000))).toEqual([]);
    broker.from(
      "n",
      first.map((id) => answer(id, 0)),
    );
    expect(begun(broker.from("c", submit("b1", { group: "b" })))).toEqual([]);
    expect(begun(broker.after(6_000)).sort()).toEqual(["c-a1#1", "c-b1#1"]);
  });

  it("is remembered while nothing of a group is left, and forgotten in time", () => {
    const broker = brokerOf({ maxGroups: 1 });
    broker.node("n", [{ name: "add", per_group: { rate: "1/10s" } }], 10);
    expect(finishAll(broker, broker.from("c", submit("1", { group: "a" })))).toEqual(["c-1#1"]);
    broker.after(9_000);
    expect(begun(broker.from("c", submit("2", { group: "a" })))).toEqual([]);
    expect(begun(broker.after(1_000))).toEqual(["c-2#1"]);
    broker.from("n", answer("c-2#1", 0));
    broker.after(10_000);
    // The bound of one group has room for another.
    expect(begun(broker.from("c", submit("3", { group: "b" })))).toEqual(["c-3#1"]);
  });

  it("lets the next begin as soon as it may, though all was done in between", () => {
    const broker = brokerOf();
    broker.node("n", [{ name: "add", per_group: { rate: "2/10s" } }], 10);
    broker.from("c", submit("1", { group: "a" }));
    broker.after(8_000);
    broker.from("c", submit("2", { group: "a" }));
    finish(broker, ["c-1#1", "c-2#1"]);
    expect(begun(broker.from("c", submit("3", { group: "a" })))).toEqual([]);
    expect(begun(broker.after(1_999))).toEqual([]);
    expect(begun(broker.after(1))).toEqual(["c-3#1"]);
  });

  it("counts each run of a task, and starts on every node", () => {
    const broker = brokerOf();
    broker.node("n", [{ name: "add", rate: "2/s" }], 1);
    broker.node("m", [{ name: "add", rate: "2/s" }], 1);
    const retried = { retries: 5, backoff: { initial_ms: 0 } };
    const [first = ""] = begun(broker.from("c", submit("1", retried)));
    const again = [...broker.from("n", failed(first)), ...broker.from("m", failed(first))];
    expect(begun(again)).toEqual(["c-1#2"]);
    expect(begun([...broker.from("n", failed("c-1#2")), ...broker.from("m", failed("c-1#2"))])).toEqual([]);
    expect(begun(broker.after(1_000))).toEqual(["c-1#3"]);
  });

  it("is bounded whenever tasks come and end: no window of its length sees more starts, and all begin", () => {
    const arrivals = fc.array(
      fc.record({
        wait: fc.integer({ min: 0, max: 400 }),
        group: fc.constantFrom(undefined, "a", "b"),
        runMs: fc.integer({ min: 0, max: 300 }),
        isCall: fc.boolean(),
      }),
      { minLength: 1, maxLength: 60 },
    );
    const limits = fc.record({
      concurrency: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
      count: fc.integer({ min: 1, max: 6 }),
      perMs: fc.constantFrom(70, 500, 1_000),
      groupCount: fc.integer({ min: 1, max: 4 }),
      groupConcurrency: fc.option(fc.integer({ min: 1, max: 2 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(arrivals, limits, (tasks, limit) => runWithLimits(tasks, limit)),
      { numRuns: 60 },
    );
  });
});

interface Arrival {
  readonly wait: number;
  readonly group: string | undefined;
  readonly runMs: number;
  readonly isCall: boolean;
}

interface Limit {
  readonly concurrency: number | undefined;
  readonly count: number;
  readonly perMs: number;
  readonly groupCount: number;
  readonly groupConcurrency: number | undefined;
}

/** Turns the clock in small steps, and looks at every start. */
function runWithLimits(tasks: readonly Arrival[], limit: Limit): void {
  const { concurrency, count, perMs, groupCount, groupConcurrency } = limit;
  const broker = brokerOf();
  const add = {
    ...{ name: "add", rate: `${count}/${perMs}ms`, concurrency: concurrency ?? null },
    per_group: { rate: `${groupCount}/${perMs}ms`, concurrency: groupConcurrency ?? null },
  };
  broker.node("n", [add], 5);
  broker.node("m", [add], 5);
  const starts: { readonly at: number; readonly group: string | undefined }[] = [];
  const running = new Map<
    string,
    { readonly until: number; readonly node: string; readonly task: Arrival }
  >();
  let now = 0;
  const note = (effects: ReturnType<Machine["after"]>): void => {
    for (const node of ["n", "m"]) {
      for (const id of begun(effects, node)) {
        const task = tasks[Number(id.replace(/\D*(\d+)#.*/, "$1"))] as Arrival;
        starts.push({ at: now, group: task.group });
        running.set(id, { until: now + task.runMs, node, task });
      }
    }
    expect(running.size).toBeLessThanOrEqual(concurrency ?? 10);
    for (const group of ["a", "b"]) {
      const ofGroup = [...running.values()].filter(({ task }) => task.group === group).length;
      expect(ofGroup).toBeLessThanOrEqual(groupConcurrency ?? 10);
    }
    expect(broker.counts.assignable).toBe(0);
  };
  const step = 10;
  const pass = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += step) {
      now += step;
      note(broker.after(step));
      for (const [id, { until, node }] of [...running]) {
        if (until > now) continue;
        running.delete(id);
        note(broker.from(node, answer(id, 0)));
      }
    }
  };
  for (const [i, { wait, group, isCall }] of tasks.entries()) {
    pass(wait);
    const options = group === undefined ? {} : { group };
    note(broker.from("c", isCall ? ask(String(i), options) : submit(String(i), options)));
  }
  pass(tasks.length * (perMs + 320) + 1_000);
  expect(starts).toHaveLength(tasks.length);
  const check = (times: readonly number[], most: number): void => {
    for (let i = most; i < times.length; i++) {
      expect((times[i] as number) - (times[i - most] as number)).toBeGreaterThanOrEqual(perMs);
    }
  };
  check(
    starts.map(({ at }) => at),
    count,
  );
  for (const group of ["a", "b"]) {
    check(
      starts.filter((start) => start.group === group).map(({ at }) => at),
      groupCount,
    );
  }
  broker.after(10_000);
  broker.from("c", call("zerotask.broker.client_ack", "ack", [10_000]));
  expect(broker.counts).toMatchObject({ unsettled: 0 });
}

describe("tasks over a limit", () => {
  it("wait in turns of their groups, and nothing is lost", () => {
    const broker = brokerOf({ maxStoredTasks: 10_000, maxClientTasks: 10_000, maxGroups: 100 });
    broker.node("n", [{ name: "add", concurrency: 3, per_group: { concurrency: 1 } }], 50);
    const first: string[] = [];
    for (let i = 0; i < 40; i++) {
      for (let group = 0; group < 20; group++) {
        first.push(...begun(broker.from("c", submit(`${group}-${i}`, { group: `g${group}` }))));
      }
    }
    const order: string[] = [];
    for (let todo = first; todo.length > 0; ) {
      expect(todo.length).toBeLessThanOrEqual(3);
      order.push(...orderOf(todo));
      todo = todo.flatMap((id) => finish(broker, [id]));
    }
    expect(new Set(order).size).toBe(800);
    const halfway = order.slice(0, 400).map((id) => id.split("-")[0] as string);
    for (let group = 0; group < 20; group++) {
      const count = halfway.filter((name) => name === String(group)).length;
      expect(Math.abs(count - 20)).toBeLessThanOrEqual(2);
    }
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
  });
});
