import { describe, expect, it } from "vitest";
import { answer, call } from "../support/broker-machine.ts";
import {
  answers,
  ask,
  begun,
  brokerOf,
  failed,
  finishAll,
  recordOf,
  restarted,
  statusOf,
  stop,
  submit,
} from "../support/scheduled.ts";

describe("a delayed task", () => {
  it("is SCHEDULED until it is due, and begins at once then", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 1);
    expect(answers(broker.from("c", submit("1", { delay_ms: 5_000 }))).get("s1")).toMatchObject({
      result: "c-1",
    });
    expect(statusOf(broker, "1")).toBe("SCHEDULED");
    expect(begun(broker.after(4_999))).toEqual([]);
    expect(begun(broker.after(1))).toEqual(["c-1#1"]);
    expect(statusOf(broker, "1")).toBe("ASSIGNED");
    broker.from("n", answer("c-1#1", 2));
    expect(statusOf(broker, "1")).toBe("FINISHED");
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
  });

  it("is in the store and not in memory, and wakes the broker when it is due", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 1);
    const effects = broker.from("c", submit("1", { delay_ms: 700 }));
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 1 });
    expect(broker.stores.disk.get(["c-1"])).toMatchObject([{ status: "SCHEDULED", dueAt: 1_700 }]);
    expect(effects).toContainEqual({ type: "wake", at: 1_700 });
  });

  it("runs now where its time has passed, by the clock on the wall", () => {
    const broker = brokerOf({ wall: () => 50_000 });
    broker.node("n", ["add"], 2);
    expect(begun(broker.from("c", submit("1", { at: 49_999 })))).toEqual(["c-1#1"]);
    expect(begun(broker.from("c", submit("2", { at: 50_500 })))).toEqual([]);
    expect(begun(broker.after(499))).toEqual([]);
    expect(begun(broker.after(1))).toEqual(["c-2#1"]);
  });

  it("is looked at as a whole while only the store has it", () => {
    const broker = brokerOf();
    broker.from("c", submit("1", { delay_ms: 5_000, group: "g", priority: 3 }));
    expect(recordOf(broker, "c-1")).toMatchObject({ task_id: "c-1", status: "SCHEDULED", attempt: 0 });
  });

  it("waits for its time across a restart", () => {
    const before = brokerOf();
    before.from("c", submit("1", { delay_ms: 200_000 }));
    const broker = restarted(before);
    broker.node("n", ["add"], 1);
    expect(statusOf(broker, "1")).toBe("SCHEDULED");
    expect(begun(broker.after(100_999))).toEqual([]);
    expect(begun(broker.after(1))).toEqual(["c-1#1"]);
  });

  it("that became due while the broker was down runs once nodes had time to come back", () => {
    const before = brokerOf();
    before.from("c", submit("1", { delay_ms: 5_000 }));
    const broker = restarted(before);
    broker.node("n", ["add"], 1);
    expect(begun(broker.after(1_499))).toEqual([]);
    expect(begun(broker.after(1))).toEqual(["c-1#1"]);
  });

  it("can be stopped, and does not run then", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 1);
    broker.from("c", submit("1", { delay_ms: 5_000 }));
    expect(answers(broker.from("c", stop("c-1"))).get("xc-1")).toMatchObject({ result: "STOPPED" });
    expect(begun(broker.after(10_000))).toEqual([]);
    expect(statusOf(broker, "1")).toBe("STOPPED");
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
  });

  it("expires when it has waited too long for its first run since it was due", () => {
    const broker = brokerOf();
    broker.from("c", submit("1", { delay_ms: 9_000, expires_ms: 4_000, notify: true }));
    broker.after(12_999);
    expect(statusOf(broker, "1")).toBe("QUEUED");
    expect(answers(broker.after(1)).get("c-1")).toMatchObject({ status: "EXPIRED" });
    expect(begun(broker.node("n", ["add"], 1))).toEqual([]);
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
  });

  it("stays queued when it is due and nobody serves its method", () => {
    const broker = brokerOf();
    broker.from("c", submit("1", { delay_ms: 1_000 }));
    broker.after(1_000);
    expect(statusOf(broker, "1")).toBe("QUEUED");
    broker.after(100_000);
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 1 });
    expect(begun(broker.node("n", ["add"], 1))).toEqual(["c-1#1"]);
  });

  it("is due with thousands of others at once, and all of them run once", () => {
    const broker = brokerOf({ maxStoredTasks: 10_000, maxClientTasks: 10_000 });
    for (let i = 0; i < 5_000; i += 500) {
      const ids = Array.from({ length: 500 }, (_, j) => String(i + j));
      broker.from(
        "c",
        ids.map((id) => submit(id, { delay_ms: 60_000 - Number(id) / 10 })),
      );
    }
    broker.node("n", ["add"], 10);
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 5_000 });
    const runs = finishAll(broker, broker.after(60_000));
    expect(new Set(runs).size).toBe(5_000);
    expect(runs).toHaveLength(5_000);
    // What was due first runs first.
    expect(runs.slice(0, 2)).toEqual(["c-4999#1", "c-4998#1"]);
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0, assignable: 0 });
  });

  it("is stored alone, so that the time of a restart of its node does not matter", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 1);
    broker.from("c", submit("1", { delay_ms: 1_000 }));
    broker.lost("n");
    broker.after(1_000);
    expect(statusOf(broker, "1")).toBe("QUEUED");
    expect(begun(broker.node("m", ["add"], 1))).toEqual(["c-1#1"]);
  });

  it("that is claimed while its store is slow is claimed once", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 5);
    broker.from("c", submit("1", { delay_ms: 1_000 }));
    broker.holdStores();
    broker.after(1_000);
    broker.after(1_000);
    broker.from("c", submit("2", { delay_ms: 10 }));
    broker.after(1_000);
    expect(begun(broker.storeAll())).toEqual(["c-1#1", "c-2#1"]);
    expect(begun(broker.after(5_000))).toEqual([]);
  });

  it("is not handed out while the broker drains, and runs after the restart", () => {
    const before = brokerOf();
    before.node("n", ["add"], 1);
    before.from("c", submit("1", { delay_ms: 1_000 }));
    before.handle({ type: "drain" });
    expect(begun(before.after(2_000))).toEqual([]);
    expect(statusOf(before, "1")).toBe("QUEUED");
    const broker = restarted(before);
    broker.node("n", ["add"], 1);
    expect(begun(broker.after(1_500))).toEqual(["c-1#1"]);
  });
});

describe("a delayed call", () => {
  it("waits in memory until it is due", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 1);
    broker.from("c", ask("1", { delay_ms: 5_000 }));
    expect(broker.counts).toMatchObject({ tasks: 1, unsettled: 1 });
    expect(statusOf(broker, "q1")).toBe("SCHEDULED");
    expect(begun(broker.after(4_999))).toEqual([]);
    expect(begun(broker.after(1))).toEqual(["c-q1#1"]);
    expect(answers(broker.from("n", answer("c-q1#1", 2))).get("q1")).toMatchObject({ result: 2 });
  });

  it("has the grace from then on in which somebody may come who serves it", () => {
    const broker = brokerOf();
    broker.from("c", ask("1", { delay_ms: 20_000 }));
    expect(answers(broker.after(19_999)).size).toBe(0);
    expect(answers(broker.after(1)).get("q1")).toBeUndefined();
    expect(answers(broker.after(4_999)).get("q1")).toBeUndefined();
    expect(answers(broker.after(1)).get("q1")).toMatchObject({ error: { code: -32601 } });
  });

  it("expires when it has waited too long since it was due", () => {
    const broker = brokerOf({ graceMs: 100_000 });
    broker.from("c", ask("1", { delay_ms: 9_000, expires_ms: 4_000 }));
    broker.after(9_000);
    expect(answers(broker.after(3_999)).get("q1")).toBeUndefined();
    expect(answers(broker.after(1)).get("q1")).toMatchObject({ error: { code: -32041 } });
    expect(begun(broker.node("n", ["add"], 1))).toEqual([]);
  });

  it("ends with its client", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 1);
    broker.from("c", ask("1", { delay_ms: 5_000 }));
    broker.from("c", call("zerotask.broker.client_disconnect", "bye", ["c"]));
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
    expect(begun(broker.after(10_000))).toEqual([]);
  });
});

it("is not given to a node that asks for it before its time", () => {
  const broker = brokerOf();
  broker.from("old", call("zerotask.broker.node_connect", "hi", ["old"]));
  broker.from("c", submit("1", { delay_ms: 5_000 }));
  const request = call("zerotask.broker.node_task_request", "get", ["old", "c-1"]);
  const given = (): unknown =>
    (broker.from("old", request) as { message?: { result?: unknown } }[]).at(-1)?.message?.result;
  expect(given()).toBeNull();
  expect(statusOf(broker, "1")).toBe("SCHEDULED");
  broker.after(5_000);
  expect(given()).toMatchObject({ id: "c-1" });
});

describe("a retry", () => {
  it("waits in the store for as long as it was told, and across a restart", () => {
    const before = brokerOf();
    before.node("n", ["add"], 1);
    before.from(
      "c",
      submit("1", { retries: 3, backoff: { initial_ms: 200_000, jitter: 0, max_ms: 900_000 } }),
    );
    before.from("n", failed("c-1#1"));
    expect(statusOf(before, "1")).toBe("SCHEDULED");
    expect(before.counts).toMatchObject({ tasks: 0, unsettled: 1 });
    const broker = restarted(before);
    broker.node("n", ["add"], 1);
    expect(begun(broker.after(100_999))).toEqual([]);
    expect(begun(broker.after(1))).toEqual(["c-1#2"]);
    expect(recordOf(broker, "c-1")).toMatchObject({ failures: 1, attempt: 2 });
  });

  it("does not expire: it is no first run", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 1);
    broker.from(
      "c",
      submit("1", { retries: 1, expires_ms: 1_000, backoff: { initial_ms: 5_000, jitter: 0 } }),
    );
    broker.from("n", failed("c-1#1"));
    expect(begun(broker.after(4_999))).toEqual([]);
    expect(begun(broker.after(1))).toEqual(["c-1#2"]);
  });

  it("of a call waits in memory", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 1);
    broker.from("c", ask("1", { retries: 1, backoff: { initial_ms: 5_000, jitter: 0 } }));
    broker.from("n", failed("c-q1#1"));
    expect(statusOf(broker, "q1")).toBe("SCHEDULED");
    expect(begun(broker.after(5_000))).toEqual(["c-q1#2"]);
    expect(answers(broker.from("n", failed("c-q1#2"))).get("q1")).toMatchObject({ error: { code: -32000 } });
  });
});
