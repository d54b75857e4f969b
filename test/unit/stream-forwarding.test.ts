// What the broker makes of streams: it passes them on between a client and the node that runs its call, and no further.
import { expect, it } from "vitest";
import { answer, call, type Machine, machine, send, sends } from "../support/broker-machine.ts";

const shape = { items: 10, bytes: 1_000, output: true, inputs: [1] };

const note = (method: string, params: object): object => ({ jsonrpc: "2.0", method, params });
const items = (id: string, seq: number, ...values: unknown[]): object =>
  note("zerotask.broker.node_stream_items", { id, seq, items: values, bytes: 9 });
const grant = (id: unknown, taken: number, more: object = {}): object =>
  note("zerotask.broker.client_stream_grant", { id, taken, received: taken, ...more });
const open = (id: number, more: object = {}): object =>
  call("zerotask.broker.client_call", id, ["rows", ["q", null], { stream: { ...shape, ...more } }]);

/** A client `cli` whose call 1 runs on the node `worker`. */
function streaming(config: Parameters<typeof machine>[0] = {}): Machine {
  const broker = machine(config);
  broker.node("worker", ["rows"], 1);
  broker.client("cli");
  broker.from("cli", open(1));
  return broker;
}

it("tells the node which streams a call has", () => {
  const broker = machine();
  broker.node("worker", ["rows"], 1);
  broker.client("cli");
  expect(sends(broker.from("cli", open(1)))).toEqual([
    send("worker", { method: "rows", params: ["q", null], id: "cli-1#1", meta: { stream: shape } }),
  ]);
});

it("passes items and grants on, and answers at the end", () => {
  const broker = streaming();
  expect(broker.from("worker", items("cli-1#1", 0, "a", "b"))).toEqual([
    send("cli", {
      method: "zerotask.client.stream_items",
      params: { id: 1, seq: 0, items: ["a", "b"], bytes: 9 },
    }),
  ]);
  expect(broker.from("cli", grant(1, 2, { again: true }))).toEqual([
    send("worker", {
      method: "zerotask.node.stream_grant",
      params: { id: "cli-1#1", taken: 2, received: 2, again: true },
    }),
  ]);
  const input = { input: 1, seq: 0, items: [7], bytes: 2, end: true };
  expect(broker.from("cli", note("zerotask.broker.client_stream_input", { id: 1, ...input }))).toEqual([
    send("worker", { method: "zerotask.node.stream_input", params: { id: "cli-1#1", ...input } }),
  ]);
  const told = { input: 1, taken: 1, received: 2 };
  expect(broker.from("worker", note("zerotask.broker.node_input_grant", { id: "cli-1#1", ...told }))).toEqual(
    [send("cli", { method: "zerotask.client.input_grant", params: { id: 1, ...told } })],
  );
  expect(sends(broker.from("worker", answer("cli-1#1", null)))).toEqual([
    send("cli", { id: 1, result: null }),
  ]);
  expect(broker.from("worker", items("cli-1#1", 2, "late"))).toEqual([]);
  expect(broker.from("cli", grant(1, 3))).toEqual([]);
});

it("lets nobody speak for streams of others, or of calls that have none", () => {
  const broker = streaming();
  broker.node("other", ["add"], 5);
  broker.client("else");
  expect(broker.from("other", items("cli-1#1", 0, 1))).toEqual([]);
  expect(broker.from("else", grant(1, 5))).toEqual([]);
  expect(broker.from("stranger", grant(1, 5))).toEqual([]);
  broker.from("else", call("add", 1, [1]));
  expect(broker.from("other", items("else-1#1", 0, 1))).toEqual([]);
  expect(broker.from("worker", items("cli-1#2", 0, 1))).toEqual([]);
});

it("ends the call of who sends more than it was asked for", () => {
  const broker = streaming();
  expect(
    sends(broker.from("worker", items("cli-1#1", 0, ...Array.from({ length: 10 }, () => 0)))),
  ).toHaveLength(1);
  const effects = sends(broker.from("worker", items("cli-1#1", 10, 0)));
  expect(effects).toMatchObject([
    { peer: "worker", message: { method: "zerotask.node.task_abort", params: { id: "cli-1#1" } } },
    { peer: "cli", message: { id: 1, error: { code: -32070 } } },
  ]);
});

it("runs a call again whose node was lost before any item went by, and fails one of which some did", () => {
  const broker = streaming({ adoptMs: 500 });
  broker.lost("worker");
  expect(sends(broker.node("worker", ["rows"], 1)).at(-1)).toMatchObject({ message: { id: "cli-1#2" } });
  broker.from("worker", items("cli-1#2", 0, 1));
  expect(sends(broker.lost("worker"))).toEqual([]);
  expect(sends(broker.node("another", ["rows"], 1))).toHaveLength(1);
  expect(sends(broker.after(500))).toMatchObject([
    { peer: "cli", message: { id: 1, error: { code: -32042 } } },
  ]);
});

it("lets a node that was lost go on with its stream when it is back, and nobody else", () => {
  const broker = streaming({ adoptMs: 500 });
  broker.from("worker", items("cli-1#1", 0, 1));
  broker.lost("worker");
  const thief = broker.node("thief", ["rows"], 1, { running: ["cli-1#1"] });
  expect(thief).toMatchObject([{ message: { result: { abort: ["cli-1#1"] } } }]);
  const back = broker.node("worker", ["rows"], 1, { running: ["cli-1#1"] });
  expect(sends(back)).toMatchObject([{ message: { result: { abort: [] } } }]);
  const toClient = sends(broker.after(1_000)).filter((effect) => "peer" in effect && effect.peer === "cli");
  expect(toClient).toEqual([]);
  expect(sends(broker.from("worker", items("cli-1#1", 1, 2)))).toHaveLength(1);
});

it("retries no handler of which items went by", () => {
  const broker = streaming();
  const failed = {
    jsonrpc: "2.0",
    id: "cli-1#1",
    error: { code: -32001, message: "again", data: { delay_ms: 0 } },
  };
  broker.from("worker", items("cli-1#1", 0, 1));
  expect(sends(broker.from("worker", failed))).toMatchObject([
    { peer: "cli", message: { error: { code: -32000 } } },
  ]);
});

it("begins a call anew that it does not know, unless items of it went by", () => {
  const broker = machine();
  broker.node("worker", ["rows"], 2);
  broker.client("cli");
  expect(sends(broker.from("cli", open(1, { resumed: true })))).toMatchObject([
    { peer: "cli", message: { id: 1, error: { code: -32043 } } },
  ]);
  expect(sends(broker.from("cli", open(2)))).toMatchObject([{ peer: "worker", message: { id: "cli-2#1" } }]);
  // One that it knows goes on, whatever is said.
  expect(sends(broker.from("cli", open(2, { resumed: true })))).toEqual([]);
});

it("sends nothing to a client that is away, and counts nothing as gone by", () => {
  const broker = streaming();
  broker.lost("cli");
  expect(broker.from("worker", items("cli-1#1", 0, 1))).toEqual([]);
  broker.lost("worker");
  expect(sends(broker.node("worker", ["rows"], 1)).at(-1)).toMatchObject({ message: { id: "cli-1#2" } });
});

it("refuses streams of tasks that are stored, and of its own", () => {
  const broker = streaming();
  const params = { method: "rows", params: [], options: { stream: shape } };
  expect(broker.from("cli", call("zerotask.broker.client_new_task", 2, params))).toMatchObject([
    { message: { error: { code: -32602, message: expect.stringContaining("only calls have some") } } },
  ]);
  const own = ["broker.hot", [], { stream: shape }];
  expect(broker.from("cli", call("zerotask.broker.client_call", 3, own))).toMatchObject([
    { message: { error: { code: -32070 } } },
  ]);
});

it("gives streams of equal calls each a run of its own", () => {
  const broker = machine();
  broker.node("worker", [{ name: "rows", coalesce: true }], 5);
  broker.client("cli");
  broker.from("cli", open(1));
  expect(sends(broker.from("cli", open(2)))).toMatchObject([{ message: { id: "cli-2#1" } }]);
});

it("stops the handler when the client's session is given up", () => {
  const broker = streaming();
  broker.from("worker", items("cli-1#1", 0, 1));
  broker.lost("cli");
  const effects = [broker.after(30_000), broker.after(31_000)].flat();
  expect(sends(effects)).toContainEqual(
    send("worker", { method: "zerotask.node.task_abort", params: { id: "cli-1#1" } }),
  );
});
