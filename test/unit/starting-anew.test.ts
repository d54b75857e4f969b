// What becomes of a task that is started once more, or made anew.
import { describe, expect, it } from "vitest";
import { ErrorCode } from "zerotask-core";
import type { Effect } from "../../packages/broker/src/state/effect.ts";
import { answer, call, machine, send, sends } from "../support/broker-machine.ts";
import {
  assigned,
  cluster,
  ended,
  failure,
  reload,
  start,
  statusOf,
  stop,
  stopPush,
  submit,
  told,
} from "../support/stopping.ts";

describe("starting a task that was stopped", () => {
  it("queues it once more, under its id, on any node", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    broker.from("c", stop("c-1"));
    broker.from("n", ended("c-1#1", "cooperative"));
    expect(sends(broker.from("c", start("c-1")))).toEqual([
      send("c", { id: "go", result: true }),
      assigned("c-1#2"),
    ]);
  });

  it("refuses any other", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    expect(sends(broker.from("c", start("c-1")))).toMatchObject([
      {
        message: {
          error: { code: -32021, message: "Expected a task that is STOPPED, got one that is ASSIGNED" },
        },
      },
    ]);
    broker.from("n", answer("c-1#1", 1));
    expect(sends(broker.from("c", start("c-1")))).toMatchObject([
      {
        message: {
          error: { code: -32021, message: "Expected a task that is STOPPED, got one that is FINISHED" },
        },
      },
    ]);
  });
});

describe("making a task anew", () => {
  it("waits for its run to end, and begins with the new params", () => {
    const broker = cluster({}, 5);
    broker.from("c", submit("1"));
    expect(sends(broker.from("c", reload("c-1", { params: [7] })))).toEqual([stopPush("c-1#1")]);
    expect(sends(broker.from("n", ended("c-1#1", "cooperative")))).toEqual([
      assigned("c-1#2", [7]),
      send("c", { id: "re", result: true }),
    ]);
    expect(broker.stores.disk.get(["c-1"])[0]?.params).toBe("[7]");
  });

  it("keeps its params where none are given", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    broker.from("c", reload("c-1"));
    expect(sends(broker.from("n", ended("c-1#1", "killed")))).toContainEqual(assigned("c-1#2", [1]));
  });

  it("only changes the params of one that waits", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    broker.from("c", submit("2"));
    expect(sends(broker.from("c", reload("c-2", { params: [8] })))).toEqual([
      send("c", { id: "re", result: true }),
    ]);
    expect(sends(broker.from("n", answer("c-1#1", 1)))).toContainEqual(assigned("c-2#1", [8]));
  });

  it("leaves one that is due later where it is, with the new params", () => {
    const broker = cluster();
    broker.from("c", submit("1", { delay_ms: 500 }));
    broker.from("c", reload("c-1", { params: [8] }));
    expect(sends(broker.after(499))).toEqual([]);
    expect(sends(broker.after(1))).toContainEqual(assigned("c-1#1", [8]));
  });

  it("begins one again that is settled", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    broker.from("n", answer("c-1#1", 1));
    expect(sends(broker.from("c", reload("c-1", { params: [9] })))).toEqual([
      send("c", { id: "re", result: true }),
      assigned("c-1#2", [9]),
    ]);
  });

  it("counts with its params also where the task is just being started again", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    broker.from("c", stop("c-1"));
    broker.from("n", ended("c-1#1", "killed"));
    const both = broker.from("c", [start("c-1"), reload("c-1", { params: [9] })]);
    expect(sends(both)).toEqual([
      send("c", { id: "go", result: true }),
      assigned("c-1#2", [1]),
      stopPush("c-1#2"),
    ]);
    expect(sends(broker.from("n", ended("c-1#2", "cooperative")))).toEqual([
      assigned("c-1#3", [9]),
      send("c", { id: "re", result: true }),
    ]);
  });

  it("begins one again that was settled while its store was asked for it", () => {
    const broker = cluster();
    broker.from("c", submit("1", { retries: 1, backoff: { initial_ms: 10, jitter: 0 } }));
    broker.from("n", failure("c-1#1"));
    broker.holdStores();
    broker.after(10);
    broker.from("c", reload("c-1", { params: [9] }));
    expect(sends(broker.storeNext())).toEqual([assigned("c-1#2")]);
    broker.from("n", answer("c-1#2", 1));
    const effects = sends(broker.storeAll());
    expect(effects).toEqual([send("c", { id: "re", result: true }), assigned("c-1#3", [9])]);
    broker.from("n", answer("c-1#3", 5));
    expect(broker.stores.disk.get(["c-1"])[0]?.outcome).toBe('{"result":5}');
  });

  it("is given up when the task is to be stopped", () => {
    const broker = cluster({}, 5);
    broker.from("c", submit("1"));
    broker.from("c", stop("c-1"));
    broker.from("c", reload("c-1"));
    expect(sends(broker.from("n", ended("c-1#1", "killed")))).toMatchObject([
      told("killed"),
      { message: { id: "re", error: { code: -32040 } } },
    ]);
    expect(statusOf(broker, "c-1")).toBe("STOPPED");
  });

  it("says so where the run can't be stopped, and happens when that has ended", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    broker.from("c", reload("c-1", { params: [5] }));
    const effects = broker.from("n", {
      jsonrpc: "2.0",
      method: "zerotask.broker.node_task_unstoppable",
      params: { task_id: "c-1#1" },
    });
    expect(sends(effects)).toMatchObject([{ message: { id: "re", error: { code: -32070 } } }]);
    expect(sends(broker.from("n", ended("c-1#1", "cooperative")))).toContainEqual(assigned("c-1#2", [5]));
  });

  it("waits for a run that it would have shared with others, too, and is given up when that is to be stopped", () => {
    const broker = machine({ hasDisk: true });
    broker.client("c");
    broker.node("n", [{ name: "add", coalesce: true }], 5);
    const [, first] = sends(broker.from("c", submit("1"))) as unknown as { message: { id: string } }[];
    const id = first?.message.id ?? "";
    expect(sends(broker.from("c", reload("c-1")))).toEqual([stopPush(id)]);
    const again = sends(broker.from("n", ended(id, "killed"))) as unknown as {
      message: { method?: string };
    }[];
    expect(again.filter(({ message }) => message.method === "add")).toHaveLength(1);
    const { message } = again.find((sent) => sent.message.method === "add") as { message: { id?: string } };
    broker.from("c", stop("c-1"));
    expect(sends(broker.from("c", reload("c-1")))).toEqual([]);
    expect(sends(broker.from("n", ended(message.id ?? "", "cooperative")))).toMatchObject([
      told("cooperative"),
      { message: { id: "re", error: { code: -32040 } } },
    ]);
  });

  it("asks anew which singleton it is one of, where its params are others", () => {
    const broker = machine({ hasDisk: true });
    broker.client("c");
    broker.node("n", [{ name: "add", singleton: { by: "params", mode: "queue" } }], 5);
    const named = (effects: readonly Effect[], name: string): Effect[] => {
      const isQuestion = (effect: Effect): boolean => JSON.stringify(effect).includes("name_instance");
      const question = sends([...effects]).find(isQuestion) as { message: { id: string } } | undefined;
      if (question === undefined) throw new Error("Expected to be asked for a name");
      return sends(broker.from("n", answer(question.message.id, { name })));
    };
    expect(named(broker.from("c", submit("1")), "A")).toContainEqual(assigned("c-1#1"));
    expect(named(broker.from("c", submit("2")), "B")).toContainEqual(assigned("c-2#1"));
    broker.from("c", reload("c-1", { params: [5] }));
    expect(named(broker.from("n", ended("c-1#1", "cooperative")), "B")).toEqual([]);
    expect(sends(broker.from("n", answer("c-2#1", 3)))).toContainEqual(assigned("c-1#2", [5]));
  });

  it.each([
    ["with the name", { result: { name: "A" } }],
    ["with an error", { error: { code: -32602, message: "no" } }],
  ])("asks which singleton it is one of beside an answer %s of its params before", (_, before) => {
    const broker = machine({ hasDisk: true });
    broker.client("c");
    broker.node("n", [{ name: "add", singleton: { by: "params", mode: "queue" } }], 5);
    const questions = (effects: readonly Effect[]): string[] =>
      sends([...effects])
        .filter((effect) => JSON.stringify(effect).includes("name_instance"))
        .map((effect) => (effect as unknown as { message: { id: string } }).message.id);
    const [first] = questions(broker.from("c", submit("1")));
    const asked = questions(broker.from("c", reload("c-1", { params: [5] })));
    const late = broker.from("n", { jsonrpc: "2.0", id: first, ...before });
    expect(JSON.stringify(late)).not.toContain("c-1#1");
    asked.push(...questions(late), ...questions(broker.from("c", submit("2"))));
    const effects = asked.flatMap((id) => sends(broker.from("n", answer(id, { name: "B" }))));
    expect(effects).toEqual([assigned("c-1#1", [5])]);
    expect(sends(broker.from("n", answer("c-1#1", 3)))).toContainEqual(assigned("c-2#1"));
  });

  it("happens once, however often its client asks because it was not told", () => {
    const broker = cluster();
    const again = (peer: string): void => {
      broker.from(
        peer,
        call("zerotask.broker.client_connect", "hi", { protocol: 2, client_id: "c", token: "c's" }),
      );
    };
    broker.from("c", submit("1"));
    broker.from("c", reload("c-1"));
    broker.lost("c");
    again("c2");
    expect(sends(broker.from("n", ended("c-1#1", "killed")))).toEqual([assigned("c-1#2")]);
    expect(sends(broker.from("c2", reload("c-1")))).toEqual([send("c2", { id: "re", result: true })]);
    broker.from("c2", stop("c-1"));
    broker.from("n", ended("c-1#2", "killed"));
    broker.from("c2", start("c-1"));
    broker.lost("c2");
    again("c3");
    expect(sends(broker.from("c3", start("c-1")))).toEqual([send("c3", { id: "go", result: true })]);
    expect(sends(broker.from("c3", { ...start("c-1"), id: "other" }))).toMatchObject([
      { message: { error: { code: ErrorCode.Conflict } } },
    ]);
  });

  it("begins one again that was stopped while all of it waited for the store", () => {
    const broker = cluster({}, 0);
    broker.holdStores();
    broker.from("c", [submit("1"), reload("c-1"), stop("c-1"), { ...reload("c-1"), id: "re2" }]);
    broker.lost("n");
    const told = sends(broker.storeAll());
    expect(told).toContainEqual(send("c", { id: "x", result: { how: "never-started", status: "STOPPED" } }));
    expect(told).toContainEqual(send("c", { id: "re2", result: true }));
    expect(broker.stores.disk.get(["c-1"])[0]?.status).toBe("QUEUED");
  });

  it("is refused for what the task was, where it is stopped before that is stored", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    broker.from("c", submit("2"));
    broker.holdStores();
    broker.from("c", [reload("c-2"), start("c-2"), stop("c-2")]);
    expect(JSON.stringify(sends(broker.storeAll()))).toContain("got one that is QUEUED");
  });

  it("happens once also where its client asks again while the store has not told anything of it", () => {
    const broker = machine({ hasDisk: true });
    broker.client("c");
    broker.from("c", submit("1"));
    broker.holdStores();
    const ask = (peer: string): void => void broker.from(peer, [reload("c-1"), stop("c-1")]);
    ask("c");
    for (const peer of ["c2", "c3"]) {
      const again = { protocol: 2, client_id: "c", token: "c's" };
      broker.from(peer, call("zerotask.broker.client_connect", "hi", again));
      ask(peer);
    }
    expect(sends(broker.storeAll())).toContainEqual(
      send("c3", { id: "x", result: { how: "never-started", status: "STOPPED" } }),
    );
    expect(broker.stores.disk.get(["c-1"])[0]?.status).toBe("STOPPED");
  });

  it("happens each time that it is asked for without wanting an answer", () => {
    const broker = cluster();
    const begin = { jsonrpc: "2.0", method: "zerotask.broker.client_task_start", params: ["c-1"] };
    broker.from("c", submit("1"));
    broker.from("c", stop("c-1"));
    broker.from("n", ended("c-1#1", "killed"));
    expect(sends(broker.from("c", begin))).toEqual([assigned("c-1#2")]);
    broker.from("c", stop("c-1"));
    broker.from("n", ended("c-1#2", "killed"));
    broker.lost("c");
    const again = { protocol: 2, client_id: "c", token: "c's" };
    broker.from("c2", call("zerotask.broker.client_connect", "hi", again));
    expect(sends(broker.from("c2", begin))).toEqual([assigned("c-1#3")]);
  });

  it("still happens where the run that is to end takes longer than it may meanwhile", () => {
    const broker = cluster();
    broker.from("c", submit("1", { timeout_ms: 100, retries: 1 }));
    broker.from("c", reload("c-1", { params: [5] }));
    broker.after(100);
    broker.from("n", {
      jsonrpc: "2.0",
      method: "zerotask.broker.node_task_unstoppable",
      params: { task_id: "c-1#1" },
    });
    const effects = sends(broker.from("n", ended("c-1#1", "cooperative")));
    expect(effects).toMatchObject([{ message: { id: "c-1#2", params: [5] } }]);
  });

  it("waits for the end of a run that takes too long meanwhile, and would not be run again", () => {
    const broker = cluster({}, 5);
    broker.from("c", submit("1", { timeout_ms: 100 }));
    broker.from("c", reload("c-1", { params: [5], grace_ms: 60_000 }));
    expect(sends(broker.after(100))).toEqual([stopPush("c-1#1")]);
    const effects = sends(broker.from("n", ended("c-1#1", "cooperative")));
    expect(effects).toMatchObject([{ message: { id: "c-1#2", params: [5] } }, { message: { id: "re" } }]);
  });

  it("keeps the params of one reload where another one gives none", () => {
    const broker = cluster();
    broker.from("c", submit("1"));
    broker.from("c", reload("c-1", { params: [5] }));
    broker.from("c", reload("c-1"));
    const effects = sends(broker.from("n", ended("c-1#1", "cooperative")));
    expect(effects).toContainEqual(assigned("c-1#2", [5]));
  });

  it("is not for calls", () => {
    const broker = cluster();
    broker.from("c", call("add", 1, [1]));
    expect(sends(broker.from("c", reload("c-1")))).toMatchObject([{ message: { error: { code: -32070 } } }]);
  });
});
