// Streams from end to end: real sockets, and processes that are killed in the middle.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it, onTestFinished } from "vitest";
import { type Dispatcher, TaskError, TooLargeError } from "zerotask-core";
import { current } from "zerotask-node";
import { FaultyProxy } from "../faults/proxy.ts";
import { connect, connectAsync, gate, startBroker, startNode } from "../support/cluster.ts";
import { freePort, root, start } from "../support/processes.ts";
import { until } from "../support/wait.ts";

async function* count(to: number): AsyncGenerator<number> {
  for (let i = 0; i < to; i++) yield i;
}

/** A broker, a node that serves what `setUp` adds, and a client's endpoint. */
async function cluster(setUp: (dispatcher: Dispatcher) => void): Promise<string> {
  const broker = await startBroker();
  await startNode(broker.requestEndpoint, setUp);
  return broker.requestEndpoint;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

it("gives each item that a handler yields, in order", async () => {
  const client = connect(await cluster((d) => d.add("count", count)));
  expect(await collect(client.$stream.count(10_000))).toEqual(Array.from({ length: 10_000 }, (_, i) => i));
  expect(await collect(client.$stream.count(0))).toEqual([]);
  expect(await collect(client.$stream.$call("count", [3]))).toEqual([0, 1, 2]);
});

it("collects them where they are not asked for as a stream", async () => {
  const endpoint = await cluster((d) => d.add("count", count));
  expect(await connect(endpoint).count(3)).toEqual([0, 1, 2]);
  expect(await connectAsync(endpoint).count(3).wait()).toEqual([0, 1, 2]);
});

it("closes a handler whose items are collected when nobody wants them any more", async () => {
  const closed = gate();
  const endpoint = await cluster((d) =>
    d.add("forever", async function* () {
      try {
        // It never waits for anything itself.
        for (;;) yield 0;
      } finally {
        closed.open();
      }
    }),
  );
  await expect(connect(endpoint).$with({ timeoutMs: 100 }).forever()).rejects.toThrow("100 ms");
  await closed.opened;
});

it("throws what the handler threw after the items before it", async () => {
  const endpoint = await cluster((d) =>
    d.add("faulty", async function* () {
      yield* count(300);
      throw new TaskError("no more", { at: 300 });
    }),
  );
  const seen: number[] = [];
  const read = async (): Promise<void> => {
    for await (const item of connect(endpoint).$stream.faulty()) seen.push(item);
  };
  await expect(read()).rejects.toMatchObject({
    name: "TaskFailedError",
    message: "no more",
    data: { at: 300 },
  });
  expect(seen.length).toBe(300);
});

it("pauses the handler while its items are not taken", async () => {
  let made = 0;
  const endpoint = await cluster((d) =>
    d.add("make", async function* () {
      for (;;) yield made++;
    }),
  );
  const client = connect(endpoint).$with({ window: { items: 100 } });
  let ahead = 0;
  let taken = 0;
  for await (const _ of client.$stream.make()) {
    taken++;
    if (taken % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    ahead = Math.max(ahead, made - taken);
    if (taken === 2_000) break;
  }
  expect(ahead).toBeLessThanOrEqual(100);
  expect(ahead).toBeGreaterThan(10);
});

it("runs the handler's finally blocks when its consumer leaves, and stops the task", async () => {
  const ended = gate();
  const broker = await startBroker();
  await startNode(broker.requestEndpoint, (d) =>
    d.add("forever", async function* () {
      try {
        for (let i = 0; ; i++) yield i;
      } finally {
        ended.open();
      }
    }),
  );
  const client = connect(broker.requestEndpoint);
  for await (const item of client.$stream.forever()) if (item === 5_000) break;
  await ended.opened;
  await until("the task to be stopped", () => broker.counts.unsettled === 0);
});

it("is in its run also while a generator's finally block runs", async () => {
  const { opened, open } = gate<string>();
  const client = connect(
    await cluster((d) =>
      d.add("endless", async function* () {
        try {
          for (let i = 0; ; i++) yield i;
        } finally {
          open(current().method);
        }
      }),
    ),
  );
  for await (const item of client.$stream.endless()) if (item === 3) break;
  expect(await opened).toBe("endless");
});

it("hands async iterables among the params to the handler, which reads them as it likes", async () => {
  const endpoint = await cluster((d) => {
    d.add("sum", async (first: number, numbers: AsyncIterable<number>) => {
      let sum = first;
      for await (const number of numbers) sum += number;
      return sum;
    });
    d.add("double", async function* (numbers: AsyncIterable<number>) {
      for await (const number of numbers) yield number * 2;
    });
    d.add("first", async (numbers: AsyncIterable<number>) => {
      for await (const number of numbers) return number;
      return undefined;
    });
    d.add("unread", () => "nothing");
  });
  const client = connect(endpoint);
  expect(await client.sum(5, count(10_000))).toBe(49_995_005);
  const doubled = await collect(client.$stream.double(count(5_000)));
  expect(doubled).toEqual(Array.from({ length: 5_000 }, (_, i) => i * 2));
  for (const method of ["first", "unread"]) {
    const closed = gate();
    const endless = async function* (): AsyncGenerator<number> {
      try {
        for (let i = 7; ; i++) yield i;
      } finally {
        closed.open();
      }
    };
    expect(await client.$call(method, [endless()])).toBe(method === "first" ? 7 : "nothing");
    if (method === "first") await closed.opened;
  }
});

it("throws in the handler's loop what the client's iterable threw", async () => {
  const endpoint = await cluster((d) =>
    d.add("sum", async (numbers: AsyncIterable<number>) => {
      let sum = 0;
      try {
        for await (const number of numbers) sum += number;
      } catch (error) {
        return `${sum}, then ${(error as Error).message}`;
      }
      return sum;
    }),
  );
  const failing = async function* (): AsyncGenerator<number> {
    yield* count(4);
    throw new RangeError("no more");
  };
  expect(await connect(endpoint).sum(failing())).toBe("6, then no more");
});

it("ends a stream whose time is up, and its handler hears of it", async () => {
  const aborted = gate();
  const endpoint = await cluster((d) =>
    d.add("slow", async function* () {
      current().signal.addEventListener("abort", () => aborted.open());
      yield 1;
      await aborted.opened;
    }),
  );
  const stream = connect(endpoint).$with({ timeoutMs: 200 }).$stream.slow();
  await expect(collect(stream)).rejects.toThrow(/200 ms/);
  await aborted.opened;
});

it("says what calls with streams can't be", async () => {
  const endpoint = await cluster((d) => d.add("plain", () => [1, 2]));
  const client = connect(endpoint);
  expect(() => client.$with({ retries: 2 }).$stream.plain()).toThrow("Expected `retries` to be left out");
  expect(() => client.$with({ durability: "disk" }).$stream.plain()).toThrow("`durability`");
  expect(() => client.$with({ window: { items: 0 } })).toThrow("Expected `items` to be an integer from 1");
  expect(() => client.$with({ window: { rows: 5 } as object })).toThrow("rows");
  await expect(client.$with({ idempotencyKey: "a" }).plain(count(1))).rejects.toThrow("`idempotencyKey`");
  await expect(collect(client.$stream.plain())).rejects.toThrow(
    "Expected a handler that returns an async iterable",
  );
});

it("fails for an item that is too large, after those before it", async () => {
  const broker = await startBroker({ maxMessageBytes: 20_000 });
  await startNode(broker.requestEndpoint, (d) =>
    d.add("grow", async function* () {
      for (let length = 10; ; length *= 10) yield "x".repeat(length);
    }),
  );
  const lengths: number[] = [];
  const read = async (): Promise<void> => {
    for await (const text of connect(broker.requestEndpoint).$stream.grow()) lengths.push(text.length);
  };
  await expect(read()).rejects.toThrow("Expected items of at most 18976 bytes, got one of 100002");
  expect(lengths).toEqual([10, 100, 1_000, 10_000]);
  // What is collected is one result, and told as one that is too large.
  const collected = connect(broker.requestEndpoint).grow();
  await expect(collected).rejects.toBeInstanceOf(TooLargeError);
  await expect(collected).rejects.toThrow("Expected a result of at most 20000 bytes, got more");
});

it("lets handlers read streams of other handlers, on a node with one slot", async () => {
  const broker = await startBroker();
  await startNode(
    broker.requestEndpoint,
    (d) => {
      d.add("count", count);
      d.add("total", async (to: number) => {
        let sum = 0;
        for await (const item of current().client.$stream.count(to)) sum += item;
        return sum;
      });
    },
    { slots: 1 },
  );
  expect(await connect(broker.requestEndpoint).total(2_000)).toBe(1_999_000);
});

it.each(["client", "node"] as const)(
  "loses and repeats nothing when the connection of the %s is cut",
  async (who) => {
    const broker = await startBroker();
    const proxy = await FaultyProxy.listen(Number(new URL(broker.requestEndpoint).port));
    onTestFinished(() => proxy.close());
    const [clientEnd, nodeEnd] =
      who === "client" ? [proxy.endpoint, broker.requestEndpoint] : [broker.requestEndpoint, proxy.endpoint];
    await startNode(nodeEnd, (d) => {
      d.add("double", async function* (numbers: AsyncIterable<number>) {
        for await (const number of numbers) {
          if (number % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
          yield number * 2;
        }
      });
    });
    const client = connect(clientEnd, { window: { items: 500 } });
    let expected = 0;
    let cuts = 0;
    for await (const item of client.$stream.double(count(30_000))) {
      if (item !== expected) throw new Error(`Expected ${expected}, got ${item}`);
      expected += 2;
      if (item % 10_000 === 5_000) {
        for (const connection of proxy.connections) connection.cut();
        cuts++;
      }
    }
    expect(expected).toBe(60_000);
    expect(cuts).toBe(6);
  },
);

it("fails a stream of which items were read when the broker is started anew, and begins others again", async () => {
  const [port, publishPort] = [await freePort(), await freePort()];
  const ports = { requestPort: port, publishPort };
  const first = await startBroker(ports);
  const started: string[] = [];
  await startNode(first.requestEndpoint, (d) =>
    d.add("stream", async function* (name: string) {
      started.push(name);
      if (name === "begun") yield 1;
      if (started.length < 3) await new Promise((resolve) => setTimeout(resolve, 60_000).unref());
      yield 2;
    }),
  );
  const client = connect(first.requestEndpoint);
  const begun = client.$stream.stream("begun")[Symbol.asyncIterator]();
  expect(await begun.next()).toEqual({ done: false, value: 1 });
  const other = collect(client.$stream.stream("other"));
  await until("both to run", () => started.length === 2);
  const lost = begun.next();
  lost.catch(() => undefined);
  await first.stop();
  await startBroker(ports);
  await expect(lost).rejects.toMatchObject({
    name: "StreamLostError",
    message: expect.stringContaining("it was restarted"),
  });
  expect(await other).toEqual([2]);
  expect(started).toEqual(["begun", "other", "other"]);
});

/** A module that a process can serve. */
async function folderWith(file: string, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "zerotask-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  await writeFile(join(folder, file), text);
  return join(folder, file);
}

const items = `import { task } from "zerotask-core";
  task("pid", () => process.pid);
  task("items", async function* (count) { for (let i = 0; i < count; i++) yield { id: i, name: "item" }; });`;

it("fails a stream whose node is killed in the middle", async () => {
  const broker = await startBroker();
  const port = new URL(broker.requestEndpoint).port;
  const node = await start("node", "-r", port, await folderWith("items.mjs", items));
  let seen = 0;
  const read = async (): Promise<void> => {
    for await (const item of connect(broker.requestEndpoint).$stream.items(1_000_000)) {
      expect(item.id).toBe(seen++);
      if (seen === 2_000) node.child.kill("SIGKILL");
    }
  };
  await expect(read()).rejects.toMatchObject({ name: "NodeLostError" });
  expect(seen).toBeGreaterThanOrEqual(2_000);
  await until("nothing to be left", () => broker.counts.unsettled === 0);
});

it("stops the handler of a client that is killed in the middle", async () => {
  const broker = await startBroker({ sessionTtlMs: 300, heartbeatMs: 100 });
  const ended = gate();
  await startNode(broker.requestEndpoint, (d) =>
    d.add("forever", async function* () {
      try {
        for (let i = 0; ; i++) yield i;
      } finally {
        ended.open();
      }
    }),
  );
  const file = await folderWith(
    "client.mjs",
    `import { Client } from "zerotask-client";
     const client = new Client(${JSON.stringify(broker.requestEndpoint)});
     for await (const item of client.$stream.forever()) {
       if (item === 3000) process.stdout.write("reading\\n");
       if (item > 3000) await new Promise((resolve) => setTimeout(resolve, 10));
     }`,
  );
  const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await ended.opened;
  await until("the task to be stopped", () => broker.counts.unsettled === 0);
});

/** Resident memory of a process, in MiB. */
async function resident(pid: number | undefined): Promise<number> {
  const { stdout } = await promisify(execFile)("ps", ["-o", "rss=", "-p", String(pid)]);
  return Number(stdout) / 1_024;
}

it("keeps the memory of all three flat over a million items with a slow consumer", async () => {
  const broker = await start("broker", "--memory", "-r", "0", "-p", "0");
  const port = /requests at tcp:\/\/127\.0\.0\.1:(\d+)/.exec(broker.line)?.[1] ?? "";
  const node = await start("node", "-r", port, await folderWith("items.mjs", items));
  const client = connect(`tcp://127.0.0.1:${port}`);
  const pids = [process.pid, broker.child.pid, node.child.pid];
  const before: number[] = [];
  const most = [0, 0, 0];
  let seen = 0;
  for await (const item of client.$stream.items(1_000_000)) {
    if (item.id !== seen++) throw new Error(`Expected ${seen - 1}, got ${item.id}`);
    // Slower than the handler: what it would be ahead of this consumer were some 100 MiB in the end.
    if (seen % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    if (seen % 100_000 !== 0) continue;
    for (const [i, pid] of pids.entries()) {
      const now = await resident(pid);
      if (seen === 100_000) before[i] = now;
      most[i] = Math.max(most[i] ?? 0, now);
    }
  }
  expect(seen).toBe(1_000_000);
  for (const [i, mebibytes] of most.entries()) expect(mebibytes - (before[i] ?? 0)).toBeLessThan(60);
}, 120_000);
