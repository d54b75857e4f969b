import { networkInterfaces } from "node:os";
import { expect, it } from "vitest";
import {
  BrokerUnavailableError,
  ClientClosedError,
  MethodNotFoundError,
  TaskFailedError,
  TaskTimeoutError,
  TooLargeError,
} from "zerotask-client";
import { addModule, Dispatcher, InvalidParamsError } from "zerotask-core";
import { connect, gate, startBroker, startNode } from "../support/cluster.ts";
import * as calculator from "./calculator.ts";

const serveCalculator = (dispatcher: Dispatcher): void => {
  // The module's functions registered themselves with the default dispatcher when it was imported.
  dispatcher.add("echo", calculator.echo);
  dispatcher.add("namespaces.are.awesome.foo", calculator.foo);
  dispatcher.add("join", calculator.join, { params: ["first", "second"] });
  addModule(calculator, dispatcher);
};

async function startCalculator(): Promise<string> {
  const { requestEndpoint } = await startBroker({ graceMs: 50 });
  await startNode(requestEndpoint, serveCalculator);
  return requestEndpoint;
}

it("calls decorated methods, named tasks and nested names", async () => {
  const client = connect<typeof calculator & { math: { subtract(a: number, b: number): number } }>(
    await startCalculator(),
  );
  expect(await client.add(5, 6)).toBe(11);
  expect(await client.math.subtract(5, 6)).toBe(-1);
  expect(await client.namespaces.are.awesome.foo()).toBe("bar");
  expect(await client.calls()).toBe(1);
});

it("carries any JSON value there and back", async () => {
  const client = connect<typeof calculator>(await startCalculator());
  const values = [
    null,
    true,
    0,
    -1.5,
    "",
    "é\u0000😀",
    [],
    {},
    [[1, [2]], { a: { b: null } }],
    "x".repeat(1_000_000),
  ];
  for (const value of values) expect(await client.echo(value)).toEqual(value);
  expect(await client.echo(undefined)).toBeNull();
});

it("answers many calls in flight, each with its own result", async () => {
  const client = connect<typeof calculator>(await startCalculator());
  const sums = await Promise.all(Array.from({ length: 20_000 }, (_, i) => client.add(i, 1)));
  expect(sums).toEqual(Array.from({ length: 20_000 }, (_, i) => i + 1));
});

it("calls by name where the handler declared its parameters, and refuses names it doesn't know", async () => {
  const client = connect(await startCalculator());
  expect(await client.$call("join", { second: "b", first: "a" })).toBe("a+b");
  expect(await client.$call("join", { first: "a" })).toBe("a+");
  const call = client.$call("join", { third: "c" });
  await expect(call).rejects.toThrow('Expected the params first, second, got "third"');
  await expect(call).rejects.toBeInstanceOf(InvalidParamsError);
  expect(await client.$call("echo", { any: "thing" })).toEqual({ any: "thing" });
});

it("rejects with what the handler threw", async () => {
  const { requestEndpoint } = await startBroker();
  await startNode(requestEndpoint, (dispatcher) => {
    dispatcher.add("now", () => {
      throw Object.assign(new RangeError("too much"), { data: { most: 3 } });
    });
    dispatcher.add("later", async () => {
      throw "just a string";
    });
    dispatcher.add("big", () => 1n);
  });
  const client = connect(requestEndpoint);
  const error: TaskFailedError = await client.now().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(TaskFailedError);
  expect(error).toMatchObject({
    remoteName: "RangeError",
    message: "too much",
    data: { most: 3 },
    code: -32000,
  });
  expect(error.remoteStack).toContain("calls.test.ts");
  await expect(client.later()).rejects.toMatchObject({ message: "just a string", remoteName: "string" });
  await expect(client.big()).rejects.toThrow("The result can't be sent as JSON");
});

it("rejects a method that nobody serves, once the grace is over", async () => {
  const client = connect(await startCalculator());
  const call = client.no.such.method();
  await expect(call).rejects.toBeInstanceOf(MethodNotFoundError);
  await expect(call).rejects.toThrow("Method not found: no.such.method");
});

it("waits, within the grace, for a node that serves the method", async () => {
  const { requestEndpoint } = await startBroker({ graceMs: 10_000 });
  const client = connect(requestEndpoint);
  const sum = client.add(5, 6);
  await startNode(requestEndpoint, serveCalculator);
  expect(await sum).toBe(11);
});

it("rejects a call that is not answered in time, and goes on working", async () => {
  const { requestEndpoint } = await startBroker();
  const { opened, open } = gate();
  await startNode(requestEndpoint, (dispatcher) => {
    dispatcher.add("slow", () => opened);
    dispatcher.add("quick", () => 1);
  });
  const client = connect(requestEndpoint);
  const call = client.$with({ timeoutMs: 20 }).slow();
  await expect(call).rejects.toBeInstanceOf(TaskTimeoutError);
  open();
  expect(await client.quick()).toBe(1);
});

it("rejects when no broker is there", async () => {
  const client = connect("tcp://127.0.0.1:1", { connectTimeoutMs: 50 });
  await expect(client.add(1, 2)).rejects.toBeInstanceOf(BrokerUnavailableError);
  await expect(client.add(1, 2)).rejects.toThrow("No broker at tcp://127.0.0.1:1 for 50 ms");
});

it("rejects pending and later calls once it is closed", async () => {
  const { requestEndpoint } = await startBroker();
  await startNode(requestEndpoint, (dispatcher) =>
    dispatcher.add("never", () => new Promise(() => undefined)),
  );
  const client = connect(requestEndpoint);
  const pending = client.never();
  pending.catch(() => undefined);
  await client.$close();
  await expect(pending).rejects.toBeInstanceOf(ClientClosedError);
  await expect(client.never()).rejects.toBeInstanceOf(ClientClosedError);
});

it("refuses params that can't be sent, before it sends anything", async () => {
  const client = connect(await startCalculator());
  await expect(client.echo(1n)).rejects.toThrow("Expected params that JSON can hold");
  expect(await client.echo("first")).toBe("first");
  await expect(client.echo("x".repeat(17 * 1024 * 1024))).rejects.toBeInstanceOf(TooLargeError);
  expect(await client.echo("still here")).toBe("still here");
});

it("fails a task whose result can't be sent, for what it is or for its size", async () => {
  const { requestEndpoint } = await startBroker({ maxMessageBytes: 10_000 });
  await startNode(requestEndpoint, (dispatcher) => {
    dispatcher.add("function", () => () => 1);
    dispatcher.add("large", (length: number) => "x".repeat(length));
    dispatcher.add("nothing", () => undefined);
  });
  const client = connect(requestEndpoint);
  await expect(client.function()).rejects.toThrow(
    "The result can't be sent as JSON: JSON has nothing for this function",
  );
  await expect(client.large(10_000)).rejects.toBeInstanceOf(TooLargeError);
  await expect(client.large(40_000)).rejects.toThrow("Expected a result of at most 10000 bytes, got 400");
  expect(await client.large(9_000)).toHaveLength(9_000);
  expect(await client.nothing()).toBeNull();
});

it("refuses a result that nests too deep, as the task's failure", async () => {
  const { requestEndpoint } = await startBroker({ maxDepth: 10 });
  const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
  await startNode(requestEndpoint, (dispatcher) => dispatcher.add("nested", nested));
  const client = connect(requestEndpoint);
  expect(await client.nested(10)).toEqual(nested(10));
  await expect(client.nested(11)).rejects.toBeInstanceOf(TooLargeError);
});

it("runs broker tasks in the broker's own process", async () => {
  const dispatcher = new Dispatcher();
  const { requestEndpoint } = await startBroker({ dispatcher });
  dispatcher.add("broker.new_hotness", () => 42);
  dispatcher.add("broker.fails", () => {
    throw new Error("no");
  });
  dispatcher.add("broker.big", () => 1n);
  const client = connect(requestEndpoint);
  expect(await client.broker.new_hotness()).toBe(42);
  await expect(client.broker.fails()).rejects.toBeInstanceOf(TaskFailedError);
  await expect(client.broker.big()).rejects.toThrow("can't be sent as JSON");
  await expect(client.broker.unknown()).rejects.toBeInstanceOf(MethodNotFoundError);
});

it("discovers what is served now", async () => {
  const dispatcher = new Dispatcher();
  dispatcher.add("broker.hello", () => "hello", { params: ["name"] });
  const { requestEndpoint } = await startBroker({ dispatcher });
  const node = await startNode(requestEndpoint, serveCalculator);
  const client = connect(requestEndpoint);
  const names = async (): Promise<string[]> =>
    (await client.rpc.discover()).methods.map(({ name }: { name: string }) => name);
  expect(await names()).toEqual([
    "add",
    "broker.hello",
    "calls",
    "echo",
    "join",
    "math.subtract",
    "namespaces.are.awesome.foo",
  ]);
  await node.stop();
  await expect.poll(names).toEqual(["broker.hello"]);
});

it("is not taken for a promise, and answers nothing that others probe for", async () => {
  const client = connect(await startCalculator());
  expect(await Promise.resolve(client)).toBe(client);
  expect(JSON.stringify({ client: client.add })).toBe("{}");
  expect((client as unknown as { [Symbol.iterator]: unknown })[Symbol.iterator]).toBeUndefined();
  expect(() => {
    (client as unknown as { add: number }).add = 1;
  }).toThrow("A client's methods can't be set");
});

it("survives handlers whose errors and results can't even be looked at", async () => {
  const { requestEndpoint } = await startBroker();
  const evil = (): never => {
    throw null;
  };
  await startNode(requestEndpoint, (dispatcher) => {
    dispatcher.add("result", () => ({ toJSON: evil }));
    dispatcher.add("thrown", () => {
      throw Object.defineProperty(new Error("x"), "message", { get: evil });
    });
    dispatcher.add("later", async () => {
      throw Object.assign(new Error("x"), { message: Object.create(null) });
    });
    dispatcher.add("fine", () => "fine");
  });
  const client = connect(requestEndpoint);
  for (const call of [client.result(), client.thrown(), client.later()]) {
    await expect(call).rejects.toBeInstanceOf(TaskFailedError);
  }
  expect(await client.fine()).toBe("fine");
});

it("keeps its batches within what the broker takes", async () => {
  const { requestEndpoint } = await startBroker({ maxBatch: 10, maxMessageBytes: 5_000 });
  await startNode(requestEndpoint, (dispatcher) => dispatcher.add("echo", (value: unknown) => value));
  const client = connect(requestEndpoint);
  const texts = Array.from({ length: 200 }, (_, i) => `${i} ${"é".repeat(i)}`);
  expect(await Promise.all(texts.map((text) => client.echo(text)))).toEqual(texts);
});

it("fails a broker task whose result is too large", async () => {
  const dispatcher = new Dispatcher();
  dispatcher.add("broker.big", () => "x".repeat(10_000));
  const { requestEndpoint } = await startBroker({ dispatcher, maxMessageBytes: 5_000 });
  await expect(connect(requestEndpoint).broker.big()).rejects.toBeInstanceOf(TooLargeError);
});

const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === "::1"),
);

it.skipIf(!hasIpv6)("reaches a broker over IPv6 (skipped where the machine has none)", async () => {
  const { requestEndpoint } = await startBroker({ address: "::1" });
  expect(requestEndpoint).toMatch(/^tcp:\/\/\[::1\]:\d+$/);
  await startNode(requestEndpoint, (dispatcher) => dispatcher.add("add", (a: number, b: number) => a + b));
  expect(await connect(requestEndpoint).add(5, 6)).toBe(11);
});

it("reports a host that is no host like one that is not there", async () => {
  const client = connect("tcp://-:5555", { connectTimeoutMs: 50 });
  await expect(client.add(1, 2)).rejects.toBeInstanceOf(BrokerUnavailableError);
});

it("can be put into a text without making calls", async () => {
  const client = connect(await startCalculator());
  expect(() => `${client.add}`).toThrow(TypeError);
});
