import { describe, expect, it } from "vitest";
import { answer } from "../support/broker-machine.ts";
import {
  answers,
  ask,
  begun,
  brokerOf,
  failed,
  recordOf,
  restarted,
  statusOf,
  stop,
  submit,
} from "../support/scheduled.ts";

const again = (id: string, delay_ms?: number): object =>
  failed(id, -32001, delay_ms === undefined ? undefined : { delay_ms });

describe("a handler that asks to be run again", () => {
  it("is run again after the delay that it names, and no failure is counted", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 1);
    broker.from("c", submit("1"));
    broker.from("n", again("c-1#1", 30_000));
    expect(statusOf(broker, "1")).toBe("SCHEDULED");
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 1 });
    expect(begun(broker.after(29_999))).toEqual([]);
    expect(begun(broker.after(1))).toEqual(["c-1#2"]);
    expect(recordOf(broker, "c-1")).toMatchObject({ failures: 0, attempt: 2 });
    broker.from("n", answer("c-1#2", 3));
    expect(recordOf(broker, "c-1")).toMatchObject({ status: "FINISHED", result: 3, attempt: 2 });
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
  });

  it("is run again at once where it names no delay, or none that there can be", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 1);
    broker.from("c", submit("1"));
    expect(begun(broker.from("n", again("c-1#1")))).toEqual(["c-1#2"]);
    expect(begun(broker.from("n", again("c-1#2", -5)))).toEqual(["c-1#3"]);
    expect(begun(broker.from("n", failed("c-1#3", -32001, { delay_ms: "soon" })))).toEqual(["c-1#4"]);
  });

  it("is run again no more than it may, also across a restart", () => {
    const before = brokerOf();
    before.node("n", ["add"], 1);
    before.from("c", submit("1", { max_retries: 2, retries: 5, notify: true }));
    before.from("n", again("c-1#1", 1_000));
    const broker = restarted(before);
    broker.node("n", ["add"], 1);
    expect(begun(broker.after(1_500))).toEqual(["c-1#2"]);
    broker.from("n", again("c-1#2", 1_000));
    expect(begun(broker.after(1_000))).toEqual(["c-1#3"]);
    expect(answers(broker.from("n", again("c-1#3", 1_000))).get("c-1")).toMatchObject({
      status: "FAILED",
      error: { code: -32000, data: { name: "RetryError" } },
    });
  });

  it("is bounded by what its method says, and not at all where neither allows it", () => {
    const broker = brokerOf();
    broker.node("n", [{ name: "add", max_retries: 1 }], 1);
    broker.from("c", submit("1"));
    expect(begun(broker.from("n", again("c-1#1")))).toEqual(["c-1#2"]);
    broker.from("n", again("c-1#2"));
    expect(statusOf(broker, "1")).toBe("FAILED");
    broker.from("c", submit("2", { max_retries: 0 }));
    broker.from("n", again("c-2#1"));
    expect(statusOf(broker, "2")).toBe("FAILED");
  });

  it("may be a call's", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 1);
    broker.from("c", ask("1", { max_retries: 1 }));
    broker.from("n", again("c-q1#1", 500));
    expect(statusOf(broker, "q1")).toBe("SCHEDULED");
    expect(begun(broker.after(500))).toEqual(["c-q1#2"]);
    expect(answers(broker.from("n", again("c-q1#2", 500))).get("q1")).toMatchObject({
      error: { code: -32000 },
    });
  });

  it("fails as often as it may besides, and each is counted alone", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 1);
    broker.from("c", submit("1", { retries: 1, max_retries: 1, backoff: { initial_ms: 0 } }));
    expect(begun(broker.from("n", failed("c-1#1")))).toEqual(["c-1#2"]);
    expect(begun(broker.from("n", again("c-1#2")))).toEqual(["c-1#3"]);
    broker.from("n", failed("c-1#3"));
    expect(recordOf(broker, "c-1")).toMatchObject({ status: "FAILED", failures: 1, attempt: 3 });
  });

  it("can be stopped while it waits", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 1);
    broker.from("c", submit("1"));
    broker.from("n", again("c-1#1", 1_000));
    expect(answers(broker.from("c", stop("c-1"))).get("xc-1")).toMatchObject({ result: "STOPPED" });
    expect(begun(broker.after(5_000))).toEqual([]);
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
  });

  it("is stopped also while that is being stored", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 1);
    broker.from("c", submit("1"));
    broker.holdStores();
    broker.from("n", again("c-1#1", 1_000));
    expect(answers(broker.from("c", stop("c-1"))).size).toBe(0);
    expect(answers(broker.storeAll()).get("xc-1")).toMatchObject({ result: "STOPPED" });
    expect(begun(broker.after(5_000))).toEqual([]);
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
  });

  it("is let go when its store failed: another broker will run it", () => {
    const broker = brokerOf();
    broker.node("n", ["add"], 3);
    broker.from("c", [submit("1"), submit("2"), submit("3")]);
    broker.handle({ type: "store-failed", level: "disk", reason: "full" });
    expect(begun(broker.from("n", again("c-1#1", 1_000)))).toEqual([]);
    expect(begun(broker.from("n", again("c-2#1")))).toEqual([]);
    broker.from("n", answer("c-3#1", 0));
    expect(begun(broker.after(5_000))).toEqual([]);
    expect(broker.counts.tasks).toBe(0);
  });
});
