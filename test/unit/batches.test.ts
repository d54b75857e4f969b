import { describe, expect, it } from "vitest";
import { answer, type Machine } from "../support/broker-machine.ts";
import {
  answers,
  begun,
  brokerOf,
  failed,
  finishAll,
  orderOf,
  recordOf,
  restarted,
  statusOf,
  stop,
  submit,
} from "../support/scheduled.ts";

const idOf = (effects: Parameters<typeof answers>[0], id: string, peer = "c"): unknown => {
  const { result, error } = (answers(effects, peer).get(`s${id}`) ?? {}) as {
    result?: unknown;
    error?: object;
  };
  return result ?? error;
};
const batch = (id: string, options: { [name: string]: unknown } = {}): object =>
  submit(id, { batch: "b", ...options });

describe("a submission of a batch", () => {
  it("is the task that waits, while that has not begun", () => {
    const broker = brokerOf();
    broker.node("n", ["add", "other"], 1);
    broker.from("c", submit("0", { method: "other" }));
    expect(idOf(broker.from("c", batch("1")), "1")).toBe("c-1");
    expect(idOf(broker.from("c", batch("2")), "2")).toBe("c-1");
    expect(broker.counts.unsettled).toBe(2);
    expect(begun(broker.from("n", answer("c-0#1", 0)))).toEqual(["c-1#1"]);
    broker.from("n", answer("c-1#1", 0));
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
    expect(begun(broker.from("c", batch("3")))).toEqual(["c-3#1"]);
  });

  it("is one more, and never two, while one runs; and they run one after the other", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 5);
    expect(begun(broker.from("c", batch("1")))).toEqual(["c-1#1"]);
    const more = broker.from("c", batch("2"));
    expect([idOf(more, "2"), begun(more)]).toEqual(["c-2", []]);
    expect(idOf(broker.from("c", batch("3")), "3")).toBe("c-2");
    expect(broker.counts.unsettled).toBe(2);
    expect(begun(broker.from("n", answer("c-1#1", 0)))).toEqual(["c-2#1"]);
    const fourth = broker.from("c", batch("4"));
    expect([idOf(fourth, "4"), begun(fourth)]).toEqual(["c-4", []]);
    expect(begun(broker.from("n", failed("c-2#1")))).toEqual(["c-4#1"]);
    broker.from("n", answer("c-4#1", 0));
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0, assignable: 0 });
  });

  it("makes the task that waits as early and as urgent as any that joined", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 1);
    broker.from("c", batch("1", { delay_ms: 60_000, priority: 1 }));
    expect(idOf(broker.from("c", batch("2", { delay_ms: 90_000, priority: 5 })), "2")).toBe("c-1");
    expect(broker.stores.disk.get(["c-1"])).toMatchObject([{ dueAt: 61_000, priority: 5 }]);
    expect(idOf(broker.from("c", batch("3", { delay_ms: 10_000 })), "3")).toBe("c-1");
    expect(broker.stores.disk.get(["c-1"])).toMatchObject([
      { dueAt: 11_000, priority: 5, status: "SCHEDULED" },
    ]);
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 1 });
    expect(begun(broker.after(9_999))).toEqual([]);
    expect(begun(broker.after(1))).toEqual(["c-1#1"]);
  });

  it("lets a delayed one run at once when that is asked for", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 1);
    broker.from("c", batch("1", { delay_ms: 60_000 }));
    const effects = broker.from("c", batch("2"));
    expect([idOf(effects, "2"), begun(effects)]).toEqual(["c-1", ["c-1#1"]]);
    expect(begun(broker.after(60_000))).toEqual([]);
  });

  it("puts the task that waits before others when it is more urgent, wherever it waits", () => {
    const broker = brokerOf();
    const first = [...broker.node("n", ["add"], 1), ...broker.from("c", submit("0"))];
    broker.from("c", [submit("1"), submit("2")]);
    broker.from("c", batch("b1"));
    expect(idOf(broker.from("c", batch("b2", { priority: 1 })), "b2")).toBe("c-b1");
    expect(orderOf(finishAll(broker, first))).toEqual(["0", "b1", "1", "2"]);
    const later = brokerOf();
    later.from("c", [submit("1"), submit("2"), batch("b1")]);
    later.from("c", batch("b2", { priority: 1 }));
    expect(orderOf(finishAll(later, later.node("n", ["add"], 1)))).toEqual(["b1", "1", "2"]);
  });

  it("puts one that waits for another run of its batch at its new time, and it runs once", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 5);
    broker.from("c", batch("1"));
    broker.from("c", batch("2"));
    broker.from("c", batch("3", { priority: 4 }));
    broker.from("c", batch("4", { priority: 5 }));
    expect(recordOf(broker, "c-2")).toMatchObject({ status: "QUEUED" });
    expect(begun(broker.from("n", answer("c-1#1", 0)))).toEqual(["c-2#1"]);
    expect(begun(broker.from("n", answer("c-2#1", 0)))).toEqual([]);
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
  });

  it("conflicts with one of another method or with other params, waiting or running", () => {
    const broker = brokerOf();
    broker.from("c", batch("1"));
    const conflict = { code: -32021 };
    expect(idOf(broker.from("c", batch("2", { params: [2] })), "2")).toMatchObject(conflict);
    expect(idOf(broker.from("c", batch("3", { method: "other" })), "3")).toMatchObject(conflict);
    broker.node("n", ["add"], 1);
    expect(idOf(broker.from("c", batch("4", { params: [2] })), "4")).toMatchObject(conflict);
    broker.from("n", answer("c-1#1", 0));
    expect(idOf(broker.from("c", batch("5", { params: [2] })), "5")).toBe("c-5");
    expect(broker.counts.unsettled).toBe(1);
  });

  it("without a name is one of its method and params", () => {
    const broker = brokerOf();
    expect(idOf(broker.from("c", submit("1", { batch: true })), "1")).toBe("c-1");
    expect(idOf(broker.from("c", submit("2", { batch: true })), "2")).toBe("c-1");
    expect(idOf(broker.from("c", submit("3", { batch: true, params: [2] })), "3")).toBe("c-3");
    expect(idOf(broker.from("c", submit("4", { batch: true, params: [] })), "4")).toBe("c-4");
    const bare = submit("5", { batch: true }) as { params: { params?: unknown } };
    delete bare.params.params;
    expect(idOf(broker.from("c", bare), "5")).toBe("c-4");
    const long = "x".repeat(5_000);
    expect(idOf(broker.from("c", submit("6", { batch: true, params: [`${long}a`] })), "6")).toBe("c-6");
    expect(idOf(broker.from("c", submit("7", { batch: true, params: [`${long}b`] })), "7")).toBe("c-7");
    expect(idOf(broker.from("c", submit("8", { batch: true, params: [`${long}a`] })), "8")).toBe("c-6");
  });

  it("joins across a restart, whether it waits, is delayed, or runs", () => {
    const before = brokerOf();
    before.from("c", batch("1"));
    before.from("c", submit("2", { batch: "later", delay_ms: 1_000_000 }));
    const broker = restarted(before);
    expect(idOf(broker.from("c", batch("3")), "3")).toBeUndefined();
    expect(idOf(broker.from("c", submit("4", { batch: "later" })), "4")).toBeUndefined();
    broker.node("n", ["add"], 5);
    const effects = broker.after(1_500);
    expect([idOf(effects, "3"), idOf(effects, "4")]).toEqual(["c-1", "c-2"]);
    // An attempt may have been begun before the restart: it is left out.
    expect(begun(effects).sort()).toEqual(["c-1#2", "c-2#1"]);
  });

  it("waits for the run that a node brings back after a restart", () => {
    const before = brokerOf();
    before.node("n", ["add"], 5);
    before.from("c", batch("1"));
    before.from("c", batch("2"));
    const broker = restarted(before);
    broker.node("m", ["add"], 5);
    const early = broker.from("c", batch("3"));
    expect(begun(early)).toEqual([]);
    broker.node("n", ["add"], 5, { running: ["c-1#1"] });
    const due = broker.after(1_500);
    expect(idOf(due, "3")).toBe("c-2");
    expect(begun(due)).toEqual([]);
    expect(begun(broker.after(60_000))).toEqual([]);
    expect(begun(broker.from("n", answer("c-1#1", 0)))).toEqual([expect.stringMatching(/^c-2#/)]);
  });

  it.each([[["1", "2"]], [["2", "1"]]])(
    "is one task when lookups overlap, submitted as %s",
    ([first = "", second = ""]) => {
      const broker = brokerOf();
      broker.client("d");
      broker.holdStores();
      broker.from("c", batch(first, { delay_ms: first === "1" ? 1_000 : 0 }));
      broker.from("d", batch(second, { delay_ms: second === "1" ? 1_000 : 0 }));
      const effects = broker.storeAll();
      expect(idOf(effects, first)).toBe(`c-${first}`);
      expect(idOf(effects, second, "d")).toBe(`c-${first}`);
      expect(broker.counts.unsettled).toBe(1);
      expect(begun(broker.node("n", ["add"], 5))).toEqual([expect.stringMatching(`^c-${first}#`)]);
      expect(begun(broker.after(2_000))).toEqual([]);
    },
  );

  it("is one task for many clients at once, that run and come again", () => {
    const broker = brokerOf({ maxClientTasks: 10_000 });
    const clients = Array.from({ length: 20 }, (_, i) => `k${i}`);
    for (const client of clients) broker.client(client);
    broker.node("n", ["add"], 10);
    for (let round = 0; round < 10; round++) {
      broker.holdStores();
      for (const client of clients) broker.from(client, batch(`r${round}`));
      const effects = broker.storeAll();
      const ids = new Set(clients.map((client) => idOf(effects, `r${round}`, client)));
      expect(ids.size).toBeLessThanOrEqual(2);
      expect(broker.counts.unsettled).toBeLessThanOrEqual(2);
      const [runs = [], ...more] = [begun(effects)];
      expect([runs.length, more.length]).toEqual([round === 0 ? 1 : 0, 0]);
      if (round === 0) continue;
      const held = [...broker.stores.disk.list({ limit: 100 }).tasks].filter(
        ({ settledAt }) => settledAt === undefined,
      );
      expect(held.length).toBeLessThanOrEqual(2);
    }
  });

  it("sent again is not a second one", () => {
    const broker = brokerOf();
    broker.holdStores();
    broker.from("c", batch("1", { delay_ms: 1_000 }));
    broker.from("c", batch("1", { delay_ms: 1_000 }));
    const effects = broker.storeAll();
    expect(idOf(effects, "1")).toBe("c-1");
    expect(idOf(broker.from("c", batch("1", { delay_ms: 1_000 })), "1")).toBe("c-1");
    broker.node("n", ["add"], 1);
    expect(begun(broker.after(1_000))).toEqual(["c-1#1"]);
    expect(idOf(broker.from("c", batch("1")), "1")).toBe("c-1");
    broker.from("n", answer("c-1#1", 0));
    expect(idOf(broker.from("c", batch("1")), "1")).toBe("c-1");
    expect(statusOf(broker, "1")).toBe("FINISHED");
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
  });

  it("joins one that waits for its retry", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 1);
    broker.from("c", batch("1", { retries: 1, backoff: { initial_ms: 60_000, jitter: 0 } }));
    broker.from("n", failed("c-1#1"));
    const effects = broker.from("c", batch("2"));
    expect([idOf(effects, "2"), begun(effects)]).toEqual(["c-1", ["c-1#2"]]);
    broker.from("n", answer("c-1#2", 0));
    expect(begun(broker.after(100_000))).toEqual([]);
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
  });

  it("runs no two at a time when one that failed comes back while another runs", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 5);
    broker.from("c", batch("1", { retries: 1, backoff: { initial_ms: 1_000, jitter: 0 } }));
    broker.from("c", batch("2"));
    expect(begun(broker.from("n", failed("c-1#1")))).toEqual(["c-2#1"]);
    expect(begun(broker.after(1_000))).toEqual([]);
    expect(begun(broker.from("n", answer("c-2#1", 0)))).toEqual(["c-1#2"]);
  });

  it("that is stopped lets the next begin, whether it runs or waits", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 5);
    broker.from("c", batch("1"));
    broker.from("c", batch("2"));
    broker.from("c", stop("c-2"));
    expect(idOf(broker.from("c", batch("3")), "3")).toBe("c-3");
    expect(begun(broker.from("c", stop("c-1")))).toEqual(["c-3#1"]);
    broker.from("c", stop("c-3"));
    expect(begun(broker.from("c", batch("4")))).toEqual(["c-4#1"]);
    broker.from("n", answer("c-4#1", 0));
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
  });

  it("goes on with its node's loss, and what waits keeps waiting", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 5);
    broker.from("c", batch("1"));
    broker.from("c", batch("2"));
    broker.lost("n");
    expect(idOf(broker.from("c", batch("3")), "3")).toMatch(/^c-[12]$/);
    expect(begun(broker.node("m", ["add"], 5))).toEqual(["c-1#2"]);
    expect(begun(broker.from("m", answer("c-1#2", 0)))).toEqual(["c-2#1"]);
  });

  it("is refused while the broker drains, and when its store failed", () => {
    const broker = brokerOf();
    broker.from("c", batch("1"));
    broker.holdStores();
    broker.from("c", batch("2"));
    const effects = broker.handle({ type: "store-failed", level: "disk", reason: "full" });
    broker.storeAll();
    expect(idOf(effects, "2")).toMatchObject({ code: -32062 });
    expect(idOf(broker.from("c", batch("3")), "3")).toMatchObject({ code: -32062 });
    const draining = brokerOf();
    draining.from("c", batch("1"));
    draining.handle({ type: "drain" });
    expect(idOf(draining.from("c", batch("2")), "2")).toMatchObject({ code: -32060 });
  });

  it("of equal calls that are one run is one more while that runs", () => {
    const broker = brokerOf();
    broker.node("n", [{ name: "add", coalesce: true }], 5);
    const [run = ""] = begun(broker.from("c", batch("1")));
    expect(run).toMatch(/^run:/);
    const second = broker.from("c", batch("2"));
    expect([idOf(second, "2"), begun(second)]).toEqual(["c-2", []]);
    const next = begun(broker.from("n", answer(run, 0)));
    expect(next).toHaveLength(1);
    expect(statusOf(broker, "1")).toBe("FINISHED");
    broker.from("n", answer(next[0] ?? "", 0));
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
  });

  it("of many names leaves nothing behind", () => {
    const broker = brokerOf({ maxStoredTasks: 10_000, maxClientTasks: 10_000 });
    const round = (machine: Machine, name: string): void => {
      for (let i = 0; i < 200; i++)
        machine.from("c", submit(`${name}${i}`, { batch: `b${i}`, delay_ms: i + 1 }));
      finishAll(machine, machine.after(1_000));
    };
    broker.node("n", ["add"], 3);
    for (const name of ["x", "y", "z"]) {
      round(broker, name);
      expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0, assignable: 0 });
    }
  });
});
