// The two ends of a stream, over a connection that loses, repeats and reorders what it carries.
import fc from "fast-check";
import { expect, it } from "vitest";
import {
  BrokerMethod,
  batchText,
  type EncodedBatch,
  type StreamBatch,
  StreamConsumer,
  type StreamGrant,
  StreamProducer,
  type StreamWindow,
} from "zerotask-core";

/** Lets all promises go on that can. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Wire {
  readonly producer: StreamProducer;
  readonly consumer: StreamConsumer;
  /** What is on its way. */
  batches: EncodedBatch[] = [];
  grants: StreamGrant[] = [];
  readonly deferred: (() => void)[] = [];
  left = 0;
  now = 0;

  constructor(window: StreamWindow, errors: "sent" | "thrown" = "sent", limit = 1_000_000) {
    this.producer = new StreamProducer({
      window,
      errors,
      limits: () => ({ bytes: limit, depth: 10 }),
      send: (batch) => this.batches.push(batch),
      defer: (callback) => this.deferred.push(callback),
      now: () => this.now,
    });
    this.consumer = new StreamConsumer({
      window,
      endsByItself: errors === "sent",
      grant: (grant) => this.grants.push(grant),
      onLeft: () => this.left++,
      onStart: () => this.grants.push({ taken: 0, received: 0, again: true }),
    });
  }

  tick(): void {
    for (const callback of this.deferred.splice(0)) callback();
  }

  deliverBatch(place = 0, keep = false): void {
    const batch = this.batches[place];
    if (batch === undefined) return;
    if (!keep) this.batches.splice(place, 1);
    const decoded = { ...batch, items: JSON.parse(batch.items) } as StreamBatch;
    this.consumer.onBatch(decoded);
  }

  deliverGrant(place = 0, keep = false): void {
    const grant = this.grants[place];
    if (grant === undefined) return;
    if (!keep) this.grants.splice(place, 1);
    this.producer.onGrant(grant);
  }

  /** All that is on its way gets lost, and one end hears of it: the one whose connection it was. */
  reconnect(end: "producer" | "consumer"): void {
    this.batches = [];
    this.grants = [];
    this[end].resume();
  }

  /** Until nothing moves any more. */
  async run(): Promise<void> {
    for (let idle = 0; idle < 3; idle++) {
      await settle();
      this.tick();
      if (this.batches.length + this.grants.length > 0) idle = 0;
      while (this.batches.length > 0) this.deliverBatch();
      while (this.grants.length > 0) this.deliverGrant();
    }
  }
}

const wide = { items: 1_000, bytes: 1_000_000 };

async function* count(to: number): AsyncGenerator<number> {
  for (let i = 0; i < to; i++) yield i;
}

it("gives every item once, in order, whatever gets lost, comes twice or out of turn", async () => {
  const ends = ["producer", "consumer"] as const;
  const step = fc.oneof(
    fc.record({ type: fc.constant("batch" as const), place: fc.nat(3), keep: fc.boolean() }),
    fc.record({ type: fc.constant("grant" as const), place: fc.nat(3), keep: fc.boolean() }),
    fc.record({ type: fc.constant("read" as const), items: fc.integer({ min: 1, max: 30 }) }),
    fc.constant({ type: "tick" as const }),
    fc.record({ type: fc.constant("reconnect" as const), end: fc.constantFrom(...ends) }),
  );
  const property = fc.asyncProperty(
    fc.integer({ min: 0, max: 120 }),
    fc.integer({ min: 1, max: 20 }),
    fc.integer({ min: 1, max: 60 }),
    fc.array(step, { maxLength: 60 }),
    fc.constantFrom(...ends),
    async (total, items, bytes, steps, last) => {
      const wire = new Wire({ items, bytes });
      let made = 0;
      const sent = wire.producer.run(
        (async function* () {
          for (; made < total; ) yield made++;
        })(),
      );
      const taken: unknown[] = [];
      let isOver = false;
      const read = async (many: number): Promise<void> => {
        for (let i = 0; i < many && !isOver; i++) {
          const { done, value } = await wire.consumer.next();
          if (done === true) isOver = true;
          else taken.push(value);
        }
      };
      let reading: Promise<void> = Promise.resolve();
      for (const each of steps) {
        if (each.type === "batch") wire.deliverBatch(each.place, each.keep);
        else if (each.type === "grant") wire.deliverGrant(each.place, each.keep);
        else if (each.type === "tick") wire.tick();
        else if (each.type === "reconnect") wire.reconnect(each.end);
        else reading = reading.then(() => read(each.items));
        await settle();
        expect(made - taken.length).toBeLessThanOrEqual(items);
      }
      wire.reconnect(last);
      reading = reading.then(() => read(Number.POSITIVE_INFINITY));
      await wire.run();
      expect(isOver).toBe(true);
      expect(await Promise.race([sent.then(() => "sent"), settle()])).toBe("sent");
      expect(taken).toEqual(Array.from({ length: total }, (_, i) => i));
    },
  );
  await fc.assert(property, { numRuns: 300 });
});

it("waits for room in items and in bytes", async () => {
  for (const window of [
    { items: 10, bytes: 1_000_000 },
    { items: 1_000, bytes: 60 },
  ]) {
    const wire = new Wire(window);
    let made = 0;
    const run = wire.producer.run(
      (async function* () {
        for (;;) yield `item ${made++ % 10}`;
      })(),
    );
    await wire.run();
    const first = made;
    expect(first).toBeGreaterThan(3);
    expect(first).toBeLessThan(12);
    for (let i = 0; i < first; i++) await wire.consumer.next();
    await wire.run();
    expect(made).toBe(first * 2);
    wire.producer.stop();
    await run;
  }
});

it("runs finally blocks when it is stopped, also of what is between two items", async () => {
  for (const isStuck of [false, true]) {
    const wire = new Wire(wide);
    let ended = 0;
    const run = wire.producer.run(
      (async function* () {
        try {
          for (;;) {
            if (isStuck) await settle();
            yield 1;
          }
        } finally {
          ended++;
        }
      })(),
    );
    await settle();
    wire.producer.stop();
    await run;
    expect(ended).toBe(1);
    expect(wire.producer.onGrant({ taken: 1, received: 1, again: true })).toBeUndefined();
    wire.batches = [];
    wire.tick();
    expect(wire.batches).toEqual([]);
  }
});

it("closes an iterable that is stopped before anybody has read it", async () => {
  const wire = new Wire(wide);
  const items = count(3);
  wire.producer.stop();
  await wire.producer.run(items);
  expect(await items.next()).toEqual({ done: true, value: undefined });
});

it("tells of an error after the items before it: to the reader of an input, to the caller of an output", async () => {
  const failing = async function* (): AsyncGenerator<number> {
    yield* count(3);
    throw new RangeError("that was all");
  };
  const input = new Wire(wide, "sent");
  const sent = input.producer.run(failing());
  await input.run();
  for (let i = 0; i < 3; i++) expect(await input.consumer.next()).toEqual({ done: false, value: i });
  await expect(input.consumer.next()).rejects.toMatchObject({
    name: "TaskFailedError",
    remoteName: "RangeError",
    message: "that was all",
  });
  expect(await input.consumer.next()).toEqual({ done: true, value: undefined });
  await sent;

  const output = new Wire(wide, "thrown");
  let thrown: unknown;
  output.producer.run(failing()).catch((error: unknown) => {
    thrown = error;
  });
  await settle();
  output.tick();
  await settle();
  expect(thrown).toBeUndefined();
  await output.run();
  expect(thrown).toBeInstanceOf(RangeError);
  expect(output.consumer.received).toBe(4);
});

it.each([
  [
    "can't be read",
    (): AsyncIterator<unknown> => {
      throw new TypeError("it is locked");
    },
    "it is locked",
  ],
  [
    "gives no object for a result",
    () => ({ next: async () => 5 }) as unknown as AsyncIterator<unknown>,
    "Expected an iterator whose next() gives {done, value}, got 5",
  ],
])("ends a stream of what %s with an error", async (_, begin, message) => {
  const items = { [Symbol.asyncIterator]: begin };
  const input = new Wire(wide, "sent");
  const sent = input.producer.run(items);
  const told = expect(input.consumer.next()).rejects.toMatchObject({ remoteName: "TypeError", message });
  await input.run();
  await Promise.all([told, sent]);
  await expect(new Wire(wide, "thrown").producer.run(items)).rejects.toThrow(message);
});

it.each([
  ["too large", "x".repeat(5_000), "TooLargeError", "Expected items of at most"],
  ["too deep", [[[[[[[[[[[[]]]]]]]]]]]], "TooLargeError", "levels of nesting"],
  ["cyclic", 1n, "TypeError", "An item can't be sent as JSON"],
  ["no JSON", () => 1, "TypeError", "it has nothing for this function"],
])("fails for an item that is %s, and closes the iterable", async (_, item, name, message) => {
  const wire = new Wire(wide, "thrown", 5_000);
  let isClosed = false;
  const run = wire.producer.run(
    (async function* () {
      try {
        yield item;
      } finally {
        isClosed = true;
      }
    })(),
  );
  await expect(run).rejects.toMatchObject({ name, message: expect.stringContaining(message) });
  expect(isClosed).toBe(true);
});

it("leaves an input: its producer is closed", async () => {
  const wire = new Wire(wide);
  let isClosed = false;
  const run = wire.producer.run(
    (async function* () {
      try {
        for (let i = 0; ; i++) yield i;
      } finally {
        isClosed = true;
      }
    })(),
  );
  await wire.run();
  for await (const item of wire.consumer) if (item === 5) break;
  expect(isClosed).toBe(false);
  await wire.run();
  await run;
  expect(isClosed).toBe(true);
  expect(wire.left).toBe(1);
});

it("goes on where a grant got lost, though not all that was sent has arrived", async () => {
  const wire = new Wire({ items: 12, bytes: 7 });
  const run = wire.producer.run(count(5));
  await settle();
  wire.deliverBatch();
  wire.consumer.resume();
  wire.deliverGrant();
  for (let i = 0; i < 3; i++) await wire.consumer.next();
  wire.reconnect("producer");
  await wire.run();
  const rest = [await wire.consumer.next(), await wire.consumer.next()];
  expect(rest.map(({ value }) => value)).toEqual([3, 4]);
  await wire.run();
  await run;
});

it("sends what is there, and hears that nobody wants more, where an iterable only computes", async () => {
  const wire = new Wire(wide);
  let made = 0;
  const run = wire.producer.run(
    (async function* () {
      for (;;) {
        wire.now += 4;
        yield made++;
      }
    })(),
  );
  for (const items of [
    [0, 1, 2],
    [3, 4, 5],
    [6, 7, 8],
  ]) {
    await settle();
    expect(wire.batches.splice(0).map((batch) => JSON.parse(batch.items))).toEqual([items]);
    wire.tick();
  }
  await settle();
  wire.producer.stop();
  wire.tick();
  await run;
  expect(made).toBe(12);
});

it("sends no batch that is larger than a message may be, though its items are not", async () => {
  const limit = 20_000;
  const large = "x".repeat(limit - 1_024 - 2);
  const wide = "ü€".repeat(500);
  const wire = new Wire({ items: 1_000, bytes: 10_000_000 }, "sent", limit);
  const given = [...Array.from({ length: 50 }, () => "x".repeat(500)), large, ...Array(40).fill(wide), large];
  const run = wire.producer.run(
    (async function* () {
      yield* given;
      throw new RangeError("y".repeat(limit - 1_500));
    })(),
  );
  const sizes: number[] = [];
  const taken: unknown[] = [];
  for (let turn = 0, isOver = false; turn < 500 && !isOver; turn++) {
    await settle();
    wire.tick();
    for (; wire.batches.length > 0; wire.deliverBatch()) {
      const text = batchText(BrokerMethod.NodeStreamItems, { id: "task" }, wire.batches[0] as EncodedBatch);
      sizes.push(Buffer.byteLength(text));
      isOver = wire.batches[0]?.end === true;
    }
    while (wire.grants.length > 0) wire.deliverGrant();
  }
  for (const _ of given) taken.push((await wire.consumer.next()).value);
  expect(taken).toEqual(given);
  await expect(wire.consumer.next()).rejects.toMatchObject({ remoteName: "RangeError" });
  expect(Math.max(...sizes)).toBeLessThanOrEqual(limit);
  await wire.run();
  await run;
});

it("sends what a tick produced as one batch, and no more than 256 items in one", async () => {
  const wire = new Wire({ items: 2_000, bytes: 1_000_000 });
  void wire.producer.run(count(600));
  await settle();
  wire.tick();
  expect(wire.batches.map(({ seq, items }) => [seq, JSON.parse(items).length])).toEqual([
    [0, 256],
    [256, 256],
    [512, 88],
  ]);
});
