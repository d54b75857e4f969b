import { expect, it, onTestFinished } from "vitest";
import {
  type Client,
  ClientClosedError,
  ConflictError,
  InvalidParamsError,
  LocalClient,
  type LocalClientOptions,
  MethodNotFoundError,
  NotAllowedError,
  OptionError,
  TaskExpiredError,
  TaskFailedError,
  type TaskHandle,
  TaskStoppedError,
  TaskTimeoutError,
  UnknownTaskError,
} from "zerotask-client";
import { type Batch, Dispatcher, RetryError, TaskError } from "zerotask-core";
import { current } from "zerotask-node";
import { SimulatedProcess, Simulator } from "../simulation/simulator.ts";
import { gate } from "../support/cluster.ts";

function serve(setUp: (dispatcher: Dispatcher) => void, options: LocalClientOptions = {}): LocalClient {
  const dispatcher = new Dispatcher();
  setUp(dispatcher);
  const client = new LocalClient(dispatcher, options);
  onTestFinished(() => client.$close());
  return client;
}

/** A client on a virtual clock, and what lets everything happen that is due within a time. */
function serveIn(
  setUp: (dispatcher: Dispatcher) => void,
  options: LocalClientOptions = {},
): { client: LocalClient; pass: (ms: number) => Promise<void> } {
  const simulator = new Simulator(1);
  const client = serve(setUp, { runtime: new SimulatedProcess(simulator, "local"), ...options });
  const pass = async (ms: number): Promise<void> => {
    const end = simulator.elapsed + ms;
    let isOver = false;
    await settled();
    simulator.after(ms, () => {
      isOver = true;
    });
    while (!isOver && simulator.elapsed <= end + 1) {
      await simulator.step();
      await settled();
    }
  };
  return { client, pass };
}

async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
}

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

it("gives back one slot of a run that ends while a task of its own is still waited for", async () => {
  const { opened, open } = gate();
  let [running, most] = [0, 0];
  const client = serve(
    (dispatcher) => {
      dispatcher.add("outer", () => void current().client.$later.inner().wait());
      dispatcher.add("inner", () => opened);
      dispatcher.add("count", async () => {
        most = Math.max(most, ++running);
        await settled();
        running--;
      });
    },
    { slots: 2 },
  );
  await client.outer();
  await Promise.all([client.count(), client.count(), client.count()]);
  expect(most).toBe(1);
  open();
  await settled();
  await Promise.all([client.count(), client.count(), client.count()]);
  expect(most).toBe(2);
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

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

it("runs again what fails or asks for it, as often and late as options and method say", async () => {
  const seen: number[] = [];
  const { client, pass } = serveIn((dispatcher) => {
    dispatcher.add(
      "flaky",
      () => {
        seen.push(current().attempt);
        if (current().attempt < 3) throw new Error("not yet");
        return "done";
      },
      { retries: 1 },
    );
    dispatcher.add("later", () => {
      if (current().attempt === 1) throw new RetryError({ delay: "1 hour" });
      return current().attempt;
    });
    dispatcher.add("never", () => {
      throw new RetryError();
    });
  });
  const failing = client.$later.flaky();
  const passing = client.$later.$with({ retries: 2, backoff: { initialMs: 60_000, jitter: 0 } }).flaky();
  const later = client.$later.later();
  const never = client.$later.$with({ maxRetries: 2 }).never();
  await pass(30_000);
  await expect(failing.wait()).rejects.toThrow("not yet");
  await expect(never.wait()).rejects.toThrow("more often than it may");
  expect(await passing.status()).toBe("SCHEDULED");
  await pass(180_000);
  expect(await passing.wait()).toBe("done");
  expect(await later.status()).toBe("SCHEDULED");
  await pass(3_600_000);
  expect(await later.wait()).toBe(2);
});

it("runs tasks at their time, in the order of their priorities, and not after they expired", async () => {
  const seen: string[] = [];
  const { client, pass } = serveIn(
    (dispatcher) => {
      dispatcher.add("note", (text: string) => void seen.push(text));
      dispatcher.add("block", () => new Promise(() => undefined), { timeoutMs: 1_000 });
    },
    { slots: 1 },
  );
  const tomorrow = client.$later.$with({ at: "40 days" }).note("in 40 days");
  client.$ignore.note("normal");
  const urgent = client.$later.$with({ priority: 5 }).note("urgent");
  client.$later.$with({ at: "2 hours" }).note("in 2 hours");
  await pass(0);
  expect(seen).toEqual(["urgent", "normal"]);
  expect(await urgent.position()).toEqual({ ahead: 0, etaMs: null });
  expect(await tomorrow.status()).toBe("SCHEDULED");
  await pass(7_200_000);
  expect(seen).toEqual(["urgent", "normal", "in 2 hours"]);
  await pass(40 * 86_400_000);
  expect(seen.at(-1)).toBe("in 40 days");
  const blocking = client.$later.block();
  await pass(1);
  const waiting = client.$later.$with({ expiresMs: 500 }).note("too late");
  await pass(1_000);
  await expect(blocking.wait()).rejects.toBeInstanceOf(TaskExpiredError);
  await expect(waiting.wait()).rejects.toBeInstanceOf(TaskExpiredError);
});

it("makes one task of one key, and refuses it for another", async () => {
  let runs = 0;
  const client = serve((dispatcher) => dispatcher.add("charge", (sum: number) => sum + ++runs));
  const keyed = client.$later.$with({ idempotencyKey: "order-17" });
  expect(await Promise.all([keyed.charge(10).wait(), keyed.charge(10).wait()])).toEqual([11, 11]);
  expect(await client.$with({ idempotencyKey: "order-17" }).charge(10)).toBe(11);
  await expect(keyed.charge(20).accepted).rejects.toBeInstanceOf(ConflictError);
  expect(await keyed.charge(10).wait()).toBe(11);
});

it("stops what waits at once, and tells whether what runs has ended", async () => {
  const stubbornly = gate();
  const client = serve((dispatcher) => {
    dispatcher.add("polite", () => {
      const { signal } = current();
      return new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(new Error("given up")));
      });
    });
    dispatcher.add("stubborn", () => stubbornly.opened);
    dispatcher.add("quick", () => 1);
  });
  const waiting = client.$later.$with({ at: "1 day" }).quick();
  expect(await waiting.stop()).toBe("never-started");
  await expect(waiting.wait()).rejects.toBeInstanceOf(TaskStoppedError);
  const polite = client.$later.polite();
  const stubborn = client.$later.stubborn();
  const quick = client.$later.quick();
  await quick.wait();
  expect(await polite.stop()).toBe("cooperative");
  expect(await polite.status()).toBe("STOPPED");
  expect(await stubborn.stop({ graceMs: 1 })).toBe("unstoppable");
  expect(await stubborn.status()).toBe("RUNNING");
  stubbornly.open();
  await expect(stubborn.wait()).rejects.toBeInstanceOf(TaskStoppedError);
  expect(await quick.stop()).toBe("finished-first");
  await polite.start();
  await expect(quick.start()).rejects.toBeInstanceOf(ConflictError);
  await settled();
  expect(await polite.status()).toBe("RUNNING");
  expect(await polite.stop()).toBe("cooperative");
  await quick.reload();
  expect(await quick.wait()).toBe(1);
  await expect(client.$handle("unknown").stop()).rejects.toBeInstanceOf(UnknownTaskError);
  await expect(quick.stop({ graceMs: -1 })).rejects.toBeInstanceOf(OptionError);
});

it("refuses to make anew what was stopped before, and ignores its signal", async () => {
  const { opened, open } = gate();
  const client = serve((dispatcher) => dispatcher.add("stubborn", () => opened));
  const handle: TaskHandle = client.$later.stubborn();
  await settled();
  expect(await handle.stop({ graceMs: 0 })).toBe("unstoppable");
  const reload = handle.reload(undefined, { graceMs: 0 });
  await expect(reload).rejects.toBeInstanceOf(ConflictError);
  await expect(reload).rejects.toThrow("Expected a task that is not being stopped");
  open();
  await expect(handle.wait()).rejects.toBeInstanceOf(TaskStoppedError);
});

it("lets a call give up when its time is over, and its handler hear of it", async () => {
  const gates = [gate(), gate()];
  let runs = 0;
  const client = serve((dispatcher) => {
    const forever = (): Promise<never> => {
      const run = runs++;
      current().signal.addEventListener("abort", () => gates[run]?.open());
      return new Promise(() => undefined);
    };
    dispatcher.add("slow", forever);
    dispatcher.add("rows", async function* () {
      yield await forever();
    });
  });
  const bound = client.$with({ timeoutMs: 20 });
  await expect(bound.slow()).rejects.toBeInstanceOf(TaskTimeoutError);
  await expect(collect(bound.$stream.rows())).rejects.toBeInstanceOf(TaskTimeoutError);
  for (const { opened } of gates) await opened;
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

it("lets no run go on for ever whose time is over, also where it is stopped after that", async () => {
  const { client, pass } = serveIn((dispatcher) => {
    dispatcher.add("stubborn", () => new Promise(() => undefined));
  });
  const handle: TaskHandle = client.$later.$with({ timeoutMs: 100, retries: 1 }).stubborn();
  const outcome = handle.wait().catch((error: unknown) => error);
  await pass(200);
  const stopping = handle.stop({ graceMs: 10_000 });
  await pass(4_800);
  expect(await handle.status()).toBe("RUNNING");
  await pass(200);
  expect([await stopping, await handle.status()]).toEqual(["unstoppable", "EXPIRED"]);
  expect(await outcome).toBeInstanceOf(TaskExpiredError);
});

it("lets no run go on for ever that was to be made anew when its time was over, and is stopped after that", async () => {
  const { client, pass } = serveIn((dispatcher) => {
    dispatcher.add("stubborn", () => new Promise(() => undefined));
  });
  const handle: TaskHandle = client.$later.$with({ timeoutMs: 100 }).stubborn();
  await pass(50);
  const reloading = handle.reload(undefined, { graceMs: 10 }).catch((error: unknown) => error);
  await pass(100);
  expect(await reloading).toBeInstanceOf(NotAllowedError);
  expect(await handle.status()).toBe("RUNNING");
  const stopping = handle.stop({ graceMs: 10 });
  await pass(20);
  expect([await stopping, await handle.status()]).toEqual(["unstoppable", "EXPIRED"]);
});

it("closes the inputs of a run that nobody waits for when its time is over, though it ignores its signal", async () => {
  const { client, pass } = serveIn(
    (dispatcher) => {
      dispatcher.add("block", () => blocked.opened);
      dispatcher.add("stubborn", () => new Promise(() => undefined));
    },
    { slots: 1 },
  );
  const blocked = gate();
  const closed: string[] = [];
  const items = {
    [Symbol.asyncIterator]: () => ({
      next: async () => ({ done: false as const, value: 1 }),
      return: async () => {
        closed.push("items");
        return { done: true as const, value: undefined };
      },
    }),
  };
  const statuses: unknown[] = [];
  void (async () => {
    for await (const { data } of client.$events({ method: "stubborn" })) statuses.push(data);
  })().catch(() => undefined);
  const block = client.block();
  const call = client
    .$with({ timeoutMs: 1_000 })
    .stubborn(items)
    .catch((error: unknown) => error);
  await pass(500);
  blocked.open();
  await block;
  await pass(600);
  expect(await call).toBeInstanceOf(TaskTimeoutError);
  expect([statuses.at(-1), closed]).toEqual([{ status: "RUNNING", attempt: 1 }, []]);
  await pass(500);
  const error = "The task ran for more than 1000 ms";
  expect([statuses.at(-1), closed]).toEqual([{ status: "EXPIRED", attempt: 1, error }, ["items"]]);
});
