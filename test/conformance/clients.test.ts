// What every kind of client does the same, whatever is behind it: a broker over sockets, one in memory, or none at all.
import { describe, expect, it, onTestFinished } from "vitest";
import {
  type AsyncClient,
  type Client,
  ClientClosedError,
  ConflictError,
  LocalClient,
  MethodNotFoundError,
  type TaskEvent,
  TaskExpiredError,
  TaskFailedError,
  type TaskHandle,
  TaskStoppedError,
  TaskTimeoutError,
  TooLargeError,
  UnknownTaskError,
} from "zerotask-client";
import { Dispatcher, TaskError } from "zerotask-core";
import { current } from "zerotask-node";
import { testCluster } from "zerotask-testing";
import { connect, connectAsync, gate, startBroker, startNode } from "../support/cluster.ts";
import { until } from "../support/wait.ts";

type SetUp = (dispatcher: Dispatcher) => void;
type Connected = { readonly client: Client; readonly later: AsyncClient };

/** Each serves methods in one slot unless told otherwise, and hands out both clients. */
const kinds: { readonly [kind: string]: (setUp: SetUp, slots: number) => Promise<Connected> } = {
  "a broker over sockets": async (setUp, slots) => {
    const { requestEndpoint } = await startBroker({ graceMs: 200 });
    await startNode(requestEndpoint, setUp, { slots });
    return { client: connect(requestEndpoint), later: connectAsync(requestEndpoint) };
  },
  "a test cluster": async (setUp, slots) => {
    const dispatcher = new Dispatcher();
    setUp(dispatcher);
    const cluster = await testCluster({ dispatcher, node: { slots }, broker: { graceMs: 200 } });
    onTestFinished(() => cluster.close());
    return { client: cluster.client(), later: cluster.later() };
  },
  "a local client": async (setUp, slots) => {
    const dispatcher = new Dispatcher();
    setUp(dispatcher);
    const client = new LocalClient(dispatcher, { slots });
    onTestFinished(() => client.$close());
    return { client, later: client.$later };
  },
};

/** A handler that runs until its signal fires, and counts its runs. */
function polite(began: unknown[]): (what?: unknown) => Promise<never> {
  return (what) => {
    const { signal } = current();
    began.push(what);
    return new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(new Error("given up")));
    });
  };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Brokers tell RUNNING only of what still runs after 10 ms. */
function names(events: readonly TaskEvent[]): string[] {
  return events
    .map(({ event, data }) => (event === "status" ? (data as { status: string }).status : event))
    .filter((name) => name !== "RUNNING");
}

describe.each(Object.keys(kinds))("a client of %s", (kind) => {
  const open = (setUp: SetUp, slots = 10): Promise<Connected> =>
    (kinds[kind] as (setUp: SetUp, slots: number) => Promise<Connected>)(setUp, slots);

  it("calls, retries, and tells failures apart", async () => {
    let runs = 0;
    const { client, later } = await open((dispatcher) => {
      dispatcher.add("math.add", (a: number, b: number) => a + b, { params: ["a", "b"] });
      dispatcher.add("flaky", () => {
        if (++runs < 3) throw new Error("not yet");
        return current().attempt;
      });
      dispatcher.add("expected", () => {
        throw new TaskError("no such customer", { id: 17 });
      });
      dispatcher.add("fail", () => {
        throw new RangeError("too much");
      });
    });
    expect(await client.math.add(5, 6)).toBe(11);
    expect(await client.$call("math.add", { b: 6, a: 5 })).toBe(11);
    expect(
      await later
        .$with({ retries: 2, backoff: { initialMs: 1, jitter: 0 } })
        .flaky()
        .wait(),
    ).toBe(3);
    const expected = { expected: true, data: { id: 17 }, message: "no such customer" };
    await expect(client.expected()).rejects.toMatchObject(expected);
    await expect(later.$with({ retries: 5 }).expected().wait()).rejects.toMatchObject(expected);
    const failed = { remoteName: "RangeError", message: "too much", expected: false };
    await expect(client.fail()).rejects.toMatchObject(failed);
    await expect(client.fail()).rejects.toBeInstanceOf(TaskFailedError);
    await expect(client.missing()).rejects.toBeInstanceOf(MethodNotFoundError);
  });

  it("hands out handles that tell the status, wait and call back", async () => {
    const { opened, open: finish } = gate<string>();
    const { later } = await open((dispatcher) => dispatcher.add("slow", () => opened));
    const handle: TaskHandle = later.slow();
    await handle.accepted;
    await until("it runs", async () => (await handle.status()) === "RUNNING");
    const called = new Promise((resolve) => handle.callback(resolve));
    await expect(handle.wait(5)).rejects.toBeInstanceOf(TaskTimeoutError);
    finish("done");
    expect(await handle.wait()).toBe("done");
    expect(await called).toBe("done");
    expect(await handle.status()).toBe("FINISHED");
    expect(await later.$handle(handle.id).wait()).toBe("done");
    await expect(later.$handle("nobody-1").status()).rejects.toBeInstanceOf(UnknownTaskError);
  });

  it("tells how tasks were stopped, and starts again what was", async () => {
    const began: unknown[] = [];
    const { opened, open: finish } = gate();
    const { later } = await open((dispatcher) => {
      dispatcher.add("polite", polite(began));
      dispatcher.add("stubborn", () => {
        began.push("stubborn");
        return opened;
      });
      dispatcher.add("quick", () => 1);
    });
    const waiting: TaskHandle = later.$with({ at: "1 day" }).quick();
    expect(await waiting.stop()).toBe("never-started");
    await expect(waiting.wait()).rejects.toBeInstanceOf(TaskStoppedError);
    const quick: TaskHandle = later.quick();
    await quick.wait();
    expect(await quick.stop()).toBe("finished-first");
    await expect(quick.start()).rejects.toBeInstanceOf(ConflictError);
    const handle: TaskHandle = later.polite("a");
    await until("it runs", () => began.length === 1);
    expect(await handle.stop()).toBe("cooperative");
    expect(await handle.status()).toBe("STOPPED");
    await expect(handle.wait()).rejects.toMatchObject({ data: { how: "cooperative" } });
    await handle.start();
    await until("it runs again", () => began.length === 2);
    expect(await handle.stop()).toBe("cooperative");
    const stubborn: TaskHandle = later.stubborn();
    await until("that runs", () => began.length === 3);
    expect(await stubborn.stop({ graceMs: 20 })).toBe("unstoppable");
    finish();
    await expect(stubborn.wait()).rejects.toBeInstanceOf(TaskStoppedError);
    await waiting.start();
    expect(await waiting.wait()).toBe(1);
  });

  it("tells of a task that another handle began again what becomes of it", async () => {
    let runs = 0;
    const { opened, open: finish } = gate<string>();
    const { later } = await open((dispatcher) =>
      dispatcher.add("work", () => (++runs === 1 ? polite([])() : opened)),
    );
    const handle: TaskHandle = later.work();
    await until("it runs", () => runs === 1);
    await handle.stop();
    await expect(handle.wait()).rejects.toBeInstanceOf(TaskStoppedError);
    await later.$handle(handle.id).start();
    await until("it runs again", () => runs === 2);
    expect(await handle.status()).not.toBe("STOPPED");
    const outcome = handle.wait();
    finish("done");
    expect(await outcome).toBe("done");
    expect(await handle.status()).toBe("FINISHED");
    expect(await handle.wait()).toBe("done");
  });

  it("makes what runs anew, to whom follows and waits as one task that goes on", async () => {
    const began: unknown[] = [];
    const { later } = await open((dispatcher) => {
      dispatcher.add("work", (what: string) => {
        if (what !== "a") return what;
        return polite(began)(what);
      });
    });
    const handle: TaskHandle<unknown, string[]> = later.work("a");
    const told = collect(handle.events());
    const outcome = handle.wait();
    await until("it runs", () => began.length === 1);
    await handle.reload(["b"]);
    expect(await outcome).toBe("b");
    expect(await handle.wait()).toBe("b");
    const first = ["QUEUED", "ASSIGNED", "QUEUED", "ASSIGNED", "FINISHED"];
    expect(names(await told)).toEqual(first);
    // What is settled begins again, and what was told is kept.
    await handle.reload(["c"]);
    expect(await handle.wait()).toBe("c");
    expect(names(await collect(handle.events()))).toEqual([...first, "QUEUED", "ASSIGNED", "FINISHED"]);
    expect(await collect(later.$events({ task: handle.id, event: "status" }))).toEqual(
      await collect(handle.events()),
    );
  });

  it("makes anew what ignores its signal once it has ended", async () => {
    const gates = [gate<string>(), gate<string>()];
    let runs = 0;
    const { later } = await open((dispatcher) => dispatcher.add("work", () => gates[runs++]?.opened));
    const handle: TaskHandle = later.work();
    const outcome = handle.wait();
    await until("it runs", () => runs === 1);
    await expect(handle.reload(undefined, { graceMs: 20 })).rejects.toThrow("made anew when it has ended");
    gates[0]?.open("too late");
    gates[1]?.open("anew");
    expect(await outcome).toBe("anew");
  });

  it("tells events, progress and lines to early and late readers, and errors by their message", async () => {
    const { opened, open: go } = gate();
    const { later } = await open((dispatcher) =>
      dispatcher.add("work", async () => {
        current().log.info("begins", { step: 1 });
        current().progress(0.5, "half");
        await opened;
        current().emit("saved", [1]);
        throw new Error("no more");
      }),
    );
    const handle: TaskHandle = later.work();
    const early = [collect(handle.events()), collect(handle.progress()), collect(handle.logs())];
    go();
    await expect(handle.wait()).rejects.toThrow("no more");
    const [events = [], progress, lines] = await Promise.all(early);
    expect(names(events as TaskEvent[])).toEqual(["QUEUED", "ASSIGNED", "progress", "saved", "FAILED"]);
    expect((events as TaskEvent[]).at(-1)?.data).toEqual({ status: "FAILED", attempt: 1, error: "no more" });
    const seqs = (events as TaskEvent[]).map(({ seq }) => seq);
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
    expect(await collect(handle.events())).toEqual(events);
    expect(await collect(later.$events({ task: handle.id }))).toEqual(events);
    expect(progress).toEqual([{ fraction: 0.5, note: "half" }]);
    expect(lines).toMatchObject([{ level: "info", message: "begins", attempt: 1, data: { step: 1 } }]);
    for (const follow of [true, false]) expect(await collect(handle.logs({ follow }))).toEqual(lines);
  });

  it("rejects loops over tasks that nobody knows", async () => {
    const { client, later } = await open((dispatcher) => dispatcher.add("work", () => 1));
    const handle = later.$handle("nobody-1");
    for (const loop of [
      client.$events({ task: "nobody-1" }),
      handle.events(),
      handle.progress(),
      handle.logs(),
    ]) {
      await expect(collect<unknown>(loop)).rejects.toBeInstanceOf(UnknownTaskError);
    }
  });

  it("follows all tasks of a method from now on, until the loop is left or the client closed", async () => {
    const { client, later } = await open((dispatcher) => {
      dispatcher.add("work", () => current().emit("saved", 1));
      dispatcher.add("other", () => current().emit("saved", 2));
      dispatcher.add("endless", () => new Promise(() => undefined));
    });
    await client.work();
    const loop = later.$events({ method: "work", event: "saved" })[Symbol.asyncIterator]();
    const next = loop.next();
    await until("it is told", async () => {
      await later.other().wait();
      await later.work().wait();
      return Promise.race([next.then(() => true), new Promise<boolean>((r) => setTimeout(r, 50, false))]);
    });
    expect(await next).toMatchObject({ value: { event: "saved", method: "work", data: 1 } });
    const endless: TaskHandle = later.endless();
    await endless.accepted;
    const waiting = [later.$events({ method: "none" }), endless.progress(), endless.logs()];
    const iterators = waiting.map((items: AsyncIterable<unknown>) => items[Symbol.asyncIterator]());
    const pending = iterators.map((items) => items.next());
    for (const items of iterators) await items.return?.();
    for (const result of await Promise.all(pending)) expect(result.done).toBe(true);
    const loops = [collect(later.$events()), collect(endless.logs())];
    const failing = loops.map((told) => expect(told).rejects.toBeInstanceOf(ClientClosedError));
    await later.$close();
    await Promise.all(failing);
    await expect(collect(later.$events())).rejects.toBeInstanceOf(ClientClosedError);
  });

  it("streams items, and ends the handler whose loop is left", async () => {
    const ended: boolean[] = [];
    const { client } = await open((dispatcher) => {
      dispatcher.add("count", async function* (to: number) {
        const { signal } = current();
        try {
          for (let n = 1; n <= to; n++) yield { n };
        } finally {
          ended.push(signal.aborted);
        }
      });
      dispatcher.add("sum", async (items: AsyncIterable<number>) => {
        let sum = 0;
        for await (const item of items) sum += item;
        return sum;
      });
    });
    expect(await collect(client.$stream.count(3))).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    expect(await client.count(2)).toEqual([{ n: 1 }, { n: 2 }]);
    for await (const { n } of client.$stream.count(1_000_000)) if (n === 2) break;
    await until("it has ended", () => ended.length === 3);
    expect(ended).toEqual([false, false, true]);
    async function* numbers(): AsyncGenerator<number> {
      yield* [1, 2, 3];
    }
    expect(await client.sum(numbers())).toBe(6);
  });

  it("collects no more of what a handler yields than one result may be", async () => {
    const ended: number[] = [];
    const { client } = await open((dispatcher) =>
      dispatcher.add("endless", async function* () {
        let count = 0;
        try {
          for (; ; count++) yield "x".repeat(1_000_000);
        } finally {
          ended.push(count);
        }
      }),
    );
    await expect(client.endless()).rejects.toBeInstanceOf(TooLargeError);
    expect(ended).toEqual([16]);
  });

  it("refuses params that are none, or can't be stored, where the outcome is told", async () => {
    const { client, later } = await open((dispatcher) => dispatcher.add("work", () => 1));
    async function* numbers(): AsyncGenerator<number> {
      yield 1;
    }
    for (const params of [null, 5, "text", numbers()]) {
      const refused = "Expected `params` to be an array, or an object of params by name";
      const asked = params as unknown as unknown[];
      await expect(client.$call("work", asked)).rejects.toThrow(refused);
      await expect(collect(client.$stream.$call("work", asked))).rejects.toThrow(refused);
      const handle: TaskHandle = later.$call("work", asked);
      await expect(handle.accepted).rejects.toThrow(refused);
      await expect(handle.wait()).rejects.toThrow(refused);
    }
    const handle: TaskHandle = later.work(numbers());
    await expect(handle.accepted).rejects.toThrow(
      "Expected params that can be stored, got an async iterable",
    );
    expect(later.$ignore.work(numbers())).toBeUndefined();
  });

  it("makes each loop over a stream a call of its own, which is left at once", async () => {
    const { opened, open: finish } = gate();
    const ended: string[] = [];
    const { client } = await open((dispatcher) => {
      dispatcher.add("rows", async function* (count: number) {
        for (let row = 0; row < count; row++) yield row;
      });
      dispatcher.add("slow", async function* () {
        try {
          for (let row = 0; ; row++) yield row;
        } finally {
          await opened;
          ended.push("slow");
        }
      });
    });
    const rows = client.$stream.rows(2);
    expect([await collect(rows), await collect(rows)]).toEqual([
      [0, 1],
      [0, 1],
    ]);
    for await (const row of client.$stream.slow()) if (row === 1) break;
    expect(ended).toEqual([]);
    finish();
    await until("its finally block has run", () => ended.length === 1);
  });

  it("refuses options by which a call with streams would run again, later, or from a disk", async () => {
    const { client } = await open((dispatcher) => dispatcher.add("sum", () => 1));
    async function* numbers(): AsyncGenerator<number> {
      yield 1;
    }
    for (const options of [{ retries: 1 }, { maxRetries: 1 }, { at: 200 }, { idempotencyKey: "a" }]) {
      const [name] = Object.keys(options);
      const refused = `Expected \`${name}\` to be left out of calls with streams`;
      expect(() => client.$with(options).$stream.sum()).toThrow(refused);
      await expect(client.$with(options).sum(numbers())).rejects.toThrow(refused);
    }
  });

  it("hands inputs over as they arrive from elsewhere, and closes those that nobody reads", async () => {
    const { client } = await open((dispatcher) => {
      dispatcher.add("items", collect);
      dispatcher.add("caught", (items: AsyncIterable<unknown>) =>
        collect(items).catch(({ name, remoteName }) => [name, remoteName]),
      );
      dispatcher.add("unread", () => "nothing read");
    });
    const seen: string[] = [];
    async function* items(...given: unknown[]): AsyncGenerator<unknown> {
      try {
        for (const item of given) {
          if (item instanceof Error) throw item;
          yield item;
        }
      } finally {
        seen.push("closed");
      }
    }
    expect(await client.items(items(1, undefined, Number.NaN, { a: undefined }))).toEqual([
      1,
      null,
      null,
      {},
    ]);
    expect(await client.caught(items(1, new RangeError("no more")))).toEqual([
      "TaskFailedError",
      "RangeError",
    ]);
    await expect(client.items(items(new TaskError("no more")))).rejects.toMatchObject({
      remoteName: "TaskError",
      expected: false,
    });
    const [unread, before] = [items(1), seen.length];
    expect(await client.unread(unread)).toBe("nothing read");
    await until("it is closed", async () => (await unread.next()).done === true);
    expect(seen.length).toBe(before);
  });

  it("tells what handlers tell within bounds, and never fails them for it", async () => {
    const { later } = await open((dispatcher) =>
      dispatcher.add("tell", () => {
        const circle: unknown[] = [];
        circle.push(circle);
        current().emit("big", 10n);
        current().emit("circle", circle);
        current().emit("large", "x".repeat(100_000));
        current().emit("progress", { fraction: 5 });
        current().log.info("y".repeat(100_000), "x".repeat(100_000));
      }),
    );
    const handle: TaskHandle = later.tell();
    await handle.wait();
    const told = (await collect(handle.events())).filter(({ event }) => event !== "status");
    expect(told.map(({ event, data }) => [event, data])).toEqual([
      ["big", "10n"],
      ["circle", "<ref *1> [ [Circular *1] ]"],
      ["large", { too_large: 100_002 }],
    ]);
    const [line] = await collect(handle.logs());
    expect(line).toMatchObject({ message: `${"y".repeat(16_384)}…`, data: { too_large: 100_002 } });
  });

  it("expires what waits too long after its time, and tells why what can't be done is refused", async () => {
    const { opened, open: finish } = gate();
    const { client, later } = await open((dispatcher) => {
      dispatcher.add("quick", () => 1);
      dispatcher.add("block", () => opened);
    }, 1);
    expect(await later.$with({ expiresMs: 50, at: 100 }).quick().wait()).toBe(1);
    const block: TaskHandle = later.block();
    await until("it runs", async () => (await block.status()) === "RUNNING");
    const waiting: TaskHandle = later.quick();
    await expect(later.$with({ expiresMs: 20 }).quick().wait()).rejects.toBeInstanceOf(TaskExpiredError);
    expect(await waiting.stop()).toBe("never-started");
    await expect(client.missing()).rejects.toMatchObject({ data: { method: "missing" } });
    let deep: unknown = 1;
    for (let level = 0; level < 500; level++) deep = [deep];
    await expect(client.quick(deep)).rejects.toBeInstanceOf(TooLargeError);
    finish();
    await block.wait();
  });

  it("tells nothing more once it is closed", async () => {
    const { later } = await open((dispatcher) => dispatcher.add("work", () => new Promise(() => undefined)));
    const handle: TaskHandle = later.work();
    await handle.accepted;
    await later.$close();
    for (const ask of [
      () => handle.status(),
      () => handle.stop(),
      () => handle.start(),
      () => handle.reload(),
      () => later.$handle(handle.id).status(),
      () => later.$handle("nobody-1").status(),
    ]) {
      await expect(ask()).rejects.toBeInstanceOf(ClientClosedError);
    }
  });

  it("lets handlers call and submit, within one slot and one trace", async () => {
    const ignored = gate<string>();
    const { later } = await open((dispatcher) => {
      dispatcher.add("outer", async () => {
        const { client, id } = current();
        const submitted = client.$later.$with({ durability: "memory" }).inner();
        const traces = [await client.inner(), await submitted.wait()];
        traces.push(await client.$later.$handle(submitted.id).wait());
        client.$later.$ignore.note();
        await client.$later.$close();
        return { traces, isOwn: traces.every((trace) => trace === id), deadline: await client.bound() };
      });
      dispatcher.add("inner", () => current().trace);
      dispatcher.add("bound", () => current().deadline !== undefined);
      dispatcher.add("unbound", () => current().deadline === undefined);
      dispatcher.add("note", () => ignored.open(current().trace));
      dispatcher.add("submits", async () => current().client.$later.unbound().wait());
    }, 1);
    const bound = later.$with({ timeoutMs: 5_000 });
    const outer: TaskHandle = bound.outer();
    expect(await outer.wait()).toMatchObject({ isOwn: true, deadline: true });
    expect(await ignored.opened).toBe(outer.id);
    expect(await bound.submits().wait()).toBe(true);
  });
});
