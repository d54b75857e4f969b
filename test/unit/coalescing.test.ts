import { describe, expect, it } from "vitest";
import { answer, call } from "../support/broker-machine.ts";
import {
  answers,
  ask,
  begun,
  brokerOf,
  failed,
  restarted,
  statusOf,
  stop,
  submit,
} from "../support/scheduled.ts";

const equal = { name: "add", coalesce: true };
const ack = call("zerotask.broker.client_ack", "ack", [1_000]);

describe("equal tasks in flight", () => {
  it("are one run, whose outcome all of them get", () => {
    const broker = brokerOf();
    broker.client("d");
    broker.node("n", [equal], 5);
    const [run = "", ...others] = begun(
      broker.from("c", [ask("1"), ask("2"), submit("3", { notify: true })]),
    );
    expect(others).toEqual([]);
    expect(begun(broker.from("d", ask("4")))).toEqual([]);
    expect(statusOf(broker, "3")).toBe("ASSIGNED");
    const effects = broker.from("n", answer(run, 7));
    expect(answers(effects).get("q1")).toMatchObject({ result: 7 });
    expect(answers(effects).get("q2")).toMatchObject({ result: 7 });
    expect(answers(effects).get("c-3")).toMatchObject({ status: "FINISHED", result: 7 });
    expect(answers(effects, "d").get("q4")).toMatchObject({ result: 7 });
    broker.from("c", ack);
    broker.from("d", ack);
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0, assignable: 0 });
  });

  it("each end at their own deadline", () => {
    const broker = brokerOf();
    broker.node("n", [equal], 5);
    const options = { deadline_ms: 100 };
    const hasty = call("zerotask.broker.client_call", "hasty", { method: "add", params: [1], options });
    const patient = call("zerotask.broker.client_call", "patient", { method: "add", params: [1] });
    const [run = ""] = begun(broker.from("c", [hasty, patient]));
    expect([...answers(broker.after(100))]).toMatchObject([["hasty", { error: { code: -32041 } }]]);
    expect([...answers(broker.from("n", answer(run, 7)))]).toMatchObject([["patient", { result: 7 }]]);
  });

  it("are those of the same method and params alone, and of the same time", () => {
    const broker = brokerOf();
    broker.node("n", [equal, { name: "other", coalesce: true }], 9);
    const runs = begun(
      broker.from("c", [
        ask("1"),
        ask("2", { params: [2] }),
        ask("3", { method: "other" }),
        ask("4", { params: { a: 1 } }),
      ]),
    );
    expect(new Set(runs).size).toBe(4);
    broker.from("n", answer(runs[0] ?? "", 0));
    const [again] = begun(broker.from("c", ask("5")));
    expect(again).toBeDefined();
    expect(runs).not.toContain(again);
  });

  it("wait as one while their node has no room", () => {
    const broker = brokerOf();
    broker.node("n", [equal, "other"], 1);
    broker.from("c", ask("0", { method: "other" }));
    broker.from("c", [ask("1"), submit("2"), ask("3")]);
    expect(statusOf(broker, "2")).toBe("QUEUED");
    expect(begun(broker.from("n", answer("c-q0#1", 0)))).toHaveLength(1);
    expect(broker.counts.assignable).toBe(0);
  });

  it("that were queued before anybody served the method become one when somebody does", () => {
    const broker = brokerOf();
    broker.from("c", [ask("1"), submit("2"), ask("3"), ask("4", { params: [4] })]);
    const runs = begun(broker.node("n", [equal], 9));
    expect(runs).toHaveLength(2);
    const effects = runs.flatMap((run) => broker.from("n", answer(run, 1)));
    for (const id of ["q1", "q3", "q4"]) expect(answers(effects).get(id)).toMatchObject({ result: 1 });
    expect(statusOf(broker, "2")).toBe("FINISHED");
    expect(broker.counts).toMatchObject({ unsettled: 0 });
  });

  it("go on when some leave, and are given up when nobody is left", () => {
    const broker = brokerOf();
    broker.client("d");
    broker.node("n", [equal], 5);
    const [run = ""] = begun(broker.from("c", [ask("1"), submit("2")]));
    broker.from("d", ask("3"));
    const bye = (peer: string): object => call("zerotask.broker.client_disconnect", "bye", [peer]);
    const left = broker.from("d", bye("d"));
    expect(left).not.toContainEqual(expect.objectContaining({ peer: "n" }));
    broker.from("c", stop("c-2"));
    expect(statusOf(broker, "2")).toBe("STOPPED");
    const gone = broker.from("c", bye("c"));
    expect(gone).toContainEqual(
      expect.objectContaining({
        peer: "n",
        message: expect.objectContaining({ method: "zerotask.node.task_abort", params: { id: run } }),
      }),
    );
    broker.from("n", answer(run, 1));
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0, assignable: 0, refusedAnswers: 1 });
  });

  it("get the outcome that remains when the first of them is stopped", () => {
    const broker = brokerOf();
    broker.node("n", [equal], 5);
    const [run = ""] = begun(broker.from("c", submit("1")));
    broker.from("c", ask("2"));
    broker.from("c", stop("c-1"));
    expect(answers(broker.from("n", answer(run, 5))).get("q2")).toMatchObject({ result: 5 });
  });

  it("fail as one, and are retried as often as each may be", () => {
    const broker = brokerOf();
    broker.node("n", [equal], 5);
    const retried = { retries: 1, backoff: { initial_ms: 1_000, jitter: 0 } };
    const [run = ""] = begun(
      broker.from("c", [ask("1"), ask("2", retried), submit("3", { ...retried, notify: true })]),
    );
    const effects = broker.from("n", failed(run));
    expect(answers(effects).get("q1")).toMatchObject({ error: { code: -32000 } });
    expect(answers(effects).get("q2")).toBeUndefined();
    expect(statusOf(broker, "3")).toBe("SCHEDULED");
    const again = begun(broker.after(1_000));
    expect(again).toHaveLength(1);
    const after = broker.from("n", answer(again[0] ?? "", 8));
    expect(answers(after).get("q2")).toMatchObject({ result: 8 });
    expect(answers(after).get("c-3")).toMatchObject({ result: 8 });
    broker.from("c", ack);
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
  });

  it("are run once more when their node is lost, and all get that", () => {
    const broker = brokerOf();
    broker.node("n", [equal], 5);
    broker.node("m", [equal], 1);
    const first = broker.from("c", [ask("1"), submit("2", { notify: true })]);
    const [run = ""] = begun(first);
    const node = begun(first, "n").length > 0 ? "n" : "m";
    const other = node === "n" ? "m" : "n";
    expect(begun(broker.lost(node), other)).toEqual([run.replace("#1", "#2")]);
    broker.from("c", ask("3"));
    const effects = broker.from(other, answer(run.replace("#1", "#2"), 9));
    for (const id of ["q1", "q3", "c-2"]) expect(answers(effects).get(id)).toMatchObject({ result: 9 });
  });

  it("fail together when their nodes are lost too often", () => {
    const broker = brokerOf({ redeliveries: 0 });
    broker.node("n", [equal], 5);
    broker.from("c", [ask("1"), submit("2", { notify: true })]);
    const effects = broker.lost("n");
    for (const id of ["q1", "c-2"])
      expect(answers(effects).get(id)).toMatchObject({ error: { code: -32042 } });
    expect(broker.counts).toMatchObject({ unsettled: 0 });
  });

  it("are as urgent as the most urgent of them", () => {
    const broker = brokerOf();
    broker.node("n", [equal], 1);
    const [first = ""] = begun(broker.from("c", ask("0", { params: [0] })));
    broker.from("c", [ask("1", { params: ["a"] }), ask("2", { params: ["b"] }), ask("3", { params: ["c"] })]);
    broker.from("c", ask("4", { params: ["c"], priority: 3 }));
    const effects = broker.from("n", answer(first, 0));
    expect(effects).toContainEqual(
      expect.objectContaining({
        peer: "n",
        message: expect.objectContaining({ method: "add", params: ["c"] }),
      }),
    );
  });

  it("calls fail after the grace when nobody serves them any more, and what was submitted waits", () => {
    const broker = brokerOf();
    broker.node("n", [equal], 5);
    broker.from("c", [ask("1"), submit("2"), submit("3"), ask("4")]);
    broker.lost("n");
    expect(answers(broker.after(4_999)).get("q1")).toBeUndefined();
    const effects = broker.after(1);
    expect(answers(effects).get("q1")).toMatchObject({ error: { code: -32601 } });
    expect(answers(effects).get("q4")).toMatchObject({ error: { code: -32601 } });
    expect([statusOf(broker, "2"), statusOf(broker, "3")]).toEqual(["QUEUED", "QUEUED"]);
    broker.after(60_000);
    const runs = begun(broker.node("m", [equal], 5));
    expect(runs).toHaveLength(1);
    broker.from("m", answer(runs[0] ?? "", 1));
    expect([statusOf(broker, "2"), statusOf(broker, "3")]).toEqual(["FINISHED", "FINISHED"]);
    broker.from("c", ack);
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
  });

  it("expire one by one while they wait, and not when their run has begun", () => {
    const broker = brokerOf();
    broker.node("n", [equal, "other"], 1);
    broker.from("c", ask("0", { method: "other" }));
    broker.from("c", [ask("1", { expires_ms: 100 }), ask("2", { expires_ms: 200 }), ask("3")]);
    expect(answers(broker.after(100)).get("q1")).toMatchObject({ error: { code: -32041 } });
    const [run = ""] = begun(broker.from("n", answer("c-q0#1", 0)));
    expect(answers(broker.after(100)).get("q2")).toBeUndefined();
    const effects = broker.from("n", answer(run, 4));
    for (const id of ["q2", "q3"]) expect(answers(effects).get(id)).toMatchObject({ result: 4 });
  });

  it("do not expire when the run that they took part in is begun again", () => {
    const broker = brokerOf();
    broker.node("n", [equal], 1);
    broker.from("c", submit("1", { expires_ms: 1_000 }));
    broker.lost("n");
    broker.after(5_000);
    expect(statusOf(broker, "1")).toBe("QUEUED");
    expect(begun(broker.node("m", [equal], 1))).toHaveLength(1);
  });

  it("are asked to run again as one, and each as often as it may", () => {
    const broker = brokerOf();
    broker.node("n", [equal], 1);
    const [run = ""] = begun(broker.from("c", [ask("1", { max_retries: 0 }), ask("2")]));
    const effects = broker.from("n", failed(run, -32001, { delay_ms: 500 }));
    expect(answers(effects).get("q1")).toMatchObject({ error: { data: { name: "RetryError" } } });
    const [again = ""] = begun(broker.after(500));
    expect(answers(broker.from("n", answer(again, 2))).get("q2")).toMatchObject({ result: 2 });
  });

  it("run again after a restart, and an answer to the run before is none to it", () => {
    const before = brokerOf();
    before.node("n", [equal], 5);
    const [run = ""] = begun(before.from("c", submit("1")));
    const broker = restarted(before);
    const welcome = broker.node("n", [equal], 5, { running: [run] });
    expect(welcome[0]).toMatchObject({ message: { result: { abort: [run] } } });
    const [again = ""] = begun(broker.after(1_500));
    expect(again).toMatch(/^run:/);
    expect(again).not.toBe(run);
    broker.from("n", answer(run, "late"));
    expect(statusOf(broker, "1")).toBe("ASSIGNED");
    broker.from("n", answer(again, 1));
    expect(statusOf(broker, "1")).toBe("FINISHED");
    expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
  });

  it("count as one against a limit, in the group of the first", () => {
    const broker = brokerOf();
    broker.node("n", [{ ...equal, concurrency: 1 }], 5);
    const [run = ""] = begun(broker.from("c", [ask("1", { group: "a" }), ask("2", { group: "b" })]));
    expect(begun(broker.from("c", ask("3", { params: [3] })))).toEqual([]);
    expect(begun(broker.from("n", answer(run, 0)))).toHaveLength(1);
  });

  it("of singletons that wait for each other run one after the other", () => {
    const broker = brokerOf();
    broker.node("n", [{ ...equal, singleton: { by: "method", mode: "queue" } }], 5);
    const [first = ""] = begun(broker.from("c", [ask("1"), ask("2")]));
    const [second = ""] = begun(broker.from("n", answer(first, 1)));
    expect(second).not.toBe("");
    expect(answers(broker.from("n", answer(second, 2))).get("q2")).toMatchObject({ result: 2 });
    expect(broker.counts).toMatchObject({ unsettled: 0 });
  });

  it("of a store that failed go on as far as they run", () => {
    const broker = brokerOf();
    broker.node("n", [equal], 1);
    const [run = ""] = begun(broker.from("c", [ask("1"), submit("2")]));
    broker.from("c", submit("3", { params: [3] }));
    broker.handle({ type: "store-failed", level: "disk", reason: "full" });
    const effects = broker.from("n", answer(run, 6));
    expect(answers(effects).get("q1")).toMatchObject({ result: 6 });
    expect(begun(effects)).toEqual([]);
    broker.from("c", ack);
    expect(broker.counts.tasks).toBe(0);
  });
});
