import { expect, it, onTestFinished } from "vitest";
import { Dispatcher, type HandlerOptions, type MethodDescription, type Params, task } from "zerotask-core";

const handler = (): void => undefined;

function described(options: HandlerOptions): MethodDescription | undefined {
  const dispatcher = new Dispatcher();
  dispatcher.add("work", handler, options);
  return dispatcher.methods()[0];
}

const byId = (id: string): string => id;

it.each<[unknown, unknown]>([
  [true, { by: "method", mode: "stop" }],
  ["queue", { by: "method", mode: "queue" }],
  [byId, { by: "params", mode: "stop" }],
  [{ by: byId }, { by: "params", mode: "stop" }],
  [
    { by: byId, mode: "queue" },
    { by: "params", mode: "queue" },
  ],
])("tells brokers of the singleton %o as %o", (singleton, rule) => {
  expect(described({ singleton } as HandlerOptions)).toEqual({ name: "work", singleton: rule });
});

it.each([false, undefined])("tells brokers of no singleton where it is %s", (singleton) => {
  expect(described({ singleton } as HandlerOptions)).toEqual({ name: "work" });
});

it("tells brokers of all other traits as they are", () => {
  const traits: HandlerOptions = {
    retries: 3,
    maxRetries: 5,
    backoff: { initialMs: 10 },
    timeoutMs: 1_000,
    concurrency: 4,
    rate: "100/min",
    perGroup: { concurrency: 1, rate: "5/s" },
    priority: -7,
    coalesce: true,
  };
  expect(described({ ...traits, params: ["a", "b"] })).toEqual({
    name: "work",
    params: ["a", "b"],
    ...traits,
  });
});

it("lets a batch wait for no others unless it is told to", () => {
  expect(described({ batch: { max: 8 } })).toEqual({ name: "work", batch: { max: 8, waitMs: 0 } });
  expect(described({ batch: { max: 8, waitMs: 5 } })?.batch).toEqual({ max: 8, waitMs: 5 });
});

it.each<[object, string]>([
  [
    { singleton: "wait" },
    "Expected `singleton` to be true, \"queue\", a function of the params, or {by, mode}, got 'wait'",
  ],
  [{ singleton: null }, "Expected `singleton` to be true"],
  [{ singleton: { mode: "queue" } }, "Expected `singleton.by` to be a function of the params, got undefined"],
  [
    { singleton: { by: byId, mode: "wait" } },
    'Expected `singleton.mode` to be "stop" or "queue", got \'wait\'',
  ],
  [{ singleton: { by: byId, ttl: 5 } }, "Expected `singleton option` to be one of by, mode, got 'ttl'"],
  [{ batch: true }, "Expected `batch` to be {max, waitMs}, got true"],
  [{ batch: {} }, "Expected `batch.max` to be a positive integer, got undefined"],
  [{ batch: { max: 0 } }, "Expected `batch.max` to be a positive integer, got 0"],
  [{ batch: { max: 2, waitMs: -1 } }, "Expected `batch.waitMs` to be whole milliseconds"],
  [{ batch: { max: 2, wait: 1 } }, "Expected `batch option` to be one of max, waitMs, got 'wait'"],
  [{ coalesce: "yes" }, "Expected `coalesce` to be true or false, got 'yes'"],
  [{ concurrency: 0 }, "Expected `concurrency` to be a positive integer, got 0"],
  [{ rate: "often" }, "Expected `rate` to be a rate like \"100/min\", got 'often'"],
  [{ perGroup: 5 }, "Expected `perGroup` to be an object, got 5"],
  [{ perGroup: { rate: 5 } }, 'Expected `perGroup.rate` to be a rate like "100/min", got 5'],
  [{ priority: 101 }, "Expected `priority` to be an integer from -100 to 100, got 101"],
  [{ maxRetries: -1 }, "Expected `maxRetries` to be an integer of 0 or more, got -1"],
  [{ params: "id" }, "Expected `params` to be an array of the names of the params, got 'id'"],
  [{ params: ["id", "id"] }, "Expected `params` to be an array of the names of the params"],
  [{ retires: 3 }, "Expected `task option` to be one of"],
])("refuses the options %o", (options, message) => {
  expect(() => described(options as HandlerOptions)).toThrow(message);
});

it("refuses options of a batch handler that would make every run one of a single call", () => {
  const batch = { max: 8 };
  const refused = "Expected `singleton` to be by params, or none, for a batch handler, got";
  expect(() => described({ batch, singleton: true })).toThrow(`${refused} true`);
  expect(() => described({ batch, singleton: "queue" })).toThrow(`${refused} 'queue'`);
  expect(() => described({ batch, concurrency: 7 })).toThrow(
    "Expected `concurrency` to be at least `batch.max` (8), as it counts calls, not runs, got 7",
  );
  expect(() => described({ batch, perGroup: { concurrency: 7 } })).toThrow(
    "Expected `perGroup.concurrency` to be at least `batch.max` (8), as it counts calls, not runs, got 7",
  );
  expect(described({ batch, singleton: byId, concurrency: 8, perGroup: { concurrency: 8 } })).toBeDefined();
  expect(described({ batch, coalesce: true, perGroup: { rate: "1/s" } })).toBeDefined();
});

it("refuses a time for runs that is over before a batch has waited", () => {
  const batch = { max: 8, waitMs: 50 };
  expect(() => described({ batch, timeoutMs: 50 })).toThrow(
    "Expected `timeoutMs` to be more than `batch.waitMs` (50), as the time of a run includes the wait, got 50",
  );
  expect(described({ batch, timeoutMs: 51 })).toBeDefined();
  expect(described({ batch: { max: 8 }, timeoutMs: 1 })).toBeDefined();
});

it.each([true, "queue", byId, { by: byId, mode: "queue" }] as const)(
  "refuses to coalesce what is a singleton by %o",
  (singleton) => {
    expect(() => described({ singleton, coalesce: true })).toThrow(
      "Expected `coalesce` to be left out for a singleton: there is one at a time already, got true",
    );
    expect(described({ singleton, coalesce: false })).toBeDefined();
  },
);

it("refuses unknown options of `task` where it is called, also for a decorator", () => {
  const options = { name: "work", dispatcher: new Dispatcher(), retires: 3 } as object;
  expect(() => task(options)).toThrow("got 'retires'");
  expect(() => task(options as never, handler)).toThrow("got 'retires'");
});

function naming(options: HandlerOptions, given: Params | undefined): string {
  const dispatcher = new Dispatcher();
  dispatcher.add("work", handler, options);
  return dispatcher.instanceOf("work", given);
}

it("names instances by the params as the handler would get them", () => {
  const singleton = (id: string, kind = "any"): string => `${kind}:${id}`;
  expect(naming({ singleton }, ["a", "b"])).toBe("b:a");
  expect(naming({ singleton: { by: singleton, mode: "queue" } }, ["a"])).toBe("any:a");
  expect(naming({ singleton, params: ["id", "kind"] }, { kind: "b", id: "a" })).toBe("b:a");
  expect(naming({ singleton: ({ id }: { id: string }) => id }, { id: "a" })).toBe("a");
  expect(naming({ singleton: () => "always" }, undefined)).toBe("always");
  expect(() => naming({ singleton, params: ["id"] }, { kind: "b" })).toThrow(
    'Expected the params id, got "kind"',
  );
});

it.each<[unknown, string]>([
  [5, "got 5"],
  ["", "got ''"],
  ["x".repeat(201), "got 'xxx"],
  [undefined, "got undefined"],
])("refuses %o as the name of an instance", (name, got) => {
  const singleton = (() => name) as () => string;
  const expected = "Expected `instance of work` to be a string of 1 to 200 characters, ";
  expect(() => naming({ singleton }, [])).toThrow(expected + got);
});

it.each([
  ["resolves", async () => "later"],
  ["rejects", async () => Promise.reject(new Error("nobody looks at this"))],
])(
  "refuses a promise that %s as the name of an instance, and leaves no rejection behind",
  async (_, singleton) => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on("unhandledRejection", note);
    onTestFinished(() => void process.off("unhandledRejection", note));
    const message = "Expected `singleton` to return a string, got a promise";
    expect(() => naming({ singleton } as object, [])).toThrow(message);
    // Node tells of unhandled rejections after a turn of the event loop.
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    expect(unhandled).toEqual([]);
  },
);

it("names no instances of what nobody serves, or what has none", () => {
  const expected = (method: string): string =>
    `Expected a method that is a singleton by its params, got ${method}`;
  expect(() => new Dispatcher().instanceOf("nobody", [])).toThrow(expected("nobody"));
  expect(() => naming({ singleton: true }, [])).toThrow(expected("work"));
  expect(() => naming({}, [])).toThrow(expected("work"));
});
