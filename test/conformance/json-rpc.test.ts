// JSON-RPC 2.0 as any peer sees it: the specification's examples (section 7), and what its text leaves to be hostile.
import { describe, expect, it } from "vitest";
import { startBroker, startNode } from "../support/cluster.ts";
import { type RawPeer, rawDealer, rawReq } from "../support/raw.ts";

const invalid = (id: unknown = null): object => ({
  jsonrpc: "2.0",
  id,
  error: { code: -32600, message: "Invalid Request", data: { reason: expect.any(String) } },
});
const parseError = {
  jsonrpc: "2.0",
  id: null,
  error: { code: -32700, message: "Parse error", data: { reason: expect.any(String) } },
};
const notFound = (id: unknown): object => ({
  jsonrpc: "2.0",
  id,
  error: expect.objectContaining({ code: -32601 }),
});
const tooLarge = (id: unknown): object => ({
  jsonrpc: "2.0",
  id,
  error: expect.objectContaining({ code: -32061 }),
});
const result = (id: unknown, value: unknown): object => ({ jsonrpc: "2.0", id, result: value });

/** Name, what is sent, and what comes back; `undefined` where JSON-RPC sends nothing. */
type Case = [name: string, sent: string | Buffer, answer: unknown];

const add = (id: string): string => `{"jsonrpc":"2.0","method":"add","params":[5,6],"id":${id}}`;

const specification: Case[] = [
  [
    "positional params",
    '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}',
    result(1, 19),
  ],
  [
    "positional params, reversed",
    '{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}',
    result(2, -19),
  ],
  [
    "named params",
    '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
    result(3, 19),
  ],
  [
    "named params, other order",
    '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}',
    result(4, 19),
  ],
  ["a notification", '{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', undefined],
  ["a notification of nothing served", '{"jsonrpc": "2.0", "method": "foobar"}', undefined],
  ["a method that does not exist", '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', notFound("1")],
  ["invalid JSON", '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', parseError],
  ["an invalid request object", '{"jsonrpc": "2.0", "method": 1, "params": "bar"}', invalid()],
  [
    "a batch with invalid JSON",
    '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},{"jsonrpc": "2.0", "method"]',
    parseError,
  ],
  ["an empty array", "[]", invalid()],
  ["an invalid batch, not empty", "[1]", [invalid()]],
  ["an invalid batch", "[1,2,3]", [invalid(), invalid(), invalid()]],
  [
    "a mixed batch",
    `[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
      {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
      {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
      {"foo": "boo"},
      {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
      {"jsonrpc": "2.0", "method": "get_data", "id": "9"}]`,
    [result("1", 7), result("2", 19), invalid(), notFound("5"), result("9", ["hello", 5])],
  ],
  [
    "a batch of notifications",
    '[{"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},{"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}]',
    undefined,
  ],
];

const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);

const hostile: Case[] = [
  ["[[]]", "[[]]", [invalid()]],
  ["nested batches", `[[${add("1")}],${add("2")}]`, [invalid(), result(2, 11)]],
  ["id null, which is no notification", add("null"), result(null, 11)],
  ["a fractional id", add("1.5"), result(1.5, 11)],
  ["a huge id, which could not come back as it was", add("12345678901234567890"), invalid()],
  ["an infinite id", add("1e400"), invalid()],
  ["an id that is an object", add("{}"), invalid()],
  ["an id that is too long", add(`"${"x".repeat(257)}"`), invalid()],
  ["duplicate ids in a batch", `[${add("7")},${add("7")}]`, [result(7, 11), result(7, 11)]],
  ["params: null", '{"jsonrpc":"2.0","method":"add","params":null,"id":1}', invalid(1)],
  ["params that are a string", '{"jsonrpc":"2.0","method":"add","params":"5","id":1}', invalid(1)],
  [
    "duplicate keys, of which the last counts",
    '{"jsonrpc":"2.0","method":"nobody","method":"add","params":[5,6],"id":1}',
    result(1, 11),
  ],
  ["a byte order mark", `\uFEFF${add("1")}`, parseError],
  ["invalid UTF-8", Buffer.from([0x22, 0xff, 0xfe, 0x22]), parseError],
  ["trailing bytes", `${add("1")} x`, parseError],
  ["no bytes", "", parseError],
  ["another version", '{"jsonrpc":"1.0","method":"add","params":[5,6],"id":1}', invalid(1)],
  ["a batch of 10,001", `[${Array(10_001).fill(add("1")).join(",")}]`, tooLarge(null)],
  ["params 100,000 deep", `{"jsonrpc":"2.0","method":"add","params":${nested(100_000)},"id":1}`, tooLarge(1)],
  ["an array 100,000 deep", nested(100_000), [invalid()]],
  ["__proto__", '{"jsonrpc":"2.0","method":"__proto__","id":1}', notFound(1)],
  ["constructor", '{"jsonrpc":"2.0","method":"constructor","id":1}', notFound(1)],
  ["then", '{"jsonrpc":"2.0","method":"then","id":1}', notFound(1)],
  ["toJSON", '{"jsonrpc":"2.0","method":"toJSON","id":1}', notFound(1)],
  ["rpc.unknown", '{"jsonrpc":"2.0","method":"rpc.unknown","id":1}', notFound(1)],
  ["zerotask.unknown", '{"jsonrpc":"2.0","method":"zerotask.broker.unknown","id":1}', notFound(1)],
  ["a response to nothing", '{"jsonrpc":"2.0","result":1,"id":1}', invalid()],
  [
    "params with __proto__",
    '{"jsonrpc":"2.0","method":"keys","params":[{"__proto__":{"polluted":1}}],"id":1}',
    result(1, ["__proto__"]),
  ],
];

async function start(): Promise<string> {
  const { requestEndpoint } = await startBroker({ graceMs: 0 });
  await startNode(requestEndpoint, (dispatcher) => {
    const subtract = (minuend: number, subtrahend: number): number => minuend - subtrahend;
    dispatcher.add("subtract", subtract, { params: ["minuend", "subtrahend"] });
    dispatcher.add("add", (a: number, b: number) => a + b);
    dispatcher.add("sum", (...values: number[]) => values.reduce((a, b) => a + b, 0));
    dispatcher.add("get_data", () => ["hello", 5]);
    dispatcher.add("keys", (value: object) => Object.keys(value));
    for (const name of ["update", "notify_hello", "notify_sum"]) dispatcher.add(name, () => undefined);
  });
  return requestEndpoint;
}

const marker = { jsonrpc: "2.0", id: "marker", method: "add", params: [1, 1] };
const markerAnswer = result("marker", 2);

/** A batch may be answered in any order. */
function matches(actual: unknown, expected: unknown): void {
  if (!Array.isArray(expected)) expect(actual).toEqual(expected);
  else {
    expect(actual).toHaveLength(expected.length);
    expect(actual).toEqual(expect.arrayContaining(expected));
  }
}

async function answerOf(peer: RawPeer): Promise<unknown> {
  return JSON.parse((await peer.receive()).at(-1) ?? "");
}

describe.each([
  ["section 7", specification],
  ["hostile", hostile],
])("%s", (_name, cases) => {
  it.each(cases)("DEALER: %s", async (_case, sent, answer) => {
    const peer = rawDealer(await start());
    await peer.send(sent);
    if (answer !== undefined) matches(await answerOf(peer), answer);
    // Nothing more came, and the broker is as it was.
    expect(await peer.ask(marker)).toEqual(markerAnswer);
  });

  it.each(cases)("REQ: %s", async (_case, sent, answer) => {
    const peer = rawReq(await start());
    await peer.send(sent);
    matches(await answerOf(peer), answer === undefined ? null : answer);
    expect(await peer.ask(marker)).toEqual(markerAnswer);
  });
});

it.each<[string, string[]]>([
  ["two frames, the first not empty", [add("1"), "payload"]],
  ["three frames", ["", add("1"), "payload"]],
  ["three frames, the first not empty", [add("1"), "a", "b"]],
])("refuses %s", async (_case, frames) => {
  const peer = rawDealer(await start());
  await peer.send(frames);
  expect(await answerOf(peer)).toEqual(invalid());
  expect(await peer.ask(marker)).toEqual(markerAnswer);
});

it("answers in the shape that a peer used: an empty frame in front, or none", async () => {
  const peer = rawDealer(await start());
  await peer.send(["", add("1")]);
  expect(await peer.receive()).toEqual(["", JSON.stringify(result(1, 11))]);
  await peer.send(add("2"));
  expect(await peer.receive()).toEqual([JSON.stringify(result(2, 11))]);
});

it("ignores an empty frame alone, which holds no JSON, but says so", async () => {
  const peer = rawDealer(await start());
  await peer.send([""]);
  expect(await answerOf(peer)).toEqual(parseError);
});

it("refuses a message over the bound with an error", async () => {
  const { requestEndpoint } = await startBroker({ maxMessageBytes: 1_000 });
  const peer = rawDealer(requestEndpoint);
  expect(await peer.ask(`"${"x".repeat(1_500)}"`)).toEqual(tooLarge(null));
});

it("refuses more tasks than it may hold, and says when to try again", async () => {
  const { requestEndpoint } = await startBroker({ maxTasks: 1 });
  const peer = rawDealer(requestEndpoint);
  await peer.send(add("1"));
  expect(await peer.ask(add("2"))).toMatchObject({
    id: 2,
    error: { code: -32060, data: { retry_after_ms: 1_000 } },
  });
});
