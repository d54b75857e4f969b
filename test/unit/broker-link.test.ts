import { expect, it } from "vitest";
import {
  type Batch,
  type ConnectionHandlers,
  type Dial,
  Dispatcher,
  InvalidParamsError,
  type Runtime,
  systemRuntime,
} from "zerotask-core";
import { current, Node } from "zerotask-node";
import { until } from "../support/wait.ts";

interface Told {
  readonly method?: string;
  readonly id?: unknown;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string };
}

interface Linked {
  readonly node: Node;
  /** What the node has sent, but for its introduction. */
  readonly sent: Told[];
  /** What it has told of its methods. */
  readonly methods: () => unknown;
  push(...messages: readonly object[]): void;
  /** How much the node could not send so far. */
  readonly outbox: { unsent: number };
  /** Lets the timers of a time fire that are under way. */
  fire(ms: number): void;
}

/** A node whose broker is this test, and whose timers fire when the test says so. */
async function link(setUp: (dispatcher: Dispatcher) => void, drainMs = 0): Promise<Linked> {
  const sent: Told[] = [];
  const timers = new Map<object, { readonly ms: number; readonly callback: () => void }>();
  const runtime: Runtime = {
    ...systemRuntime,
    after: (ms, callback) => {
      const timer = { cancel: () => void timers.delete(timer) };
      timers.set(timer, { ms, callback });
      return timer;
    },
  };
  let methods: unknown;
  let handlers: ConnectionHandlers | undefined;
  const push = (...messages: readonly object[]): void => {
    const text = JSON.stringify(messages.map((message) => ({ jsonrpc: "2.0", ...message })));
    handlers?.onMessage(Buffer.from(text));
  };
  const outbox = { unsent: 0 };
  const dial: Dial = (_endpoint, given) => {
    handlers = given;
    return {
      get unsent() {
        return outbox.unsent;
      },
      send: (text) => {
        const told = JSON.parse(text) as Told;
        if (told.id !== "introduction") sent.push(told);
        else {
          methods = (told.params as { methods: unknown }).methods;
          const result = { limits: { message_bytes: 10_000, batch: 10 }, heartbeat_ms: 60_000, abort: [] };
          queueMicrotask(() => push({ id: "introduction", result }));
        }
      },
      limit: () => undefined,
      close: () => undefined,
    };
  };
  const dispatcher = new Dispatcher();
  setUp(dispatcher);
  const node = new Node({ dispatcher, dial, runtime, drainMs });
  node.addBroker("tcp://127.0.0.1:5555");
  await node.start();
  sent.length = 0;
  const fire = (ms: number): void => {
    for (const [timer, { ms: due, callback }] of [...timers])
      if (due === ms && timers.delete(timer)) callback();
  };
  return { node, sent, methods: () => methods, push, fire, outbox };
}

const nameInstance = (id: string, method: string, params?: unknown): object => ({
  method: "zerotask.node.name_instance",
  params: { method, ...(params !== undefined && { params }) },
  id,
});

it("tells the broker of a method's traits, and of no functions", async () => {
  const { methods } = await link((dispatcher) => {
    dispatcher.add("resize", () => 1, { singleton: (id: string) => id, batch: { max: 4 }, maxRetries: 3 });
  });
  expect(methods()).toEqual([
    {
      name: "resize",
      singleton: { by: "params", mode: "stop" },
      batch: { max: 4, wait_ms: 0 },
      max_retries: 3,
    },
  ]);
});

it("names an instance for the broker at once, and runs nothing for it", async () => {
  const runs: unknown[] = [];
  const { push, sent } = await link((dispatcher) => {
    dispatcher.add("resize", (id) => runs.push(id), {
      singleton: (id: string) => `image ${id}`,
      params: ["id"],
    });
  });
  push(nameInstance("name:17", "resize", ["a"]), nameInstance("name:18", "resize", { id: "b" }));
  expect(sent).toEqual([
    { jsonrpc: "2.0", id: "name:17", result: { name: "image a" } },
    { jsonrpc: "2.0", id: "name:18", result: { name: "image b" } },
  ]);
  expect(runs).toEqual([]);
});

it("answers with an error when it can't name an instance", async () => {
  const { push, sent } = await link((dispatcher) => {
    const throwing = (error: Error) => () => {
      throw error;
    };
    dispatcher.add("odd", () => 1, { singleton: (() => 5) as never });
    dispatcher.add("fails", () => 1, { singleton: throwing(new RangeError("no")) });
    dispatcher.add("wrong", () => 1, { singleton: throwing(new InvalidParamsError("no id")) });
    dispatcher.add("long", () => 1, { singleton: throwing(new Error("x".repeat(20_000))) });
  });
  for (const method of ["odd", "fails", "wrong", "long", "nobody"])
    push(nameInstance(`name:${method}`, method, []));
  expect(sent.map(({ id, error }) => [id, error?.code, error?.message.slice(0, 40)])).toEqual([
    ["name:odd", -32000, "Expected `instance of odd` to be a strin"],
    ["name:fails", -32000, "no"],
    ["name:wrong", -32602, "no id"],
    ["name:long", -32061, "Expected a result of at most 10000 bytes"],
    ["name:nobody", -32601, "Expected a method that is a singleton by"],
  ]);
});

const assign = (id: string, n: number): object => ({ method: "double", params: [n], id });
const addDouble =
  (runs: unknown[]) =>
  (dispatcher: Dispatcher): void =>
    dispatcher.add(
      "double",
      (calls: Batch<[number]>) => {
        runs.push(calls);
        return calls.map(([n]) => n * 2);
      },
      { batch: { max: 10, waitMs: 7 } },
    );
const answered = (sent: readonly Told[]): unknown[] =>
  sent
    .filter(({ result, error }) => result !== undefined || error !== undefined)
    .map(({ id, result }) => [id, result]);

it("collects assigned tasks by the node's own timers, and answers each", async () => {
  const runs: unknown[] = [];
  const { push, sent, fire } = await link(addDouble(runs));
  push(assign("a#1", 1));
  push(assign("b#1", 2));
  expect(runs).toEqual([]);
  fire(7);
  expect(runs).toEqual([[[1], [2]]]);
  expect(answered(sent)).toEqual([
    ["a#1", 2],
    ["b#1", 4],
  ]);
});

it("leaves out a task that the broker aborts while it is collected, and frees its slot", async () => {
  const runs: unknown[] = [];
  const { node, push, sent, fire } = await link(addDouble(runs));
  const abort = (id: string): object => ({ method: "zerotask.node.task_abort", params: { id } });
  push(assign("a#1", 1), assign("b#1", 2), abort("a#1"), assign("c#1", 3));
  fire(7);
  expect(runs).toEqual([[[2], [3]]]);
  expect(answered(sent)).toEqual([
    ["b#1", 4],
    ["c#1", 6],
  ]);
  // No timer ends this wait: it would go on for a slot that is taken.
  await node.stop();
});

it("runs what is collected when it stops, rather than wait", async () => {
  const runs: unknown[] = [];
  const { node, push, sent } = await link(addDouble(runs));
  push(assign("a#1", 1), assign("b#1", 2));
  await node.stop();
  expect(runs).toEqual([[[1], [2]]]);
  expect(answered(sent)).toEqual([
    ["a#1", 2],
    ["b#1", 4],
  ]);
  expect(sent.at(-1)?.method).toBe("zerotask.broker.node_disconnect");
});

it("tells nothing of what runs while a broker takes less than that, but how much was dropped", async () => {
  const { push, sent, outbox } = await link((dispatcher) => {
    dispatcher.add("chat", () => {
      for (const unsent of [0, 5_000_000]) {
        outbox.unsent = unsent;
        current().emit("unsent", unsent);
      }
      return "done";
    });
  });
  push({ method: "chat", params: [], id: "task#1" });
  await until("its answer", () => sent.some(({ id }) => id === "task#1"));
  expect(
    sent.flatMap(({ method, params }) => (method?.includes("node_task") === true ? [params] : [])),
  ).toMatchObject([
    { event: "unsent", data: 0 },
    { lines: [{ level: "warn", message: expect.stringMatching(/lines of this task: 1 /) }] },
  ]);
});
