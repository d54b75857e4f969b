import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import {
  ClientClosedError,
  MethodNotFoundError,
  OptionError,
  TaskExpiredError,
  TaskTimeoutError,
} from "zerotask-client";
import { Dispatcher, RetryError, task } from "zerotask-core";
import { current, type NodeSetup } from "zerotask-node";
import { type TestClusterOptions, testCluster, type VirtualTestCluster } from "zerotask-testing";
import { gate } from "../support/cluster.ts";

async function virtual(
  setUp: (dispatcher: Dispatcher) => void,
  options: TestClusterOptions = {},
): Promise<VirtualTestCluster> {
  const dispatcher = new Dispatcher();
  setUp(dispatcher);
  const cluster = await testCluster({ seed: 1, dispatcher, ...options });
  onTestFinished(() => cluster.close());
  return cluster;
}

it("calls and submits in real time, with neither sockets nor files", async () => {
  const dispatcher = new Dispatcher();
  dispatcher.add("add", (a: number, b: number) => a + b);
  const sockets = process.getActiveResourcesInfo().filter((name) => name.includes("Wrap")).length;
  const cluster = await testCluster({ dispatcher, nodes: 2 });
  onTestFinished(() => cluster.close());
  expect(cluster.nodes.length).toBe(2);
  const client = cluster.client();
  expect(await client.add(5, 6)).toBe(11);
  const handle = cluster.later().add(1, 2);
  expect(await handle.wait()).toBe(3);
  expect(await cluster.later().$handle(handle.id).status()).toBe("FINISHED");
  expect(process.getActiveResourcesInfo().filter((name) => name.includes("Wrap")).length).toBe(sockets);
  await cluster.close();
  await cluster.close();
  expect(cluster).not.toHaveProperty("clock.advance");
});

it("calls in virtual time without anybody setting the clock forward", async () => {
  const { client, clock } = await virtual((dispatcher) =>
    dispatcher.add("add", async (a: number, b: number) => a + b),
  );
  const before = clock.now();
  expect(await Promise.all([1, 2, 3].map((n) => client().add(n, n)))).toEqual([2, 4, 6]);
  expect(clock.now()).toBe(before);
  await expect(client().missing()).rejects.toBeInstanceOf(MethodNotFoundError);
});

it("lets no time pass while the items of a handler are collected", async () => {
  const { client, clock } = await virtual((dispatcher) =>
    dispatcher.add("rows", async function* (count: number) {
      for (let row = 0; row < count; row++) yield row;
    }),
  );
  const rows = await clock.until<number[]>(client({ timeoutMs: 1_000 }).rows(20_000));
  expect(rows.length).toBe(20_000);
});

it("runs in milliseconds what is to run in hours, and no earlier", async () => {
  const seen: string[] = [];
  const { later, clock } = await virtual((dispatcher) =>
    dispatcher.add("note", (text: string) => void seen.push(`${text} at ${clock.now() - begin}`)),
  );
  const begin = clock.now();
  const real = performance.now();
  const task = later().$with({ at: "2 hours" }).note("in 2 hours");
  later().$ignore.note("now");
  await clock.advance("1 hour 59 minutes 59 seconds");
  expect(seen).toEqual(["now at 0"]);
  expect(await task.status()).toBe("SCHEDULED");
  await clock.advance("1 second");
  expect(seen).toEqual(["now at 0", `in 2 hours at ${2 * 3_600_000}`]);
  expect(await task.status()).toBe("FINISHED");
  expect(performance.now() - real).toBeLessThan(3_000);
});

it("lets schedules, retries and time limits happen as time passes", async () => {
  const seen: string[] = [];
  const { client, later, clock } = await virtual((dispatcher) => {
    dispatcher.add("report", () => void seen.push(new Date(clock.now()).toISOString()));
    dispatcher.add("flaky", () => {
      if (current().attempt < 3) throw new Error("not yet");
      return current().attempt;
    });
    dispatcher.add("again", () => {
      if (current().attempt === 1) throw new RetryError({ delay: "5 hours" });
      return "done";
    });
    dispatcher.add("endless", () => new Promise(() => undefined));
    dispatcher.add("nap", async () => {
      await clock.sleep("3 hours");
      return clock.now();
    });
  });
  await client().$schedules.cron("report", { cron: "0 3 * * *" });
  const flaky = later().$with({ retries: 5 }).flaky();
  const again = later().again();
  const endless = later().$with({ timeoutMs: 60_000 }).endless();
  const call = client().$with({ timeoutMs: 60_000 }).endless();
  const timedOut = expect(call).rejects.toBeInstanceOf(TaskTimeoutError);
  const begin = clock.now();
  const nap = later().nap();
  await clock.advance("1 hour");
  expect(await flaky.wait()).toBe(3);
  await expect(endless.wait()).rejects.toBeInstanceOf(TaskExpiredError);
  await timedOut;
  expect(await again.status()).toBe("SCHEDULED");
  await clock.advance("4 hours 1 second");
  expect(await again.wait()).toBe("done");
  expect(await nap.wait()).toBe(begin + 3 * 3_600_000);
  await clock.advance("2 days");
  expect(seen).toEqual([15, 16, 17].map((day) => `2023-11-${day}T03:00:00.000Z`));
});

it("lets time pass until a promise is settled, up to a bound", async () => {
  const { later, clock } = await virtual((dispatcher) => {
    dispatcher.add("add", (a: number, b: number) => a + b);
    dispatcher.add("fail", () => {
      throw new Error("of the handler");
    });
    dispatcher.add("read", async () => (await readFile(fileURLToPath(import.meta.url), "utf8")).length > 0);
  });
  const begin = clock.now();
  expect(await clock.until(later().$with({ at: "90 minutes" }).add(1, 2).wait())).toBe(3);
  expect(clock.now() - begin).toBe(90 * 60_000);
  await expect(clock.until(later().$with({ at: 10 }).fail().wait())).rejects.toThrow("of the handler");
  await expect(clock.until(new Promise(() => undefined), "1 hour")).rejects.toThrow('within "1 hour"');
  await expect(clock.advance("soon")).rejects.toBeInstanceOf(OptionError);
  await expect(clock.until(5 as never)).rejects.toBeInstanceOf(OptionError);
  // The real world takes its time, and is waited for as ever.
  expect(await later().read().wait()).toBe(true);
});

it("gives the same run for the same seed", async () => {
  const run = async (seed: number): Promise<string[]> => {
    const seen: string[] = [];
    const cluster = await virtual(
      (dispatcher) =>
        dispatcher.add("work", async (n: number) => {
          await cluster.clock.sleep(n % 3);
          seen.push(`${current().id}#${current().attempt} at ${current().deadline}`);
          if (current().attempt === 1 && n % 2 === 0) throw new Error("once more");
        }),
      { seed, nodes: 3, node: { slots: 2 } },
    );
    const clients = [cluster.later(), cluster.later(), cluster.later()];
    for (let n = 0; n < 30; n++) clients[n % 3]?.$with({ retries: 1, timeoutMs: 60_000 }).work(n);
    await cluster.clock.advance("1 minute");
    await cluster.close();
    expect(seen.length).toBeGreaterThan(30);
    return seen;
  };
  const first = await run(7);
  expect(await run(7)).toEqual(first);
  expect(await run(8)).not.toEqual(first);
});

it.each([{ seed: 5 }, {}])("gives the tasks of a killed node to others (%j)", async (time) => {
  const dispatcher = new Dispatcher();
  const running = gate();
  dispatcher.add("slow", () => {
    running.open();
    return current().attempt === 1 ? new Promise(() => undefined) : current().attempt;
  });
  const cluster = await testCluster({ ...time, dispatcher });
  onTestFinished(() => cluster.close());
  const handle = cluster.later().slow();
  await running.opened;
  const [node] = cluster.nodes;
  cluster.killNode(node);
  expect(cluster.nodes).toEqual([]);
  expect(() => cluster.killNode()).toThrow(OptionError);
  await cluster.addNode();
  expect(await handle.wait()).toBe(2);
});

it("serves modules, and configures each node by them", async () => {
  const dispatcher = new Dispatcher();
  const closed: string[] = [];
  const tasks = {
    hello: task({ name: "hello", dispatcher }, () => current().resource<string>("greeting")),
    Counter: class {
      #count = 0;
      @task count(): number {
        return ++this.#count;
      }
    },
    configure: (node: NodeSetup) =>
      node.provide(
        "greeting",
        () => "hello",
        () => closed.push("greeting"),
      ),
  };
  for (const seed of [1, 2]) {
    const cluster = await testCluster({
      ...{ seed, dispatcher, modules: [tasks], nodes: 2 },
      configure: (node) => node.use(async (_run, next) => [await next()]),
    });
    expect(await cluster.client<typeof tasks>().hello()).toEqual(["hello"]);
    expect(await cluster.client<typeof tasks>().count()).toEqual([seed]);
    await cluster.close();
  }
  expect(closed.length).toBe(4);
});

it("closes what still runs, whatever it waits for", async () => {
  const { close, later } = await virtual(
    (dispatcher) => dispatcher.add("endless", () => new Promise(() => undefined)),
    { node: { drainMs: 5_000 } },
  );
  const handle = later().endless();
  await handle.accepted;
  await close();
});

it("refuses at once what comes after it was closed", async () => {
  const cluster = await virtual((dispatcher) => dispatcher.add("one", () => 1));
  await cluster.close();
  await expect(cluster.addNode()).rejects.toThrow("Expected a cluster that is open");
  await expect(cluster.client().one()).rejects.toBeInstanceOf(ClientClosedError);
  await expect(cluster.later().one().accepted).rejects.toBeInstanceOf(ClientClosedError);
});

it("adds no node when it is closed meanwhile", async () => {
  for (const seed of [undefined, 1]) {
    const cluster = await testCluster({ dispatcher: new Dispatcher(), ...(seed !== undefined && { seed }) });
    const added = expect(cluster.addNode()).rejects.toThrow("Expected a cluster that is open");
    await cluster.close();
    await added;
  }
});

it("refuses to let time pass for a handler while a test does, which is to sleep", async () => {
  const { later, clock } = await virtual((dispatcher) => {
    const waits = { advance: () => clock.advance(10), until: () => clock.until(Promise.resolve()) };
    for (const [name, wait] of Object.entries(waits)) {
      dispatcher.add(name, async () => {
        await clock.sleep(10);
        await wait();
      });
    }
  });
  const refused = "Expected a handler to wait by `clock.sleep`";
  await expect(clock.until(later().advance().wait())).rejects.toThrow(refused);
  await expect(clock.until(later().until().wait())).rejects.toThrow(refused);
});

it("runs isolated methods inline, unless it is told of modules or workers", async () => {
  const dispatcher = new Dispatcher();
  const { threadId } = await import("node:worker_threads");
  for (const isolate of ["thread", "process"] as const) {
    const where = async () => [process.pid, (await import("node:worker_threads")).threadId];
    dispatcher.add(isolate, where, { isolate, maxMemoryMb: 64 });
  }
  const cluster = await testCluster({ seed: 1, dispatcher });
  onTestFinished(() => cluster.close());
  for (const method of ["thread", "process"]) {
    expect(await cluster.client().$call(method)).toEqual([process.pid, threadId]);
  }
  for (const node of [{ isolate: "none" }, { workers: 1 }, { modules: [] }] as const) {
    await expect(testCluster({ dispatcher, node })).rejects.toThrow("paths of the modules that serve");
    await expect(cluster.addNode(node)).rejects.toThrow("paths of the modules that serve");
  }
});

it("refuses options that can't be right, and leaves nothing behind when it can't start", async () => {
  for (const options of [
    ...[{ seed: 0.5 }, { nodes: -1 }, { nonsense: 1 }, { modules: {} }, { modules: [5] }],
    ...[{ dispatcher: {} }, { configure: 5 }, { broker: 5 }, { node: "one" }],
  ]) {
    const [name] = Object.keys(options);
    const refused = expect(testCluster(options as object)).rejects;
    await refused.toMatchObject({ name: "OptionError", message: expect.stringContaining(`${name}`) });
  }
  const provide = (node: NodeSetup): void =>
    node.provide("db", () => {
      throw new Error("refused");
    });
  const dispatcher = new Dispatcher();
  await expect(testCluster({ seed: 1, dispatcher, configure: provide })).rejects.toThrow('"db": refused');
});
