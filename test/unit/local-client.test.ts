// What users see of a LocalClient.
import { expect, it } from "vitest";
import {
  type Client,
  ClientClosedError,
  InvalidParamsError,
  LocalClient,
  MethodNotFoundError,
  NotAllowedError,
  OptionError,
  TaskExpiredError,
  TaskFailedError,
  type TaskHandle,
  TaskTimeoutError,
  UnknownTaskError,
} from "zerotask-client";
import { type Batch, Dispatcher, TaskError } from "zerotask-core";
import { current } from "zerotask-node";
import { gate } from "../support/cluster.ts";
import { collect, serve, settled } from "../support/local-client.ts";

it("calls handlers, by position and by name, and copies what passes through JSON", async () => {
  const given = { list: [1], when: new Date(0) };
  const client = serve((dispatcher) => {
    dispatcher.add("math.add", (a: number, b: number) => a + b, { params: ["a", "b"] });
    dispatcher.add("change", (value: typeof given) => {
      value.list.push(2);
      return value;
    });
    dispatcher.add("nothing", () => undefined);
  });
  expect(await client.math.add(5, 6)).toBe(11);
  expect(await client.$call("math.add", { b: 6, a: 5 })).toBe(11);
  expect(await client.change(given)).toEqual({ list: [1, 2], when: "1970-01-01T00:00:00.000Z" });
  expect(given.list).toEqual([1]);
  expect(await client.nothing()).toBe(null);
  const circular: unknown[] = [];
  circular.push(circular);
  await expect(client.change(circular)).rejects.toThrow("Expected params that JSON can hold");
});

it("throws what a client throws", async () => {
  const client = serve((dispatcher) => {
    dispatcher.add("fail", () => {
      throw Object.assign(new RangeError("too much"), { data: { most: 5 } });
    });
    dispatcher.add("expected", () => {
      throw new TaskError("no such customer", 17);
    });
    dispatcher.add("strict", () => {
      throw new InvalidParamsError("not these");
    });
    dispatcher.add("unsendable", () => 5n);
  });
  await expect(client.fail()).rejects.toMatchObject({
    name: "TaskFailedError",
    remoteName: "RangeError",
    message: "too much",
    data: { most: 5 },
    expected: false,
  });
  await expect(client.expected()).rejects.toMatchObject({ expected: true, data: 17 });
  await expect(client.strict()).rejects.toBeInstanceOf(InvalidParamsError);
  await expect(client.unsendable()).rejects.toThrow("The result can't be sent as JSON");
  await expect(client.missing()).rejects.toBeInstanceOf(MethodNotFoundError);
  await expect(client.$later.missing().accepted).rejects.toBeInstanceOf(MethodNotFoundError);
});

it("hands out handles that wait, call back and tell the status", async () => {
  const { opened, open } = gate<string>();
  const client = serve((dispatcher) => dispatcher.add("slow", () => opened));
  const handle = client.$later.slow();
  expect(await handle.accepted).toBe("memory");
  expect(await handle.status()).toBe("QUEUED");
  await settled();
  expect(await handle.status()).toBe("RUNNING");
  const called = new Promise((resolve) => handle.callback(resolve));
  await expect(handle.wait(5)).rejects.toBeInstanceOf(TaskTimeoutError);
  open("done");
  expect(await handle.wait()).toBe("done");
  expect(await handle.result()).toBe("done");
  expect(await called).toBe("done");
  expect(await handle.status()).toBe("FINISHED");
  expect(await client.$handle(handle.id).wait()).toBe("done");
  await expect(client.$handle("unknown").status()).rejects.toBeInstanceOf(UnknownTaskError);
  await expect(client.$handle("unknown").wait()).rejects.toBeInstanceOf(UnknownTaskError);
  expect(() => client.$handle("")).toThrow(OptionError);
});

it("ignores outcomes that nobody wants", async () => {
  const { opened, open } = gate();
  const client = serve((dispatcher) =>
    dispatcher.add("fail", () => {
      open();
      throw new Error("nobody hears of it");
    }),
  );
  expect(client.$ignore.fail()).toBeUndefined();
  client.$ignore.missing();
  await opened;
});

it("gives handlers a context, whose client calls other tasks within their time", async () => {
  const client = serve(
    (dispatcher) => {
      dispatcher.add("outer", async () => {
        const { id, attempt, method, client, deadline } = current();
        const inner = (await client.inner()) as { trace: string; deadline: number };
        return {
          id,
          attempt,
          method,
          isTraced: inner.trace === id,
          isBound: inner.deadline < Number(deadline) + 1_000,
        };
      });
      dispatcher.add("inner", () => ({ trace: current().trace, deadline: current().deadline }));
      dispatcher.add("resource", () => current().resource("db"));
      dispatcher.add("missing", () => current().resource("dbx"));
    },
    { slots: 1, resources: { db: "the database" } },
  );
  const later = client.$later.$with({ timeoutMs: 5_000 }).outer();
  expect(await later.wait()).toEqual({
    ...{ id: later.id, attempt: 1, method: "outer" },
    ...{ isTraced: true, isBound: true },
  });
  expect(await client.resource()).toBe("the database");
  await expect(client.missing()).rejects.toThrow('Expected the name of a resource ("db"), got "dbx"');
});

it("keeps logs, events and progress for early and late readers", async () => {
  const { opened, open } = gate();
  const client = serve((dispatcher) =>
    dispatcher.add("work", async () => {
      current().log.info("begins", { step: 1 });
      current().progress(0.5, "half");
      await opened;
      current().emit("saved", [1]);
      current().log.warn("ends", 5n);
    }),
  );
  const handle: TaskHandle = client.$later.work();
  const early = collect(handle.events());
  open();
  await handle.wait();
  const kinds = (await early).map(({ event, data }) => [event, (data as { status?: string }).status ?? data]);
  expect(kinds).toEqual([
    ["status", "QUEUED"],
    ["status", "ASSIGNED"],
    ["status", "RUNNING"],
    ["progress", { fraction: 0.5, note: "half" }],
    ["saved", [1]],
    ["status", "FINISHED"],
  ]);
  expect(await collect(handle.events())).toEqual(await early);
  expect(await collect(handle.progress())).toEqual([{ fraction: 0.5, note: "half" }]);
  const lines = (await collect(handle.logs())).map(({ level, message, data }) => [level, message, data]);
  expect(lines).toEqual([
    ["info", "begins", { step: 1 }],
    ["warn", "ends", "5n"],
  ]);
});

it("tells slow readers where something is missing, and keeps the last of it", async () => {
  const { opened, open } = gate();
  const client = serve((dispatcher) =>
    dispatcher.add("work", async () => {
      current().log.info("begins");
      await opened;
      for (let n = 1; n <= 2_000; n++) {
        current().emit("made", n);
        current().log.info(`made ${n}`);
      }
    }),
  );
  const handle: TaskHandle = client.$later.work();
  const events = handle.events()[Symbol.asyncIterator]();
  const lines = handle.logs()[Symbol.asyncIterator]();
  expect(await events.next()).toMatchObject({ value: { data: { status: "QUEUED" } } });
  expect(await lines.next()).toMatchObject({ value: { message: "begins" } });
  open();
  await handle.wait();
  expect(await events.next()).toMatchObject({ value: { event: "gap", taskId: handle.id } });
  expect(await events.next()).toMatchObject({ value: { event: "made", data: 1_002 } });
  expect(await lines.next()).toMatchObject({ value: { level: "warn", attempt: 0 } });
  expect(await lines.next()).toMatchObject({ value: { message: "made 1001" } });
  // Who has seen nothing yet misses nothing.
  const late = await collect(handle.events());
  expect([late.length, late[0]?.event, late.at(-1)?.event]).toEqual([1_000, "made", "status"]);
});

it("does not hear what a run tells that was given up", async () => {
  const { opened, open } = gate();
  const { opened: over, open: end } = gate();
  const client = serve((dispatcher) =>
    dispatcher.add(
      "work",
      async () => {
        if (current().attempt === 2) return "anew";
        await opened;
        current().emit("late");
        current().log.info("late");
        end();
        return "too late";
      },
      { timeoutMs: 10 },
    ),
  );
  const handle: TaskHandle = client.$later.work();
  await expect(handle.wait()).rejects.toBeInstanceOf(TaskExpiredError);
  await handle.reload();
  const told = collect(handle.events());
  open();
  await over;
  expect(await handle.wait()).toBe("anew");
  expect((await told).map(({ event }) => event)).not.toContain("late");
  expect(await collect(handle.logs())).toEqual([]);
});

it("streams items as they are asked for, and ends the handler when the loop is left", async () => {
  const seen: string[] = [];
  const client = serve((dispatcher) => {
    dispatcher.add("count", async function* (to: number) {
      try {
        for (let n = 1; n <= to; n++) {
          seen.push(`make ${n}`);
          yield { n };
        }
      } finally {
        seen.push(`end ${current().signal.aborted}`);
      }
    });
  });
  for await (const { n } of client.$stream.count(1_000)) {
    seen.push(`take ${n}`);
    if (n === 2) break;
  }
  await settled();
  expect(seen.splice(0)).toEqual(["make 1", "take 1", "make 2", "take 2", "end true"]);
  expect(await collect(client.$stream.count(2))).toEqual([{ n: 1 }, { n: 2 }]);
  expect(seen.splice(0)).toEqual(["make 1", "make 2", "end false"]);
  // What is not asked for as a stream is one result.
  expect(await client.count(2)).toEqual([{ n: 1 }, { n: 2 }]);
  seen.splice(0);
  // Nobody asked for anything yet.
  const untouched = client.$stream.count(1)[Symbol.asyncIterator]();
  await untouched.return?.();
  expect(await untouched.next()).toEqual({ done: true, value: undefined });
  expect(seen).toEqual([]);
});

it("tells of an error after the items before it, and never begins again what has flowed", async () => {
  let runs = 0;
  const client = serve((dispatcher) => {
    dispatcher.add(
      "fail",
      async function* () {
        runs++;
        yield 1;
        throw new RangeError("no more");
      },
      { retries: 3 },
    );
    dispatcher.add("value", () => 5);
    dispatcher.add("bad", async function* () {
      yield 5n;
    });
  });
  const items: unknown[] = [];
  const read = async (): Promise<void> => {
    for await (const item of client.$stream.fail()) items.push(item);
  };
  await expect(read()).rejects.toBeInstanceOf(TaskFailedError);
  expect([items, runs]).toEqual([[1], 1]);
  await expect(collect(client.$stream.value())).rejects.toThrow("to return an async iterable");
  await expect(collect(client.$stream.bad())).rejects.toThrow("JSON can hold");
  await expect(collect(client.$stream.missing())).rejects.toBeInstanceOf(MethodNotFoundError);
});

it("takes async iterables as params", async () => {
  const client = serve((dispatcher) =>
    dispatcher.add("sum", async (items: AsyncIterable<{ n: number }>, factor: number) => {
      let sum = 0;
      for await (const { n } of items) sum += n;
      return sum * factor;
    }),
  );
  async function* numbers(): AsyncGenerator<{ n: number }> {
    yield { n: 1 };
    yield { n: 2 };
  }
  expect(await client.sum(numbers(), 10)).toBe(30);
});

it("collects the calls of a batch handler that one turn makes", async () => {
  const sizes: number[] = [];
  const client = serve((dispatcher) =>
    dispatcher.add(
      "double",
      (calls: Batch<[number]>) => {
        sizes.push(calls.length);
        return calls.map(([n]) => (n < 0 ? new RangeError("negative") : n * 2));
      },
      { batch: { max: 10 } },
    ),
  );
  const results = await Promise.allSettled([client.double(1), client.double(-1), client.double(3)]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(sizes).toEqual([3]);
});

it("refuses what needs a broker, and what can't be right", async () => {
  const client = serve((dispatcher) => dispatcher.add("add", () => 1));
  for (const options of [{ group: "a" }, { batch: true }, { durability: "disk" }, { nonsense: 1 }]) {
    expect(() => client.$with(options as object)).toThrow(OptionError);
    expect(() => client.$later.$with(options as object)).toThrow(OptionError);
  }
  expect(() => client.$with({ idempotencyKey: "key" }).$stream.add()).toThrow(OptionError);
  expect(await client.$with({ durability: "memory", whenBusy: "wait" }).add()).toBe(1);
  expect(() => new LocalClient({} as Dispatcher)).toThrow(OptionError);
  expect(() => new LocalClient(new Dispatcher(), { slots: 0 })).toThrow(OptionError);
  await expect(client.$schedules.list()).rejects.toBeInstanceOf(NotAllowedError);
  await expect((async () => client.$limits.list())()).rejects.toThrow("no $limits: testCluster");
});

it("can be handed over in place of a client", async () => {
  const client = serve((dispatcher) => dispatcher.add("add", (a: number, b: number) => a + b));
  const codeUnderTest = async (asked: Client): Promise<unknown> => asked.$with({ retries: 1 }).add(1, 2);
  expect(await codeUnderTest(client)).toBe(3);
});

it("rejects what is pending when it is closed, and whatever comes after", async () => {
  const { opened, open } = gate();
  const client = serve((dispatcher) =>
    dispatcher.add("slow", () => {
      current().signal.addEventListener("abort", () => open());
      return new Promise(() => undefined);
    }),
  );
  const call = client.slow();
  const handle = client.$later.$with({ at: "1 hour" }).slow();
  await settled();
  const failing = [
    expect(call).rejects.toBeInstanceOf(ClientClosedError),
    expect(handle.wait()).rejects.toBeInstanceOf(ClientClosedError),
  ];
  await client.$close();
  await Promise.all(failing);
  await opened;
  await expect(client.slow()).rejects.toBeInstanceOf(ClientClosedError);
});
