// What every kind of client does the same with streams and inputs.
import { EventEmitter, on } from "node:events";
import { describe, expect, it } from "vitest";
import { TaskTimeoutError, TooLargeError } from "zerotask-client";
import { TaskError } from "zerotask-core";
import { current } from "zerotask-node";
import { collect, kindsOfClients } from "../support/client-kinds.ts";
import { gate } from "../support/cluster.ts";
import { until } from "../support/wait.ts";

describe.each(kindsOfClients)("a client of %s", (_, open) => {
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

  it("closes what a handler yields from when nobody reads on, whatever it waits for", async () => {
    const emitter = new EventEmitter();
    const ended: string[] = [];
    const { client } = await open((dispatcher) => {
      dispatcher.add("ticks", () => on(emitter, "tick"));
      dispatcher.add(
        "bounded",
        async function* () {
          try {
            for (let row = 0; ; row++) yield row;
          } finally {
            ended.push(current().method);
          }
        },
        { timeoutMs: 100 },
      );
    }, 1);
    const ticks = client.$stream.ticks()[Symbol.asyncIterator]();
    const first = ticks.next();
    await until("it listens", () => emitter.listenerCount("tick") === 1);
    emitter.emit("tick", 1);
    expect(await first).toEqual({ done: false, value: [1] });
    const second = ticks.next();
    await ticks.return?.();
    expect(await second).toEqual({ done: true, value: undefined });
    await until("it listens no more", () => emitter.listenerCount("tick") === 0);
    // Its time ends while nobody asks for an item.
    const rows = client.$stream.bounded()[Symbol.asyncIterator]();
    expect((await rows.next()).value).toBe(0);
    await until("it is closed", () => ended.length === 1);
    expect(ended).toEqual(["bounded"]);
    await rows.return?.();
  });

  it("does not begin to read inputs when nobody waits for the call any more", async () => {
    const { opened, open: finish } = gate();
    const began: string[] = [];
    const { client } = await open((dispatcher) => {
      dispatcher.add("block", () => {
        began.push("block");
        return opened;
      });
      dispatcher.add("items", (items: AsyncIterable<unknown>) => {
        began.push("items");
        return collect(items);
      });
      dispatcher.add("last", () => began);
    }, 1);
    const blocking = client.block();
    await until("it runs", () => began.length === 1);
    const items = (async function* () {
      yield 1;
    })();
    const call = client.$with({ timeoutMs: 50 }).items(items);
    await expect(call).rejects.toBeInstanceOf(TaskTimeoutError);
    await until("its input is closed", async () => (await items.next()).done === true);
    finish();
    await blocking;
    expect(await client.last()).toEqual(["block"]);
  });

  it("lets time limits and others have their turn while a loop reads what never waits", async () => {
    const { client } = await open((dispatcher) => {
      dispatcher.add("endless", async function* () {
        for (;;) yield 0;
      });
      dispatcher.add("drain", async (items: AsyncIterable<unknown>) => {
        for await (const _ of items);
      });
      dispatcher.add("one", () => 1);
    });
    let [count, answers] = [0, 0];
    const read = async (): Promise<void> => {
      for await (const _ of client.$with({ timeoutMs: 200 }).$stream.endless()) {
        if (++count === 1) void client.one().then(() => answers++);
        if (count === 3_000_000) break;
      }
    };
    await expect(read()).rejects.toBeInstanceOf(TaskTimeoutError);
    expect(answers).toBe(1);
    async function* items(): AsyncGenerator<number> {
      for (let n = 0; n < 3_000_000; n++) yield 0;
    }
    await expect(client.$with({ timeoutMs: 200 }).drain(items())).rejects.toBeInstanceOf(TaskTimeoutError);
  });
});
