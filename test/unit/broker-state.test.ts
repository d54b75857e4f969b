import { expect, it } from "vitest";
import { answer, call, machine, send, sends } from "../support/broker-machine.ts";

const newTask = (task_id: string, options: object = {}): object =>
  call("zerotask.broker.client_new_task", "s", { method: "add", params: [1], task_id, options });

it("assigns a call at once to a node with room, and passes its answer on", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 1);
  expect(broker.from("c", call("add", 17, [5, 6]))).toEqual([
    send("n", { method: "add", params: [5, 6], id: "c-17#1" }),
  ]);
  expect(broker.from("n", answer("c-17#1", 11))).toEqual([send("c", { id: 17, result: 11 })]);
});

it("fills the room that an answer leaves in the same turn, oldest first", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add", "sub"], 1);
  broker.from("c", [call("add", 1), call("sub", 2), call("add", 3)]);
  expect(sends(broker.from("n", answer("c-1#1", 0)))).toEqual([
    send("c", { id: 1, result: 0 }),
    send("n", { method: "sub", id: "c-2#1" }),
  ]);
  expect(sends(broker.from("n", answer("c-2#1", 0)))[1]).toEqual(send("n", { method: "add", id: "c-3#1" }));
});

it("gives a task to the node with most free slots", () => {
  const broker = machine();
  broker.client("c");
  broker.node("small", ["add"], 1);
  broker.node("large", ["add"], 3);
  const peers = [1, 2, 3, 4].map((id) => broker.from("c", call("add", id))[0]);
  expect(peers.map((effect) => effect?.type === "send" && effect.peer)).toEqual([
    "large",
    "large",
    "small",
    "large",
  ]);
  expect(sends(broker.from("c", call("add", 5)))).toEqual([]);
});

it("prefers a free slot to a place to wait in", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 1);
  broker.from("n", call("zerotask.broker.node_fetch", 1, [10]));
  broker.from("c", call("add", 1));
  broker.node("other", ["add"], 1);
  expect(sends(broker.from("c", call("add", 2)))).toEqual([send("other", { method: "add", id: "c-2#1" })]);
  expect(sends(broker.from("c", call("add", 3)))).toHaveLength(1);
});

it("announces a task that nobody can take at once, and wakes up for its grace", () => {
  const broker = machine({ heartbeatMs: 60_000 });
  broker.client("c");
  expect(broker.from("c", call("add", 1))).toEqual([
    { type: "announce", method: "zerotask.node.task_ready", params: { method: "add", task_id: "c-1" } },
    { type: "wake", at: 6_000 },
  ]);
  expect(sends(broker.after(4_999))).toEqual([]);
  expect(sends(broker.after(1))).toEqual([
    send("c", { id: 1, error: { code: -32601, message: "Method not found: add", data: { method: "add" } } }),
  ]);
});

it("begins the grace anew when the last node that serves a method leaves", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 0);
  broker.from("c", call("add", 1));
  expect(
    sends(broker.after(10_000)).filter((effect) => effect.type === "send" && effect.peer === "c"),
  ).toEqual([]);
  broker.lost("n");
  expect(sends(broker.after(4_999))).toEqual([]);
  expect(sends(broker.after(1))).toMatchObject([{ peer: "c", message: { error: { code: -32601 } } }]);
});

it("takes the same request id for the same task", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 10);
  expect(broker.from("c", call("add", 1))).toHaveLength(1);
  expect(broker.from("c", call("add", 1))).toEqual([]);
  broker.from("n", answer("c-1#1", 11));
  expect(broker.from("c", call("add", 1))).toEqual([send("c", { id: 1, result: 11 })]);
});

it("keeps an answer until it is acknowledged, and not longer", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 10);
  broker.from("c", [call("add", 1), call("add", 2)]);
  broker.from("n", [answer("c-1#1", 1), answer("c-2#1", 2)]);
  expect(broker.counts.tasks).toBe(2);
  broker.from("c", { jsonrpc: "2.0", method: "zerotask.broker.client_ack", params: [1] });
  expect(broker.counts.tasks).toBe(1);
  broker.after(60_001);
  expect(broker.counts.tasks).toBe(0);
});

it("accepts one outcome, and only from the current attempt", () => {
  const broker = machine();
  broker.client("c");
  broker.node("a", ["add"], 1);
  broker.from("c", call("add", 1));
  expect(sends(broker.node("b", ["add"], 1))).toHaveLength(1);
  expect(sends(broker.lost("a"))).toEqual([send("b", { method: "add", id: "c-1#2" })]);
  // `a` is back on another connection, and answers late.
  broker.node("a2", ["add"], 1, { node_id: "a", token: "a's" });
  expect(broker.from("a2", answer("c-1#1", "late"))).toEqual([]);
  expect(broker.from("a2", answer("c-1#2", "forged"))).toEqual([]);
  expect(broker.from("b", answer("c-1#2", "current"))).toEqual([send("c", { id: 1, result: "current" })]);
  expect(broker.from("b", answer("c-1#2", "again"))).toEqual([]);
});

it("fails a task that loses its nodes more often than it may", () => {
  const broker = machine({ redeliveries: 1 });
  broker.client("c");
  broker.node("a", ["add"], 1);
  broker.from("c", call("add", 1));
  broker.lost("a");
  broker.node("b", ["add"], 1);
  expect(sends(broker.lost("b"))).toMatchObject([{ peer: "c", message: { id: 1, error: { code: -32042 } } }]);
});

it("lets a node that comes back keep what it runs, and gives the rest to others", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 2);
  broker.from("c", [call("add", 1), call("add", 2)]);
  const effects = sends(
    broker.node("again", ["add"], 2, {
      node_id: "n",
      token: "n's",
      running: ["c-1#1", "c-9#1"],
    }),
  );
  expect(effects[0]).toMatchObject({
    type: "reply",
    peer: "again",
    message: { result: { abort: ["c-9#1"] } },
  });
  expect(effects.slice(1)).toEqual([send("again", { method: "add", id: "c-2#2" })]);
  expect(broker.from("again", answer("c-1#1", 11))).toEqual([send("c", { id: 1, result: 11 })]);
});

it("puts a task that a node hands back at its old place", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 2);
  broker.from("c", [call("add", 1), call("add", 2), call("add", 3)]);
  broker.from("n", call("zerotask.broker.node_fetch", "f", [1]));
  const status = { task_id: "c-2#1", status: "QUEUED" };
  broker.from("n", call("zerotask.broker.node_task_status", "s", status));
  expect(sends(broker.from("n", answer("c-1#1", 0)))).toEqual([
    send("c", { id: 1, result: 0 }),
    send("n", { method: "add", id: "c-2#2" }),
  ]);
});

it("replies once to a plain peer's batch, when all of it is done", () => {
  const broker = machine();
  broker.node("n", ["add"], 10);
  const assigned = sends(
    broker.from("p", [call("add", 1), call("add", 2), { jsonrpc: "2.0", method: "add" }]),
  );
  const ids = assigned.map((effect) =>
    effect.type === "send" && "id" in effect.message ? effect.message.id : "",
  );
  expect(ids).toHaveLength(3);
  expect(broker.from("n", answer(String(ids[1]), "second"))).toEqual([]);
  expect(broker.from("n", answer(String(ids[0]), "first"))).toEqual([
    {
      type: "reply",
      peer: "p",
      shape: "dealer",
      message: [
        { jsonrpc: "2.0", id: 2, result: "second" },
        { jsonrpc: "2.0", id: 1, result: "first" },
      ],
    },
  ]);
});

it("owes a REQ peer a reply, even to a notification", () => {
  const broker = machine();
  broker.node("n", ["add"], 10);
  expect(broker.from("p", { jsonrpc: "2.0", method: "add" }, "req")).toContainEqual({
    type: "reply",
    peer: "p",
    shape: "req",
    message: null,
  });
});

it("tells the owner of a submitted task when it is settled, and again after it came back", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 1);
  expect(broker.from("c", newTask("7", { notify: true }))).toContainEqual(
    send("c", { id: "s", result: "c-7" }),
  );
  const params = { task_id: "c-7", status: "FINISHED", result: 11 };
  const settled = { method: "zerotask.client.task_settled", params };
  expect(broker.from("n", answer("c-7#1", 11))).toEqual([send("c", settled)]);
  broker.lost("c");
  broker.from(
    "elsewhere",
    call("zerotask.broker.client_connect", 1, { protocol: 2, client_id: "c", token: "c's" }),
  );
  expect(broker.from("elsewhere", newTask("7", { notify: true }))).toEqual([
    send("elsewhere", { id: "s", result: "c-7" }),
    send("elsewhere", settled),
  ]);
});

it("keeps outcomes of submitted tasks for their time, and no more than it may", () => {
  const broker = machine({ maxResults: 2, resultTtlMs: 10_000 });
  broker.client("c");
  broker.node("n", ["add"], 10);
  for (const id of ["1", "2", "3"]) {
    broker.from("c", newTask(id));
    broker.from("n", answer(`c-${id}#1`, 0));
  }
  const kept = (): string[] => broker.stores.memory.get(["c-1", "c-2", "c-3"]).map(({ id }) => id);
  broker.after(1_000);
  expect(kept()).toEqual(["c-2", "c-3"]);
  expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0 });
  broker.after(9_000);
  expect(kept()).toEqual([]);
});

it("keeps outcomes within their bound in bytes", () => {
  const broker = machine({ maxResultBytes: 3_000 });
  broker.client("c");
  broker.node("n", ["add"], 10);
  for (const id of ["1", "2", "3"]) {
    broker.from("c", newTask(id));
    broker.from("n", answer(`c-${id}#1`, "x".repeat(1_000)));
  }
  broker.after(1_000);
  expect(broker.stores.memory.get(["c-1", "c-2", "c-3"])).toHaveLength(2);
});

it("keeps no outcome of a task that was submitted to be ignored", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 1);
  broker.from("c", newTask("1", { discard: true }));
  expect(broker.from("n", answer("c-1#1", 11))).toEqual([]);
  expect(broker.counts.tasks).toBe(0);
  expect(broker.stores.memory.get(["c-1"])).toMatchObject([{ status: "FINISHED", outcome: undefined }]);
});

it("does not run an ignored task again whose submission is sent again", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 1);
  broker.from("c", newTask("1", { discard: true }));
  broker.from("n", answer("c-1#1", 11));
  expect(broker.from("c", newTask("1", { discard: true }))).toEqual([send("c", { id: "s", result: "c-1" })]);
  broker.after(60_000);
  expect(broker.stores.memory.get(["c-1"])).toEqual([]);
});

it("lets submitted tasks wait for a node, ignored ones too, but not notifications", () => {
  const broker = machine();
  broker.client("c");
  broker.from("c", [
    newTask("1"),
    newTask("2", { discard: true }),
    { jsonrpc: "2.0", method: "add" },
    call("add", 4),
  ]);
  expect(broker.counts.unsettled).toBe(4);
  broker.after(5_000);
  expect(broker.counts.unsettled).toBe(2);
});

it("stops the calls of a client that leaves, and goes on with what it submitted", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 2);
  broker.from("c", [call("add", 1), newTask("2")]);
  const effects = broker.from("c", call("zerotask.broker.client_disconnect", 9, {}));
  expect(sends(effects)).toContainEqual(
    send("n", { method: "zerotask.node.task_abort", params: { id: "c-1#1" } }),
  );
  expect(broker.counts).toMatchObject({ tasks: 1, unsettled: 1, sessions: 1 });
});

it("forgets a client that does not come back in time", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 1);
  broker.from("c", call("add", 1));
  broker.lost("c");
  broker.after(59_999);
  expect(broker.counts.sessions).toBe(2);
  broker.after(1_000);
  expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0, sessions: 1 });
});

it("forgets a peer that does not read, and answers its next message with an error", () => {
  const broker = machine();
  broker.client("c");
  broker.slow("c");
  expect(broker.counts.sessions).toBe(0);
  expect(broker.from("c", call("add", 1))).toMatchObject([
    { type: "reply", peer: "c", message: { id: null, error: { code: -32010 } } },
  ]);
});

it("looks after nodes whenever a connection ends", () => {
  const broker = machine();
  broker.node("n", ["add"], 1);
  expect(broker.disconnect()).toEqual([send("n", { method: "zerotask.ping" })]);
});

it("runs broker tasks itself, whoever serves the rest", () => {
  const broker = machine();
  broker.client("c");
  expect(broker.from("c", call("broker.hot", 1))).toEqual([send("", { method: "broker.hot", id: "c-1#1" })]);
  expect(broker.from("", answer("c-1#1", 42))).toEqual([send("c", { id: 1, result: 42 })]);
});

it("lets no node serve what is the broker's", () => {
  const broker = machine();
  for (const name of ["broker.hot", "rpc.discover", "zerotask.x"]) {
    expect(broker.node("n", [name], 1)).toMatchObject([{ message: { error: { code: -32070 } } }]);
  }
  expect(broker.counts.sessions).toBe(0);
});

it("answers a waiter when the task is settled, or when its time is over", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 1);
  broker.from("c", newTask("1"));
  const wait = (id: number, timeout_ms?: number): object =>
    call("zerotask.broker.client_task_wait", id, { task_id: "c-1", ...(timeout_ms && { timeout_ms }) });
  expect(sends(broker.from("other", wait(1)))).toEqual([]);
  expect(sends(broker.from("c", wait(2, 10)))).toEqual([]);
  expect(sends(broker.after(10))).toMatchObject([{ peer: "c", message: { id: 2, error: { code: -32050 } } }]);
  const result = { task_id: "c-1", status: "FINISHED", result: 11 };
  expect(sends(broker.from("n", answer("c-1#1", 11)))).toEqual([
    { type: "reply", peer: "other", shape: "dealer", message: { jsonrpc: "2.0", id: 1, result } },
  ]);
  expect(sends(broker.from("c", wait(3)))).toEqual([send("c", { id: 3, result })]);
});

it("says hello at intervals", () => {
  const broker = machine();
  const hellos = (ms: number): unknown[] =>
    broker
      .after(ms)
      .filter((effect) => effect.type === "announce" && effect.method === "zerotask.broker.hello");
  expect(hellos(5_000)).toEqual([
    { type: "announce", method: "zerotask.broker.hello", params: { epoch: "epoch", seq: 0 } },
  ]);
  expect(hellos(1_000)).toEqual([]);
});

it("stays as small after 100,000 calls as after 1,000", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 1);
  for (let i = 1; i <= 100_000; i++) {
    broker.from("c", call("add", i, [i]));
    broker.from("n", answer(`c-${i}#1`, i));
    if (i % 50 === 0) broker.from("c", { jsonrpc: "2.0", method: "zerotask.broker.client_ack", params: [i] });
  }
  expect(broker.counts).toMatchObject({ tasks: 0, unsettled: 0, sessions: 2 });
});

it("fails a task whose node answers with what is no response", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 1);
  broker.from("c", call("add", 1));
  expect(broker.from("n", { jsonrpc: "2.0", id: "c-1#1", error: "it broke" })).toMatchObject([
    { peer: "c", message: { id: 1, error: { code: -32600 } } },
  ]);
});

it("refuses the answer to an earlier attempt, also from the node that holds the current one", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 1);
  broker.from("c", call("add", 1));
  const status = { task_id: "c-1#1", status: "QUEUED" };
  broker.from("n", call("zerotask.broker.node_task_status", "s", status));
  expect(sends(broker.from("n", call("zerotask.broker.node_fetch", "f", [1])))).toContainEqual(
    send("n", { method: "add", id: "c-1#2" }),
  );
  expect(broker.from("n", answer("c-1#1", "late"))).toEqual([]);
  expect(broker.from("n", answer("c-1#2", "current"))).toEqual([send("c", { id: 1, result: "current" })]);
});

it("gives the tasks of a lost node to others in the order in which they were submitted", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 5);
  broker.from(
    "c",
    [1, 2, 3, 4, 5].map((id) => call("add", id)),
  );
  broker.from("n", answer("c-1#1", 0));
  broker.lost("n");
  const assigned = sends(broker.node("m", ["add"], 5)).slice(1);
  expect(
    assigned.map((effect) => effect.type === "send" && "id" in effect.message && effect.message.id),
  ).toEqual([2, 3, 4, 5].map((id) => `c-${id}#2`));
});

it("gives a node that handed a task back nothing more until it asks again", () => {
  const broker = machine();
  broker.client("c");
  broker.node("full", ["add"], 5);
  broker.from("c", call("add", 1));
  const status = { task_id: "c-1#1", status: "QUEUED" };
  const back = sends(broker.from("full", call("zerotask.broker.node_task_status", "s", status)));
  expect(back).toEqual([send("full", { id: "s", result: true })]);
  expect(sends(broker.node("other", ["add"], 1)).slice(1)).toEqual([
    send("other", { method: "add", id: "c-1#2" }),
  ]);
});

it("runs nothing that comes from a connection which its session has left", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 5);
  broker.from(
    "new",
    call("zerotask.broker.client_connect", 1, { protocol: 2, client_id: "c", token: "c's" }),
  );
  for (let i = 0; i < 2; i++) {
    expect(broker.from("c", call("add", 1))).toMatchObject([
      { type: "reply", peer: "c", message: { id: null, error: { code: -32010 } } },
    ]);
  }
  expect(sends(broker.from("new", call("add", 1)))).toEqual([send("n", { method: "add", id: "c-1#1" })]);
});

it("gives the tasks of a node that has said nothing for too long to others", () => {
  const broker = machine({ stalledMs: 10_000 });
  broker.client("c");
  broker.node("stuck", ["add"], 1);
  broker.from("c", call("add", 1));
  broker.after(9_000);
  broker.node("other", ["add"], 1);
  expect(sends(broker.after(1_000))).toContainEqual(send("other", { method: "add", id: "c-1#2" }));
});

it("refuses an introduction that makes no sense, and forgets it", () => {
  const broker = machine();
  const running = [{ toString: 1, valueOf: 1 }];
  expect(broker.node("n", ["add"], 1, { running })).toMatchObject([{ message: { error: { code: -32602 } } }]);
  expect(broker.counts.sessions).toBe(0);
});

it("makes up ids that no client chose", () => {
  const broker = machine();
  broker.client("c");
  broker.from("c", newTask("2"));
  const unnamed = call("zerotask.broker.client_new_task", "u", { method: "other" });
  expect(sends(broker.from("c", unnamed))).toMatchObject([
    { message: { result: expect.not.stringMatching(/^c-2$/) } },
  ]);
  expect(broker.counts.unsettled).toBe(2);
});

it("shows nobody another client's calls", () => {
  const broker = machine();
  broker.client("c");
  broker.from("c", call("add", 1));
  for (const method of ["client_task_get", "client_task_stop", "client_task_wait"]) {
    const ask = call(`zerotask.broker.${method}`, 1, ["c-1"]);
    expect(sends(broker.from("stranger", ask))).toMatchObject([{ message: { error: { code: -32070 } } }]);
  }
  broker.client("other");
  for (const method of ["client_task_status", "client_task_result"]) {
    const ask = call(`zerotask.broker.${method}`, 1, { task_id: "c-1" });
    expect(sends(broker.from("other", ask))).toMatchObject([{ message: { error: { code: -32070 } } }]);
  }
  expect(sends(broker.from("c", call("zerotask.broker.client_task_get", 2, ["c-1"])))).toMatchObject([
    { message: { result: { status: "QUEUED" } } },
  ]);
});

it("answers a wait that is asked again on a new connection once", () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 1);
  broker.from("c", newTask("1"));
  const wait = call("zerotask.broker.client_task_wait", 5, { task_id: "c-1" });
  broker.from("c", wait);
  broker.from("c", wait);
  const answers = sends(broker.from("n", answer("c-1#1", 11)));
  expect(answers).toMatchObject([{ peer: "c", message: { id: 5 } }]);
});

it("does not let stopped tasks pile up behind one that waits", () => {
  const broker = machine();
  broker.client("c");
  broker.from("c", newTask("first"));
  for (let i = 0; i < 5_000; i++) {
    broker.from("c", newTask(`${i}`, { discard: true }));
    broker.from("c", call("zerotask.broker.client_task_stop", 1, [`c-${i}`]));
  }
  expect(broker.counts.unsettled).toBe(1);
  expect(sends(broker.node("n", ["add"], 10)).slice(1)).toEqual([
    send("n", { method: "add", params: [1], id: "c-first#1" }),
  ]);
});

it('takes the ids 1 and "1" for two requests', () => {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add"], 5);
  const assigned = sends(broker.from("c", [call("add", 1), call("add", "1")]));
  expect(assigned).toEqual([
    send("n", { method: "add", id: "c-1#1" }),
    send("n", { method: "add", id: 'c-"1"#1' }),
  ]);
  expect(broker.from("n", answer('c-"1"#1', "text"))).toEqual([send("c", { id: "1", result: "text" })]);
});

it("keeps answers that are not acknowledged within their bounds", () => {
  const broker = machine({ maxReplay: 10, maxReplayBytes: 5_000 });
  broker.client("c");
  broker.node("n", ["add"], 5);
  for (let i = 0; i < 20; i++) {
    broker.from("c", call("add", i));
    broker.from("n", answer(`c-${i}#1`, "x"));
  }
  expect(broker.counts.tasks).toBe(10);
  broker.from("c", call("add", 100));
  broker.from("n", answer("c-100#1", "x".repeat(4_900)));
  expect(broker.counts.tasks).toBeLessThanOrEqual(2);
});

it("gives each call one grace, however often nodes come and go", () => {
  const broker = machine({ heartbeatMs: 1_000_000 });
  broker.client("c");
  broker.from("c", call("add", 1));
  for (let i = 0; i < 5; i++) {
    broker.after(1_000);
    broker.node("n", ["add"], 0);
    broker.lost("n");
  }
  const failed = (ms: number): number => sends(broker.after(ms)).length;
  expect([failed(4_999), failed(1)]).toEqual([0, 1]);
});
