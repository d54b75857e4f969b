// A pool with real workers, by itself: what its node can do with runs that it does not want any more.
import { describe, expect, it, onTestFinished } from "vitest";
import { type Response, silentLogger, systemRuntime } from "zerotask-core";
import { Pool } from "../../packages/node/src/executors/pool.ts";
import { startProcess } from "../../packages/node/src/executors/process-worker.ts";
import { startThread } from "../../packages/node/src/executors/thread-worker.ts";
import { Run } from "../../packages/node/src/run.ts";
import type { RunHost } from "../../packages/node/src/run-context.ts";
import type { Answer } from "../../packages/node/src/state/node-state.ts";
import { gate } from "../support/cluster.ts";
import { until } from "../support/wait.ts";

const starters = { thread: startThread, process: startProcess };
const runHost = { runtime: systemRuntime } as RunHost;

interface Opened {
  readonly pool: Pool;
  readonly begun: Run[];
  readonly recalled: Run[];
}

async function openPool(kind: "thread" | "process"): Promise<Opened> {
  const begun: Run[] = [];
  const recalled: Run[] = [];
  const options = {
    kind,
    startWorker: starters[kind],
    workers: 1,
    maxMemoryMb: undefined,
    modules: [new URL("isolated-tasks.ts", import.meta.url).pathname],
    captureConsole: false,
    methods: new Map(["spin", "add"].map((name) => [name, undefined])),
  };
  const pool = new Pool(options, {
    runtime: systemRuntime,
    logger: silentLogger,
    dial: () => {
      throw new Error("Expected no connection");
    },
    endpoint: () => "",
    limits: () => ({ bytes: 1_000, depth: 10 }),
    send: () => undefined,
    report: () => undefined,
    onThrown: () => undefined,
    onWaiting: () => undefined,
    onBegan: (run) => void begun.push(run),
    onRecalled: (run) => void recalled.push(run),
  });
  await pool.open();
  onTestFinished(() => pool.close());
  return { pool, begun, recalled };
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
    pool.kill(endless.run);
    expect(await ahead.answer).toMatchObject({ error: { message: "Stopped before it began to run" } });
    expect(await endless.answer).toMatchObject({ error: { message: "Killed while it ran" } });
  });
});
