// A pool with real workers, by itself: what its node can do with runs that it does not want any more.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { type BatchRule, type Logger, type Response, silentLogger, systemRuntime } from "zerotask-core";
import { Pool } from "../../packages/node/src/executors/pool.ts";
import { startProcess } from "../../packages/node/src/executors/process-worker.ts";
import { startThread } from "../../packages/node/src/executors/thread-worker.ts";
import { Run } from "../../packages/node/src/run.ts";
import type { RunHost } from "../../packages/node/src/run-context.ts";
import type { Answer } from "../../packages/node/src/state/node-state.ts";
import { silentMs } from "../../packages/node/src/state/pool/patience.ts";
import { maxUnderWay } from "../../packages/node/src/worker/report-credit.ts";
import { gate } from "../support/cluster.ts";
import { until } from "../support/wait.ts";
import { folderWith } from "../support/watched.ts";

const starters = { thread: startThread, process: startProcess };
const runHost = { runtime: systemRuntime } as RunHost;

interface Opened {
  readonly pool: Pool;
  readonly begun: Run[];
  readonly recalled: Run[];
  /** The rooms that had no worker, and have one again. */
  readonly up: string[];
  /** The params of what its tasks told. */
  readonly reports: { readonly [name: string]: unknown }[];
  /** Whether the broker is, as its tasks are to believe. */
  readonly behind: { isBehind: boolean };
}

async function openPool(
  kind: "thread" | "process",
  workers = 1,
  startWorker = starters[kind],
): Promise<Opened> {
  const opened = unopened(kind, workers, startWorker);
  await opened.pool.open();
  onTestFinished(() => opened.pool.close());
  return opened;
}

interface Served {
  readonly logger: Logger;
  readonly module: string;
  readonly methods: readonly string[];
}

const batch: [string, BatchRule] = ["lengths", { max: 10, waitMs: 200 }];
const served: Served = {
  logger: silentLogger,
  module: "isolated-tasks.ts",
  methods: ["spin", "add", "post", "print", "late", "giant", "native", "chatty"],
};

function unopened(
  kind: "thread" | "process",
  workers = 1,
  startWorker = starters[kind],
  { logger, module, methods }: Served = served,
): Opened {
  const begun: Run[] = [];
  const recalled: Run[] = [];
  const up: string[] = [];
  const reports: Opened["reports"] = [];
  const behind = { isBehind: false };
  const options = {
    kind,
    startWorker,
    workers,
    maxMemoryMb: undefined,
    modules: [new URL(module, import.meta.url).pathname],
    captureConsole: false,
    rooms: [kind],
    methods: new Map<string, BatchRule | undefined>([
      ...methods.map((name): [string, undefined] => [name, undefined]),
      ...(methods === served.methods ? [batch] : []),
    ]),
  };
  const pool = new Pool(options, {
    runtime: systemRuntime,
    logger,
    dial: () => {
      throw new Error("Expected no connection");
    },
    endpoint: () => "",
    limits: () => ({ bytes: 1_000, depth: 10 }),
    send: () => undefined,
    report: (_link, _method, params) => void reports.push(params),
    isBehind: () => behind.isBehind,
    onThrown: () => undefined,
    onWaiting: () => undefined,
    onBegan: (run) => void begun.push(run),
    onRecalled: (run) => void recalled.push(run),
    onUp: (rooms) => void up.push(...rooms),
  });
  return { pool, begun, recalled, up, reports, behind };
}

let last = 0;

/** Starts a run. */
function run(pool: Pool, method: string, ...params: unknown[]): { run: Run; answer: Promise<Response> } {
  const id = `t${++last}#1`;
  const made = new Run(0, id, { jsonrpc: "2.0", method, params, id }, runHost);
  const { opened, open } = gate<Answer>();
  pool.start(made, open);
  const parsed = (answer: Answer): Response =>
    typeof answer === "string" ? (JSON.parse(answer) as Response) : answer;
  return { run: made, answer: opened.then(parsed) };
}

describe.each(["thread", "process"] as const)("a pool of one %s", (kind) => {
  it("kills what never ends, and goes on with what waited behind it", async () => {
    const { pool, begun } = await openPool(kind);
    const endless = run(pool, "spin");
    const next = run(pool, "add", 1, 2);
    await until("it to be seen", () => begun.includes(endless.run));
    expect(pool.kill(endless.run)).toBe(true);
    expect(await endless.answer).toMatchObject({ error: { code: -32040, message: "Killed while it ran" } });
    expect(await next.answer).toMatchObject({ result: 3 });
  });

  it("takes out what has not begun, when it is killed, aborted or recalled", async () => {
    const { pool, recalled } = await openPool(kind);
    const busy = run(pool, "spin", 300);
    const [killed, aborted, given] = [run(pool, "add", 1, 1), run(pool, "add", 1, 1), run(pool, "add", 1, 1)];
    expect(pool.kill(killed.run)).toBe(true);
    aborted.run.abort();
    pool.abort(aborted.run);
    pool.recall(given.run);
    expect(await killed.answer).toMatchObject({ error: { code: -32040 } });
    expect(await aborted.answer).toMatchObject({ error: { code: -32040 } });
    expect(recalled).toEqual([given.run]);
    expect(await busy.answer).toMatchObject({ result: "spun" });
  });

  it("kills what was given to a worker ahead, though that never gets to it", async () => {
    const { pool, begun } = await openPool(kind);
    for (let i = 0; i < 20; i++) await run(pool, "spin", 0).answer;
    // Short so far: what comes next is given to the worker at once.
    const endless = run(pool, "spin");
    const ahead = run(pool, "spin", 0);
    await until("it to be seen", () => begun.includes(endless.run));
    pool.kill(ahead.run);
    // While the other one runs.
    expect(await ahead.answer).toMatchObject({
      error: { message: "Stopped before it began to run", data: { how: "never-started" } },
    });
    pool.kill(endless.run);
    expect(await endless.answer).toMatchObject({ error: { message: "Killed while it ran" } });
  });

  it("takes back what was given to a worker ahead, when that turns out to be busy for long", async () => {
    const { pool } = await openPool(kind, 2);
    for (let i = 0; i < 40; i++) await run(pool, "spin", 0).answer;
    const long = run(pool, "spin", 3_000);
    let isLongOver = false;
    void long.answer.then(() => {
      isLongOver = true;
    });
    await Promise.all(Array.from({ length: 30 }, () => run(pool, "spin", 0).answer));
    expect(isLongOver).toBe(false);
    expect(await long.answer).toMatchObject({ result: "spun" });
    // Its worker is given something again.
    const both = [run(pool, "spin", 300), run(pool, "spin", 300)];
    expect(await Promise.all(both.map(({ answer }) => answer))).toHaveLength(2);
  });

  it("stops and recalls single tasks of a batch that is still gathered", async () => {
    const { pool, recalled } = await openPool(kind);
    const alone = run(pool, "lengths", "x");
    alone.run.abort();
    pool.abort(alone.run);
    expect(await alone.answer).toMatchObject({ error: { code: -32040, data: { how: "never-started" } } });
    const [stopped, killed, given, kept] = ["a", "bb", "ccc", "dddd"].map((text) =>
      run(pool, "lengths", text),
    );
    if (stopped === undefined || killed === undefined || given === undefined || kept === undefined) return;
    stopped.run.abort();
    pool.abort(stopped.run);
    expect(pool.kill(killed.run)).toBe(true);
    pool.recall(given.run);
    expect(recalled).toEqual([given.run]);
    expect(await stopped.answer).toMatchObject({ error: { code: -32040 } });
    expect(await killed.answer).toMatchObject({ error: { code: -32040 } });
    expect(await kept.answer).toMatchObject({ result: { length: 4, calls: 1 } });
    expect(pool.kill(kept.run)).toBe(false);
  });

  it("goes on when a worker can't be started, with another one later", async () => {
    let left = 1;
    const { pool, begun, recalled, up } = await openPool(kind, 1, (options, handlers) => {
      if (left-- === 0) throw new Error("too many open files");
      return starters[kind](options, handlers);
    });
    const endless = run(pool, "spin");
    await until("it to be seen", () => begun.includes(endless.run));
    pool.kill(endless.run);
    expect(await endless.answer).toMatchObject({ error: { code: -32040 } });
    const next = run(pool, "add", 1, 2);
    await until("it to be handed back", () => recalled.includes(next.run));
    await until("a worker", () => up.includes(kind));
    expect(await run(pool, "add", 1, 2).answer).toMatchObject({ result: 3 });
  });

  it("goes on where a task leaves its worker busy for ever after it has ended", async () => {
    const { pool } = await openPool(kind);
    expect(await run(pool, "late").answer).toMatchObject({ result: "done" });
    expect(await run(pool, "add", 1, 2).answer).toMatchObject({ result: 3 });
  });

  it("tells of room when others of a batch go back with one that no worker has begun", async () => {
    const { opened: isGiven, open: given } = gate();
    const { pool, recalled, up } = await openPool(kind, 1, (options, handlers) => {
      const handle = starters[kind](options, handlers);
      const send = (text: string): void => {
        handle.send(text);
        if (text.startsWith("B ")) given();
      };
      return { ...handle, send };
    });
    expect(await run(pool, "late").answer).toMatchObject({ result: "done" });
    const [meant, other] = [run(pool, "lengths", "a"), run(pool, "lengths", "bb")];
    await isGiven;
    pool.recall(meant.run);
    expect(recalled).toEqual([meant.run, other.run]);
    // Nothing is left there whose end would tell the broker.
    expect(up).toEqual([kind]);
  });

  it("keeps a worker that has told that it is free while the node was busy itself", async () => {
    const warned: string[] = [];
    const logger = { ...silentLogger, warn: (_data: object, message: string) => void warned.push(message) };
    const { pool } = unopened(kind, 1, starters[kind], { ...served, logger });
    await pool.open();
    onTestFinished(() => pool.close());
    const unwanted = run(pool, "add", 1, 2);
    unwanted.run.abort();
    pool.abort(unwanted.run);
    await unwanted.answer;
    const end = performance.now() + silentMs + 200;
    while (performance.now() < end);
    expect(await run(pool, "add", 1, 2).answer).toMatchObject({ result: 3 });
    expect(warned).toEqual([]);
  });

  it("fails a result that is too large for the broker without carrying it to the node", async () => {
    let longest = 0;
    const { pool } = await openPool(kind, 1, (options, handlers) => {
      const onText = (text: string): void => {
        longest = Math.max(longest, text.length);
        handlers.onText(text);
      };
      return starters[kind](options, { ...handlers, onText });
    });
    for (const method of ["giant", "lengths"]) await run(pool, method, 1).answer;
    expect(await run(pool, "giant", 5_000_000).answer).toMatchObject({
      error: { code: -32061, message: expect.stringContaining("Expected a result of at most 1000 bytes") },
    });
    expect(longest).toBeLessThan(1_000);
  });

  it("passes on no more of what a task tells than can be, and tells how much was dropped", async () => {
    const { pool, reports, behind } = await openPool(kind);
    behind.isBehind = true;
    // Without a break: 20 MB in all.
    expect(await run(pool, "chatty", 400).answer).toMatchObject({ result: 400 });
    const told = reports.filter(({ event }) => event === "chat").length;
    expect([told > 0, told <= maxUnderWay / 50_000]).toEqual([true, true]);
    expect(reports.at(-1)).toMatchObject({
      lines: [{ level: "warn", message: expect.stringContaining(`: ${400 - told} (`) }],
    });
    // The broker takes them again.
    behind.isBehind = false;
    await until("all to be told", async () => {
      reports.length = 0;
      await run(pool, "chatty", 2).answer;
      return reports.length === 2;
    });
  });

  it("is closed while it opens", async () => {
    const { pool } = unopened(kind);
    const opening = pool.open();
    await pool.close();
    await opening;
  });
});

it("lets what a worker has opened be closed in as much time as in a node, and logs what can't be", async () => {
  const logged: unknown[] = [];
  const error = (data: object, message: string): void => void logged.push({ ...data, message });
  const { pool } = unopened("thread", 1, startThread, {
    logger: { ...silentLogger, error },
    module: "slow-closing.ts",
    methods: ["add", "tellIn"],
  });
  await pool.open();
  const file = join(await folderWith({ told: "" }), "told");
  await run(pool, "tellIn", file).answer;
  await pool.close();
  // After two others that took 7 s.
  expect(readFileSync(file, "utf8")).toBe("closed");
  expect(logged).toMatchObject([
    {
      ...{ worker: 1, resource: "broken", message: "could not close a resource" },
      err: { type: "RangeError", message: "can't be closed" },
    },
  ]);
});

it("goes on without a thread that can't be ended yet, and is closed without it", async () => {
  const { pool, begun, recalled } = await openPool("thread");
  const file = join(await folderWith({ other: "" }), "begun");
  const native = run(pool, "native", file, 15);
  let isOver = false;
  void native.answer.then(() => {
    isOver = true;
  });
  await until("it to be in its call", () => existsSync(file) && begun.includes(native.run));
  pool.kill(native.run);
  await until("another worker to run something", async () => {
    const next = run(pool, "add", 1, 2);
    let answer: Response | undefined;
    void next.answer.then((given) => {
      answer = given;
    });
    // A busy machine may take so long to start a worker that others are to have it.
    await until("an outcome", () => answer !== undefined || recalled.includes(next.run));
    return answer !== undefined;
  });
  await pool.close();
  expect(isOver).toBe(false);
});

it("takes nothing to heart that a task sends from its thread", async () => {
  const { pool } = await openPool("thread");
  expect(await run(pool, "post").answer).toMatchObject({ result: "posted" });
  expect(await run(pool, "add", 1, 2).answer).toMatchObject({ result: 3 });
});

it("ends a worker that says what can't be understood, and no more", async () => {
  let say: ((text: string) => void) | undefined;
  const { pool, begun } = await openPool("thread", 1, (options, handlers) => {
    say = (text) => handlers.onText(text);
    return startThread(options, handlers);
  });
  const endless = run(pool, "spin");
  await until("it to be seen", () => begun.includes(endless.run));
  say?.("N 0 {");
  expect(await endless.answer).toMatchObject({ error: { data: { name: "WorkerDiedError" } } });
  expect(await run(pool, "add", 1, 2).answer).toMatchObject({ result: 3 });
});

it("tells nothing of memory when a task only printed something about it", async () => {
  const { pool } = await openPool("process");
  expect(await run(pool, "print", "heap out of memory", 3).answer).toMatchObject({
    error: { message: "Its worker process exited with code 3 while it ran" },
  });
});
