// Handlers in threads and processes: what they can do, and what becomes of them and of others when they die.
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { Broker } from "zerotask-broker";
import { AsyncClient, Client, TaskFailedError, TooLargeError } from "zerotask-client";
import { type BatchRule, type Dial, Dispatcher, dialDealer, systemRuntime, task } from "zerotask-core";
import { Node, type NodeOptions } from "zerotask-node";
import { Executors } from "../../packages/node/src/executors/executors.ts";
import type { PoolHost } from "../../packages/node/src/executors/pool-host.ts";
import { connect, connectAsync, gate, startBroker } from "../support/cluster.ts";
import { end, start } from "../support/processes.ts";
import { until } from "../support/wait.ts";
import * as hungry from "./hungry-tasks.ts";
import * as tasks from "./isolated-tasks.ts";

const module = new URL("isolated-tasks.ts", import.meta.url);
const hungryModule = new URL("hungry-tasks.ts", import.meta.url);
const kinds = ["thread", "process"] as const;
type Methods = typeof tasks & typeof hungry & { here(): number };

/** What these modules serve: each test's node has a dispatcher of its own. */
function dispatcherOf(modules: NodeOptions["modules"]): Dispatcher {
  const dispatcher = new Dispatcher();
  for (const [name, handler] of Object.entries(modules?.[0] === hungryModule ? hungry : tasks)) {
    const options = modules?.[0] === hungryModule ? { maxMemoryMb: 64 } : (batches[name] ?? {});
    if (name !== "numbers") dispatcher.add(name, handler as () => unknown, options);
  }
  dispatcher.add("here", () => process.pid, { isolate: "none" });
  return dispatcher;
}
const batches: { readonly [name: string]: { readonly batch: BatchRule } } = {
  lengths: { batch: { max: 10, waitMs: 20 } },
  lonely: { batch: { max: 2, waitMs: 100 } },
};

interface Isolated {
  readonly node: Node;
  /** Its endpoint. */
  readonly broker: string;
  readonly client: Client<Methods>;
  /** What the node told its broker: methods and params. */
  readonly told: { method: string; params: Record<string, unknown>; at: number }[];
  readonly close: () => Promise<void>;
}

async function open(options: NodeOptions): Promise<Isolated> {
  const broker = new Broker({ requestPort: 0, publishPort: 0, dispatcher: new Dispatcher(), heartbeatMs });
  await broker.start();
  const told: Isolated["told"] = [];
  const { modules = [module] } = options;
  const own = { dispatcher: dispatcherOf(modules), modules, workers: 2, dial: noting(told), drainMs: 0 };
  const node = new Node({ ...own, ...options });
  node.addBroker(broker.requestEndpoint);
  const client = new Client<Methods>(broker.requestEndpoint);
  const close = async (): Promise<void> => {
    await Promise.all([client.$close(), node.stop()]);
    await broker.stop();
  };
  await node.start().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return { node, broker: broker.requestEndpoint, client, told, close };
}

/** Notes what a node tells its broker. */
function noting(told: Isolated["told"]): Dial {
  return (endpoint, handlers) => {
    const connection = dialDealer(endpoint, handlers);
    const send = (text: string): void => {
      const { method, params } = JSON.parse(text) as { method?: string; params: Record<string, unknown> };
      const name = method?.replace("zerotask.broker.", "");
      if (name?.startsWith("node_") === true) told.push({ method: name, params, at: performance.now() });
      connection.send(text);
    };
    return { send, close: () => connection.close(), limit: (limits) => connection.limit(limits) };
  };
}

async function isolated(options: NodeOptions): Promise<Isolated> {
  const opened = await open(options);
  onTestFinished(opened.close);
  return opened;
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** The processes of a node that run its tasks. */
async function workersOf(client: Client<Methods>, count: number): Promise<number[]> {
  const pids = new Set<number>();
  await until("every worker to answer", async () => {
    const places = await Promise.all(Array.from({ length: count * 2 }, () => client.where()));
    for (const { pid } of places) pids.add(pid);
    return pids.size >= count;
  });
  return [...pids];
}

const heartbeatMs = 100;

describe.each(kinds)("in a %s", (isolate) => {
  let shared: Isolated;
  beforeAll(async () => {
    shared = await open({ isolate, captureConsole: true, slots: 2 });
  });
  afterAll(() => shared.close());

  it("runs what is asked for elsewhere than in the node's own thread", async () => {
    const { client } = shared;
    const { pid, threadId } = await client.where();
    expect(isolate === "thread" ? [pid, threadId > 0] : [pid !== process.pid, threadId]).toEqual(
      isolate === "thread" ? [process.pid, true] : [true, 0],
    );
    expect(await client.add(5, 6)).toBe(11);
    expect(await client.here()).toBe(process.pid);
    expect(await client.count()).toEqual([0, 1, 2]);
    await expect(client.endless()).rejects.toBeInstanceOf(TooLargeError);
  });

  it("lets tasks have clients of their own in processes only: a thread can't be ended beside its sockets", async () => {
    const { client, broker } = shared;
    const refused = expect.stringContaining('use current().client, or isolate: "process"');
    expect(await client.dial(broker)).toEqual(isolate === "process" ? [11, 15] : [refused, refused]);
  });

  it("fails one of 1,000 tasks where one of them ends its worker", async () => {
    const { client } = shared;
    const outcomes = await Promise.allSettled(Array.from({ length: 1_000 }, (_, n) => client.quick(n, 500)));
    const failed = outcomes.flatMap((each, n) =>
      each.status === "rejected" ? [{ n, reason: each.reason }] : [],
    );
    expect(failed).toHaveLength(1);
    expect(failed[0]?.n).toBe(500);
    expect(failed[0]?.reason).toMatchObject({
      remoteName: "WorkerDiedError",
      message: `Its worker ${isolate} exited with code 3 while it ran`,
    });
    expect(outcomes[499]).toEqual({ status: "fulfilled", value: 499 });
  });

  it("fails what needs too much memory", async () => {
    const { client } = await isolated({ isolate, workers: 1, modules: [hungryModule] });
    await expect(client.eat()).rejects.toThrow(
      `Its worker ${isolate} ran out of memory (maxMemoryMb: 64) while it ran`,
    );
  }, 40_000);

  it("tells of an error that nobody caught", async () => {
    const { client, node } = shared;
    const told: unknown[] = [];
    onTestFinished(node.onException((error, { method }) => told.push([method, (error as Error).name])));
    await expect(client.uncaught()).rejects.toThrow(/while it ran/);
    expect(told).toEqual([["uncaught", "WorkerDiedError"]]);
    expect(await client.add(1, 2)).toBe(3);
  });

  it("lets a handler know of its task, tell of it, and print", async () => {
    const { client, told } = shared;
    const known = await client.$with({ timeoutMs: 10_000 }).told();
    expect(known).toMatchObject({ attempt: 1, method: "told", deadline: "number", isAborted: false });
    expect(known.trace).toBe(known.id);
    const reports = told.filter(({ method }) => method === "node_task_log" || method === "node_task_event");
    const lines = reports.flatMap(
      ({ params }) => (params.lines ?? []) as { message: string; data: unknown }[],
    );
    expect(lines.map(({ message, data }) => [message, data])).toEqual([
      ["here", { n: 1 }],
      ["printed", undefined],
    ]);
    const events = reports.flatMap(({ params }) =>
      params.event === undefined ? [] : [[params.event, params.data]],
    );
    expect(events).toEqual([
      ["stage", { n: 2 }],
      ["progress", { fraction: 0.5, note: "half" }],
    ]);
  });

  it("tells what a handler logged before it ended its worker, and while it lets it do nothing else", async () => {
    const { client, broker, told } = await isolated({ isolate, workers: 1 });
    const later = connectAsync<Methods>(broker);
    const messages = (): string[] =>
      told.flatMap(({ params }) =>
        ((params.lines ?? []) as { message: string }[]).map((line) => line.message),
      );
    await expect(client.diary("exit")).rejects.toThrow(/exited with code 3/);
    expect(messages()).toEqual(["will exit", "now"]);
    expect(told.filter(({ params }) => params.event === "progress").at(-1)?.params.data).toEqual({
      fraction: 0.6,
    });
    const busy = later.diary("spin");
    await until("it to be told", () => messages().at(-1) === "will spin");
    expect(await busy.stop({ force: true })).toBe("killed");
  }, 40_000);

  it("gives errors their meaning, and exceptions to listeners", async () => {
    const { client, node } = shared;
    const told: string[] = [];
    onTestFinished(node.onException((error) => told.push(`${error}`)));
    await expect(client.fail("expected")).rejects.toMatchObject({
      expected: true,
      message: "no such customer",
      data: { id: 5 },
    });
    await expect(client.fail("params")).rejects.toMatchObject({ name: "InvalidParamsError" });
    expect(await client.fail("retry")).toBe(null);
    await expect(client.fail("error")).rejects.toBeInstanceOf(TaskFailedError);
    expect(told).toEqual(["RangeError: too far"]);
  });

  it("lets tasks call tasks, ten deep with one worker", async () => {
    const { client } = await isolated({ isolate, workers: 1 });
    const traces = await client.deep(10);
    expect(traces).toHaveLength(11);
    expect(new Set(traces).size).toBe(1);
  }, 60_000);

  it("gives calls of a batch to one worker at once", async () => {
    const { client } = shared;
    const results = await Promise.all(Array.from({ length: 10 }, (_, n) => client.lengths("x".repeat(n))));
    expect(results).toEqual(Array.from({ length: 10 }, (_, length) => ({ length, calls: 10 })));
  });

  it("gives back the others of a batch of which one is ended by force", async () => {
    const { node, broker } = await isolated({ isolate, workers: 1 });
    const client = new AsyncClient<Methods>(broker);
    onTestFinished(() => client.$close());
    const exceptions: unknown[] = [];
    onTestFinished(node.onException((error) => exceptions.push(error)));
    const [stopped, kept] = [client.lonely(1), client.lonely(2)];
    await until("both to run", async () => (await kept.status()) === "RUNNING");
    expect(await stopped.stop({ graceMs: 100 })).toBe("killed");
    expect(await kept.wait()).toBe(2);
    expect(exceptions).toEqual([]);
  });

  it("lets a handler hear that nobody wants its outcome any more", async () => {
    const { client } = await isolated({ isolate, workers: 1 });
    await expect(client.$with({ timeoutMs: 100 }).patient()).rejects.toThrow();
    // Its worker is free again.
    expect(await client.add(1, 2)).toBe(3);
  });

  it("keeps heartbeats and the latency of inline methods while every worker is busy", async () => {
    const { client, told } = shared;
    const spinning = [client.spin(1_500), client.spin(1_500)];
    const begin = performance.now();
    const latencies: number[] = [];
    while (performance.now() < begin + 1_200) {
      const sent = performance.now();
      await client.here();
      latencies.push(performance.now() - sent);
    }
    const beats = told
      .filter(({ method, at }) => method === "node_heartbeat" && at >= begin)
      .map(({ at }) => at);
    // Of 12 that are due. A node is quiet after three that are missed.
    expect(beats.length).toBeGreaterThanOrEqual(9);
    const sorted = latencies.toSorted((a, b) => a - b);
    expect(sorted[Math.floor(sorted.length * 0.9)]).toBeLessThan(50);
    expect(await Promise.all(spinning)).toEqual(["spun", "spun"]);
  });

  it("leaves other methods their slots while more wait for workers than there are", async () => {
    const { client } = shared;
    const spinning = Array.from({ length: 20 }, () => client.spin(100));
    expect(await Promise.race([client.here(), Promise.race(spinning)])).toBe(process.pid);
    expect(new Set(await Promise.all(spinning))).toEqual(new Set(["spun"]));
  });

  it("rejects at the start what its workers can't load", async () => {
    const folder = await mkdtemp(join(tmpdir(), "zerotask-isolation-"));
    const file = join(folder, "broken.mjs");
    await writeFile(file, 'throw new Error("this module is broken");');
    await expect(isolated({ isolate, modules: [file] })).rejects.toThrow("this module is broken");
    await writeFile(file, "export const nothing = 0;");
    await expect(isolated({ isolate, modules: [file] })).rejects.toThrow(/Expected `modules` to serve .*add/);
    await expect(isolated({ isolate, modules: [] })).rejects.toThrow(/Expected `modules` to be paths/);
  });
});

describe("in a process", () => {
  it("fails what aborts its process", async () => {
    const { client } = await isolated({ isolate: "process" });
    await expect(client.abort()).rejects.toThrow("Its worker process was killed by SIGABRT while it ran");
    expect(await client.add(1, 2)).toBe(3);
  });

  it("bounds the memory of buffers, too", async () => {
    const { client } = await isolated({ isolate: "process", workers: 1, modules: [hungryModule] });
    await expect(client.buffers()).rejects.toThrow("ran out of memory (maxMemoryMb: 64)");
  });

  it("fails only what ran in a process that somebody killed", async () => {
    const { client } = await isolated({ isolate: "process" });
    const pids = await workersOf(client, 2);
    const outcomes = [client.spin(1_000), client.spin(1_000)].map((each) =>
      each.catch((error: Error) => error.message),
    );
    await until("both to run", async () => (await client.here()) > 0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    process.kill(pids[0] ?? 0, "SIGKILL");
    expect((await Promise.all(outcomes)).sort()).toEqual([
      "Its worker process was killed by SIGKILL while it ran",
      "spun",
    ]);
  });

  it("leaves it to the node to end a worker, when all processes of a group get a signal", async () => {
    const { client } = await isolated({ isolate: "process", workers: 1 });
    const { pid } = await client.where();
    process.kill(pid, "SIGINT");
    process.kill(pid, "SIGTERM");
    expect(await client.spin(50)).toBe("spun");
    expect((await client.where()).pid).toBe(pid);
  });

  it("leaves no process when the node stops", async () => {
    const { client, node } = await isolated({ isolate: "process" });
    const pids = await workersOf(client, 2);
    await node.stop();
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it("leaves no process when the node is killed, though they are busy", async () => {
    const broker = await startBroker();
    const port = new URL(broker.requestEndpoint).port;
    const file = new URL(module).pathname;
    const { child } = await start("node", "-r", port, "-w", "2", file);
    const pids = await workersOf(connect<Methods>(broker.requestEndpoint), 2);
    onTestFinished(() => {
      for (const pid of pids.filter(isAlive)) process.kill(pid, "SIGKILL");
    });
    const later = connectAsync<Methods>(broker.requestEndpoint);
    const spinning = [later.spin(), later.spin()];
    await until("both to spin", async () => {
      const statuses = await Promise.all(spinning.map((each) => each.status()));
      return statuses.every((status) => status === "RUNNING");
    });
    expect(pids.filter(isAlive)).toEqual(pids);
    await end(child, "SIGKILL");
    await until("its workers to end", () => pids.every((pid) => !isAlive(pid)), 5_000);
  });
});

it("starts no workers where the node is stopped while a resource opens", async () => {
  const node = new Node({ dispatcher: dispatcherOf([module]), modules: [module], isolate: "thread" });
  node.addBroker("tcp://127.0.0.1:1");
  const opening = gate();
  node.provide("slow", () => opening.opened);
  const started = node.start();
  await node.stop();
  opening.open();
  await started;
});

it("refuses what is no kind of isolation", () => {
  expect(() => new Node({ isolate: "fiber" as "thread" })).toThrow(/Expected `isolate`/);
  expect(() => new Node({ maxMemoryMb: 1 })).toThrow(/Expected `maxMemoryMb`/);
  expect(() => task({ name: "x", isolate: "fiber" as "thread" }, () => 1)).toThrow(/Expected `isolate`/);
});

it("has slots of their own for batches, so that it takes no more tasks than it has workers", () => {
  const dispatcher = dispatcherOf([module.pathname]);
  const executors = new Executors({
    ...{ dispatcher, runtime: systemRuntime, isolate: "thread", maxMemoryMb: undefined, workers: 2 },
    ...{ modules: [module.pathname], captureConsole: false },
  });
  const rooms = executors.plan({ runtime: systemRuntime } as PoolHost);
  expect(rooms).toEqual([
    { name: "thread", slots: 2, methods: expect.arrayContaining(["add", "spin"]) },
    { name: "thread, 10 at once", slots: 20, methods: ["lengths"] },
    { name: "thread, 2 at once", slots: 4, methods: ["lonely"] },
  ]);
  expect(executors.roomOf("add")).toBe("thread");
});
