import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { InvalidParamsError, TaskFailedError } from "zerotask-client";
import { Dispatcher } from "zerotask-core";
import { type Batch, current, type Middleware, Node, OptionError } from "zerotask-node";
import { connect, gate, startBroker } from "../support/cluster.ts";
import { end, root, runToEnd, start } from "../support/processes.ts";

interface Served {
  readonly node: Node;
  readonly dispatcher: Dispatcher;
  readonly client: ReturnType<typeof connect>;
  readonly seen: unknown[];
}

async function serve(setUp: (dispatcher: Dispatcher, node: Node, seen: unknown[]) => void): Promise<Served> {
  const { requestEndpoint } = await startBroker();
  const dispatcher = new Dispatcher();
  const node = new Node({ dispatcher });
  const seen: unknown[] = [];
  setUp(dispatcher, node, seen);
  node.addBroker(requestEndpoint);
  await node.start();
  onTestFinished(() => node.stop());
  return { node, dispatcher, client: connect(requestEndpoint), seen };
}

/** Notes when it begins and ends. */
function noting(name: string, seen: unknown[]): Middleware {
  return async (run, next) => {
    seen.push(`${name} begins ${run.method}`);
    const result = await next();
    seen.push(`${name} ends`);
    return result;
  };
}

it("wraps handlers in middleware, the first as the outermost, until it is removed", async () => {
  const { node, client, seen } = await serve((dispatcher, node, seen) => {
    dispatcher.add("add", (a: number, b: number) => seen.push("add") && a + b);
    node.use(noting("outer", seen));
    node.use(noting("inner", seen));
  });
  expect(await client.add(1, 2)).toBe(3);
  expect(seen.splice(0)).toEqual(["outer begins add", "inner begins add", "add", "inner ends", "outer ends"]);
  const remove = node.use(noting("late", seen));
  await client.add(1, 2);
  expect(seen.splice(0)).toContain("late begins add");
  remove();
  await client.add(1, 2);
  expect(seen).not.toContain("late begins add");
});

it("shows middleware the task and its params, and lets it change the result", async () => {
  const { client, seen } = await serve((dispatcher, node, seen) => {
    dispatcher.add("add", (a: number, b: number) => a + b, { params: ["a", "b"] });
    node.use(async (run, next) => {
      if (run.calls !== undefined) return next();
      seen.push([run.method, run.attempt, run.params, run === current()]);
      return ((await next()) as number) * 10;
    });
  });
  expect(await client.$call("add", { b: 2, a: 1 })).toBe(30);
  expect(seen).toEqual([["add", 1, [1, 2], true]]);
});

it("makes what middleware throws the failure of the task", async () => {
  const { client } = await serve((dispatcher, node) => {
    dispatcher.add("add", () => 1);
    dispatcher.add("twice", () => 2);
    dispatcher.add("throw", () => {
      throw new RangeError("of the handler");
    });
    node.use((run, next) => {
      if (run.method === "add") throw new InvalidParamsError("not these");
      return next();
    });
    node.use(async (run, next) => {
      const first = next();
      return run.method === "twice" ? next() : first;
    });
  });
  await expect(client.add()).rejects.toBeInstanceOf(InvalidParamsError);
  await expect(client.twice()).rejects.toThrow("next() to be called at most once");
  await expect(client.throw()).rejects.toMatchObject({ remoteName: "RangeError", message: "of the handler" });
});

it("skips a handler whose middleware does not call next", async () => {
  const { client, seen } = await serve((dispatcher, node, seen) => {
    dispatcher.add("add", () => seen.push("add"));
    node.use(() => "cached");
  });
  expect(await client.add()).toBe("cached");
  expect(seen).toEqual([]);
});

it("survives a middleware that does not wait for a handler that throws", async () => {
  const { client } = await serve((dispatcher, node) => {
    dispatcher.add("throw", async () => {
      throw new Error("nobody listens");
    });
    node.use((_run, next) => {
      void next();
      return "taken over";
    });
  });
  expect(await client.throw()).toBe("taken over");
  expect(await client.throw()).toBe("taken over");
});

it("hands the items of a generator through middleware", async () => {
  const { client } = await serve((dispatcher, node) => {
    dispatcher.add("count", async function* () {
      yield* [1, 2, 3];
    });
    node.use(async (_run, next) => {
      const items = (await next()) as AsyncIterable<number>;
      return (async function* () {
        for await (const item of items) yield item * 2;
      })();
    });
  });
  expect(await client.count()).toEqual([2, 4, 6]);
});

it("shows the run of a batch handler as one, with all its calls, whatever it returns", async () => {
  const { client, seen } = await serve((dispatcher, node, seen) => {
    const double = (calls: Batch<[n: unknown]>) => calls.map(([n]) => (n === 3 ? null : Number(n) * 2));
    dispatcher.add("double", double, { batch: { max: 3, waitMs: 5_000 } });
    node.provide("factor", () => 2);
    node.resolve("number:", (url) => {
      if (url === "number:none") throw new InvalidParamsError("no number");
      return Number(url.slice("number:".length));
    });
    node.use((run, next) => {
      if (run.calls === undefined) throw new Error("Expected the run of a batch handler");
      seen.push(run.method, run.resource("factor"));
      seen.push(run.calls.map(({ params, attempt }) => [params, attempt]));
      return next();
    });
  });
  const failing = expect(client.double("number:none")).rejects.toBeInstanceOf(InvalidParamsError);
  expect(await Promise.all([client.double(1), client.double("number:2"), client.double(3)])).toEqual([
    2,
    4,
    null,
  ]);
  await failing;
  const calls = [1, 3, 2].map((n) => [[n], 1]);
  expect(seen.slice(0, 2)).toEqual(["double", 2]);
  expect(seen[2]).toEqual(expect.arrayContaining(calls));
  expect(seen.length).toBe(3);
});

it("opens resources in order before the first task, and closes them in reverse after the last", async () => {
  const { opened, open } = gate();
  const { node, client, seen } = await serve((dispatcher, node, seen) => {
    dispatcher.add("use", async () => {
      await opened;
      seen.push(`use ${current().resource<string>("db")}`);
    });
    dispatcher.add("miss", () => current().resource("dbx"));
    node.provide(
      "db",
      async () => `db ${seen.push("open db")}`,
      async (db) => seen.push(`close ${db}`),
    );
    node.provide(
      "cache",
      () => seen.push("open cache"),
      () => {
        seen.push("close cache");
        throw new Error("is gone");
      },
    );
  });
  await expect(client.miss()).rejects.toThrow('("db", "cache"), got "dbx"');
  const call = client.use();
  await client.miss().catch(() => undefined);
  const stopping = node.stop();
  open();
  await call;
  await stopping;
  expect(seen).toEqual(["open db", "open cache", "use db 1", "close cache", "close db 1"]);
});

it("does not start without its resources, and closes those that were opened", async () => {
  const { requestEndpoint } = await startBroker();
  const seen: string[] = [];
  const node = new Node({ dispatcher: new Dispatcher() });
  node.addBroker(requestEndpoint);
  node.provide(
    "one",
    () => "one",
    (one) => seen.push(`close ${one}`),
  );
  node.provide("two", async () => {
    throw new Error("connection refused");
  });
  node.provide("three", () => seen.push("open three"));
  await expect(node.start()).rejects.toThrow('Can\'t open the resource "two": connection refused');
  expect(seen).toEqual(["close one"]);
  await node.stop();
});

it("closes what is being opened when it is stopped meanwhile", async () => {
  const { opened, open } = gate<string>();
  const closed = gate<string>();
  const node = new Node({ dispatcher: new Dispatcher() });
  node.addBroker("tcp://127.0.0.1:1");
  node.provide("db", () => opened, closed.open);
  const started = node.start();
  await node.stop();
  open("the database");
  await started;
  expect(await closed.opened).toBe("the database");
});

it("refuses what can't be provided, resolved or used", async () => {
  const { node } = await serve((dispatcher, node) => {
    dispatcher.add("add", () => 1);
    node.provide("db", () => 1);
    expect(() => node.provide("db", () => 1)).toThrow("a name that is not provided yet, got 'db'");
    expect(() => node.provide("", () => 1)).toThrow(OptionError);
    expect(() => node.provide("x", 5 as never)).toThrow(OptionError);
    expect(() => node.provide("x", () => 1, 5 as never)).toThrow(OptionError);
    node.resolve("redis:", () => 1);
    expect(() => node.resolve("REDIS:", () => 1)).toThrow("no resolver yet");
    for (const scheme of ["redis", "", ":", "re dis:", 5]) {
      expect(() => node.resolve(scheme as string, () => 1)).toThrow(OptionError);
    }
    expect(() => node.use("x" as never)).toThrow(OptionError);
  });
  expect(() => node.provide("late", () => 1)).toThrow("provided before the node is started, got 'late'");
});

it("turns params with a scheme into live objects, by position and by name", async () => {
  const { node, client } = await serve((dispatcher, node) => {
    const tell = (...params: unknown[]): unknown =>
      params.map((param) => (param instanceof URL ? param.host : param));
    dispatcher.add("tell", tell);
    dispatcher.add("named", tell, { params: ["from", "to"] });
    dispatcher.add("object", ({ from }: { from: unknown }) => [from instanceof URL, current().method]);
    dispatcher.add("streamed", async ({ from, items }: { from: unknown; items: AsyncIterable<number> }) => {
      const read: number[] = [];
      for await (const item of items) read.push(item);
      return [from instanceof URL, read];
    });
    dispatcher.add("deep", (value: unknown) => value);
    node.resolve("redis:", async (url, task) => {
      if (url === "redis:") throw new InvalidParamsError(`no host for ${task.method}`);
      return new URL(url);
    });
  });
  expect(await client.tell(1, "redis://one", "other:two", "redis", null)).toEqual([
    1,
    "one",
    "other:two",
    "redis",
    null,
  ]);
  expect(await client.$call("named", { to: "REDIS://two" })).toEqual([null, "two"]);
  async function* numbers(): AsyncGenerator<number> {
    yield* [1, 2];
  }
  expect(await client.$call("streamed", { from: "redis://one", items: numbers() })).toEqual([true, [1, 2]]);
  expect(await client.$call("object", { from: "redis://one" })).toEqual([true, "object"]);
  // Only at the top level.
  expect(await client.deep({ url: "redis://one" })).toEqual({ url: "redis://one" });
  await expect(client.tell("redis:")).rejects.toMatchObject({
    name: "InvalidParamsError",
    message: "no host for tell",
  });
  const remove = node.resolve("s3:", () => {
    throw new Error("no bucket");
  });
  await expect(client.deep("s3:x")).rejects.toBeInstanceOf(TaskFailedError);
  remove();
  expect(await client.deep("s3:x")).toBe("s3:x");
});

it("lets a module configure the node that loads it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "zerotask-configure-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  const source = `
    import { appendFileSync } from "node:fs";
    import { current, type NodeSetup, task } from "zerotask-node";
    export const hello = task("hello", (name: string) => current().resource<string>("greeting") + " " + name);
    const note = (text: string) => appendFileSync(new URL("notes", import.meta.url), text);
    task("begin", (what: string) => note(what));
    export async function configure(node: NodeSetup): Promise<void> {
      node.runLocal("begin", ["begun "]);
      node.provide("greeting", async () => (note("opened "), "hello"), () => note("closed"));
      node.use(async (_run, next) => \`\${await next()}!\`);
    }`;
  await writeFile(join(folder, "tasks.ts"), source);
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  const broker = await start("broker", "--memory", "-r", "0", "-p", "0");
  const port = /requests at tcp:\/\/127\.0\.0\.1:(\d+)/.exec(broker.line)?.[1] ?? "";
  const node = await start("node", "-r", port, join(folder, "tasks.ts"));
  expect((await runToEnd("client", "-r", port, "hello", "world")).out).toBe('"hello world!"\n');
  expect((await end(node.child, "SIGTERM")).code).toBe(0);
  expect(await readFile(join(folder, "notes"), "utf8")).toBe("opened begun closed");
});
