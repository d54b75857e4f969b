// What becomes of a task whose run is to end: because somebody wants that, or as it takes too long.
import { describe, expect, it } from "vitest";
import { ErrorCode } from "zerotask-core";
import { answer, call, machine, send, sends } from "../support/broker-machine.ts";
import {
  assigned,
  cluster,
  ended,
  failure,
  statusOf,
  stop,
  stopPush,
  submit,
  told,
} from "../support/stopping.ts";

describe("stopping a task", () => {
  it("that waits ends it at once", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    broker.from("c", submit("2"));
    expect(sends(broker.from("c", stop("c-2")))).toEqual([told("never-started")]);
    expect(statusOf(broker, "c-2")).toBe("STOPPED");
  });

  it("that is due later, and left to its store, ends it at once", () => {
    const broker = cluster();
    broker.from("c", submit("1", { delay_ms: 60_000 }));
    expect(sends(broker.from("c", stop("c-1")))).toEqual([told("never-started")]);
    expect(sends(broker.after(60_000))).not.toContainEqual(assigned("c-1#1"));
  });

  it("that runs waits for the node to say how its run ended", () => {
    const broker = cluster();
    broker.from("c", submit("1", { retries: 3 }));
    expect(sends(broker.from("c", stop("c-1", { grace_ms: 70 })))).toEqual([stopPush("c-1#1", 70)]);
    expect(statusOf(broker, "c-1")).toBe("ASSIGNED");
    expect(sends(broker.from("n", ended("c-1#1", "killed")))).toEqual([told("killed")]);
    expect(statusOf(broker, "c-1")).toBe("STOPPED");
    expect(sends(broker.after(900))).toEqual([]);
  });

  it("that had not begun on its node says so", () => {
    const broker = cluster({}, 2);
    broker.from("c", submit("1"));
    broker.from("c", stop("c-1"));
    expect(sends(broker.from("n", ended("c-1#1", "never-started")))).toEqual([told("never-started")]);
  });

  it("tells how its run ended also who asks for it once more", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    broker.from("c", stop("c-1"));
    broker.from("n", ended("c-1#1", "killed"));
    expect(sends(broker.from("c", stop("c-1")))).toEqual([told("killed")]);
  });

  it("does not claim to know how the run of one ended that was stopped without waiting for it", () => {
    const broker = cluster();
    broker.from("c", submit("1", { discard: true }));
    broker.from("c", submit("2"));
    for (const id of ["c-2", "c-1"]) broker.from("c", call("zerotask.broker.client_task_stop", "p", [id]));
    expect(sends(broker.from("c", stop("c-1")))).toEqual([told("unstoppable")]);
    expect(sends(broker.from("c", stop("c-2")))).toEqual([told("never-started")]);
  });

  it("refuses a `confirm` that is neither true nor false", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    expect(sends(broker.from("c", stop("c-1", { confirm: "yes" })))).toMatchObject([
      { message: { error: { code: ErrorCode.InvalidParams } } },
    ]);
    expect(statusOf(broker, "c-1")).toBe("ASSIGNED");
  });

  it.each([["before"], ["after"]])(
    "that can't be stopped still takes no longer than it may, though that is known %s its time is over",
    (when) => {
      const broker = cluster();
      const asked = { method: "add", params: [], options: { timeout_ms: 1_000 } };
      broker.from("c", call("zerotask.broker.client_call", 1, asked));
      broker.from("c", stop("c-1", { grace_ms: 100 }));
      const params = { task_id: "c-1#1" };
      const unstoppable = { jsonrpc: "2.0", method: "zerotask.broker.node_task_unstoppable", params };
      const effects =
        when === "before"
          ? [...broker.from("n", unstoppable), ...broker.after(1_000)]
          : [...broker.after(1_000), ...broker.from("n", unstoppable)];
      const answers = sends(effects).filter((effect) => "peer" in effect && effect.peer === "c");
      expect(answers).toMatchObject([
        { message: { result: { how: "unstoppable" } } },
        { message: { id: 1, error: { code: ErrorCode.TaskExpired } } },
      ]);
    },
  );

  it("lets an outcome stand that was on its way", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    broker.from("c", stop("c-1"));
    expect(sends(broker.from("n", answer("c-1#1", 3)))).toEqual([told("finished-first", "FINISHED")]);
    expect(sends(broker.from("c", stop("c-1")))).toEqual([told("finished-first", "FINISHED")]);
  });

  it("tells of an outcome that came first once that is stored", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    broker.from("c", stop("c-1"));
    broker.holdStores();
    expect(sends(broker.from("n", answer("c-1#1", 3)))).toEqual([]);
    expect(sends(broker.storeAll())).toEqual([told("finished-first", "FINISHED")]);
  });

  it("lets a failure stand that was on its way, and runs nothing again", () => {
    const broker = cluster();
    broker.from("c", submit("1", { retries: 5 }));
    broker.from("c", stop("c-1"));
    expect(sends(broker.from("n", failure("c-1#1")))).toEqual([told("finished-first", "FAILED")]);
  });

  it("ends one whose handler asks for another run just then", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    broker.from("c", stop("c-1"));
    const again = { code: ErrorCode.RunAgain, message: "again", data: { delay_ms: 10 } };
    const effects = broker.from("n", { jsonrpc: "2.0", id: "c-1#1", error: again });
    expect(sends(effects)).toEqual([told("cooperative")]);
    expect(sends(broker.after(900))).toEqual([]);
  });

  it("tells everybody who wants to know, and uses the shortest time that anybody gives", () => {
    const broker = cluster();
    broker.client("d");
    broker.from("c", submit("1"));
    broker.from("c", stop("c-1", { grace_ms: 900 }));
    expect(sends(broker.from("d", stop("c-1", { grace_ms: 0 })))).toEqual([stopPush("c-1#1", 0)]);
    expect(sends(broker.from("n", ended("c-1#1", "killed")))).toEqual([
      told("killed"),
      send("d", { id: "x", result: { how: "killed", status: "STOPPED" } }),
    ]);
  });

  it("that ignores it says so, and the task is STOPPED when its run ends", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    broker.from("c", stop("c-1"));
    const unstoppable = { task_id: "c-1#1" };
    const effects = broker.from("n", {
      jsonrpc: "2.0",
      method: "zerotask.broker.node_task_unstoppable",
      params: unstoppable,
    });
    expect(sends(effects)).toEqual([told("unstoppable", "ASSIGNED")]);
    broker.from("n", ended("c-1#1", "cooperative"));
    expect(statusOf(broker, "c-1")).toBe("STOPPED");
  });

  it("whose node is lost meanwhile does not run it elsewhere", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    broker.from("c", stop("c-1"));
    broker.node("m", ["add"], 1);
    const effects = sends(broker.lost("n"));
    expect(effects).toEqual([told("killed")]);
    expect(statusOf(broker, "c-1")).toBe("STOPPED");
  });

  it("reminds its node on a new connection", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    broker.from("c", stop("c-1"));
    const effects = broker.from("n2", {
      ...call("zerotask.broker.node_connect", "hi", {
        ...{ protocol: 2, node_id: "n", token: "n's", methods: ["add"], slots: 1, running: ["c-1#1"] },
      }),
    });
    const reminder = { method: "zerotask.node.task_stop", params: { id: "c-1#1", grace_ms: 5_000 } };
    expect(sends(effects)).toContainEqual(send("n2", reminder));
  });

  it("after a restart waits to hear which tasks still run", () => {
    const before = cluster();
    before.from("c", submit("1"));
    const broker = machine({ hasDisk: true, stores: before.stores, startAt: 100_000 });
    broker.client("c");
    expect(sends(broker.from("c", stop("c-1")))).toEqual([]);
    broker.node("n", ["add"], 1, { running: ["c-1#1"] });
    expect(sends(broker.after(1_500))).toContainEqual(stopPush("c-1#1"));
    expect(sends(broker.from("n", ended("c-1#1", "cooperative")))).toEqual([told("cooperative")]);
  });

  it("that an earlier broker had ended, for whatever reason, leaves the task to be run again", () => {
    const before = cluster();
    before.from("c", submit("1", { timeout_ms: 100, retries: 1 }));
    before.after(100);
    const broker = machine({ hasDisk: true, stores: before.stores, startAt: 100_000 });
    broker.node("n", ["add"], 1, { running: ["c-1#1"] });
    expect(sends(broker.from("n", ended("c-1#1", "cooperative")))).toMatchObject([
      { message: { id: "c-1#2" } },
    ]);
  });

  it("without asking for confirmation settles it at once, as the original did", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    const plain = call("zerotask.broker.client_task_stop", "x", ["c-1"]);
    expect(sends(broker.from("c", plain))).toEqual([
      send("n", { method: "zerotask.node.task_abort", params: { id: "c-1#1" } }),
      send("c", { id: "x", result: "STOPPED" }),
    ]);
  });

  it("refuses a time that is none", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    expect(sends(broker.from("c", stop("c-1", { grace_ms: -1 })))).toMatchObject([
      {
        message: {
          error: { code: -32602, message: "Expected `grace_ms` to be an integer of 0 or more, got -1" },
        },
      },
    ]);
    expect(statusOf(broker, "c-1")).toBe("ASSIGNED");
  });

  it("knows no task that is not there", () => {
    expect(sends(cluster().from("c", stop("c-9")))).toMatchObject([{ message: { error: { code: -32020 } } }]);
  });
});

describe("a run that takes too long", () => {
  it("has ended before the next one begins", () => {
    const broker = cluster({}, 5);
    broker.from("c", submit("1", { timeout_ms: 100, retries: 1, backoff: { initial_ms: 10, jitter: 0 } }));
    expect(sends(broker.after(100))).toEqual([stopPush("c-1#1")]);
    expect(sends(broker.after(500))).toEqual([]);
    broker.from("n", ended("c-1#1", "killed"));
    expect(sends(broker.after(10))).toMatchObject([{ message: { id: "c-1#2" } }]);
  });

  it("counts as its result where that came first after all", () => {
    const broker = cluster();
    broker.from("c", submit("1", { timeout_ms: 100, retries: 1 }));
    broker.after(100);
    broker.from("n", answer("c-1#1", 3));
    expect(statusOf(broker, "c-1")).toBe("FINISHED");
  });

  it("is not run a second time beside one that can't be stopped", () => {
    const broker = cluster({}, 5);
    broker.from("c", submit("1", { timeout_ms: 100, retries: 1, notify: true }));
    broker.after(100);
    const effects = broker.from("n", {
      jsonrpc: "2.0",
      method: "zerotask.broker.node_task_unstoppable",
      params: { task_id: "c-1#1" },
    });
    expect(sends(effects)).toMatchObject([
      {
        message: {
          params: {
            status: "EXPIRED",
            error: {
              message: "The task ran for more than 100 ms, and can't be stopped: it is not run again",
            },
          },
        },
      },
    ]);
    expect(sends(broker.after(800))).toEqual([]);
  });

  it("is run again when its node is gone", () => {
    const broker = cluster();
    broker.from("c", submit("1", { timeout_ms: 100, retries: 1, backoff: { initial_ms: 10, jitter: 0 } }));
    broker.after(100);
    broker.lost("n");
    broker.node("n", ["add"], 1);
    expect(sends(broker.after(10))).toMatchObject([{ message: { id: "c-1#2" } }]);
  });
});

it("does not run a task again that failed as it may", () => {
  const broker = cluster();
  broker.from("c", submit("1", { retries: 5 }));
  const error = { code: -32000, message: "no such customer", data: { name: "TaskError", expected: true } };
  broker.from("n", { jsonrpc: "2.0", id: "c-1#1", error });
  expect(statusOf(broker, "c-1")).toBe("FAILED");
});
