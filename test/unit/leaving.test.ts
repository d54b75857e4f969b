import { expect, it } from "vitest";
import { OptionError, type Runtime, systemRuntime, ZeroTaskError } from "zerotask-core";
import { Leaving } from "../../packages/node/src/leaving.ts";

interface Host {
  readonly leaving: Leaving;
  /** What it was told to do, in order. */
  readonly done: string[];
  running: number;
  after(ms: number): void;
}

/** A node with one broker, on a clock that the test turns. */
function host(running: number): Host {
  const done: string[] = [];
  let now = 0;
  const timers = new Map<object, { readonly at: number; readonly callback: () => void }>();
  const runtime: Runtime = {
    ...systemRuntime,
    now: () => now,
    after: (ms, callback) => {
      const timer = { cancel: () => void timers.delete(timer) };
      timers.set(timer, { at: now + ms, callback });
      return timer;
    },
  };
  const leaving: Leaving = new Leaving(
    {
      links: () => [[0, true]],
      ask: ({ wait }) => void done.push(wait ? "ask" : "ask at once"),
      drain: () => void done.push("drain"),
      isIdle: () => self.running === 0,
      close: async () => void done.push("close"),
    },
    { runtime, drainMs: 1_000 },
  );
  const self: Host = {
    ...{ leaving, done, running },
    after: (ms) => {
      now += ms;
      for (const [timer, { at, callback }] of [...timers]) if (at <= now && timers.delete(timer)) callback();
    },
  };
  return self;
}

it("waits for what runs as long as the node was made to, and no longer", async () => {
  const { leaving, done, after } = host(1);
  const left = leaving.begin({});
  after(999);
  expect(done).toEqual(["drain"]);
  after(1);
  expect(done).toEqual(["drain", "close"]);
  await left;
});

it("leaves as soon as nothing runs", async () => {
  const node = host(1);
  const left = node.leaving.begin({});
  node.running = 0;
  node.leaving.idle();
  expect(node.done).toEqual(["drain", "close"]);
  await left;
  await node.leaving.begin({ whenEmpty: true });
  expect(node.done).toEqual(["drain", "close"]);
});

it("waits without a bound when it is told to, until it is told of one", async () => {
  const { leaving, done, after } = host(1);
  const left = leaving.begin({ drainMs: Number.POSITIVE_INFINITY });
  after(1e9);
  expect(done).toEqual(["drain"]);
  void leaving.begin({ drainMs: 50 });
  // Nobody waits for longer again.
  void leaving.begin({ drainMs: 500 });
  after(50);
  expect(done).toEqual(["drain", "close"]);
  await left;
});

it("drains once its broker is empty, for as long as was said", async () => {
  const { leaving, done, after } = host(1);
  const left = leaving.begin({ whenEmpty: true, drainMs: 70 });
  after(1e6);
  expect(done).toEqual(["ask"]);
  leaving.lost(0);
  leaving.welcomed(0);
  leaving.answered(0, true);
  expect(done).toEqual(["ask", "ask", "drain"]);
  after(70);
  await left;
});

it("goes on when a broker can't tell whether it is empty, and can leave later", async () => {
  const { leaving, done, after } = host(1);
  const left = leaving.begin({ whenEmpty: true });
  leaving.answered(0, new ZeroTaskError("Method not found"));
  await expect(left).rejects.toThrow("Method not found");
  expect(done).toEqual(["ask"]);
  const later = leaving.begin({});
  after(1_000);
  await later;
  expect(done).toEqual(["ask", "drain", "close"]);
});

it("refuses options that make no sense", () => {
  const { leaving, done } = host(0);
  for (const options of [{ drainMs: -1 }, { drainMs: Number.NaN }, { whenEmpty: 1 }, { when: true }])
    expect(() => leaving.begin(options as never)).toThrow(OptionError);
  expect(done).toEqual([]);
});
