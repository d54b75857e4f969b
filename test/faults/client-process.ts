// A client that submits, calls, stops and reads without end, and tells what it is told.
// `node client-process.ts <endpoint> <seed>`; the line "finish" on stdin ends the asking, and the end of stdin the process.
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { AsyncClient, type CallOptions, Client, type TaskHandle } from "zerotask-client";
import type { Kind, ReportLine } from "./report-lines.ts";
import { Seeded } from "./seeded.ts";
import { endless, type Method, methodWeights, streamed, type Told } from "./workload.ts";

const maxInFlight = 150;
const tickMs = 25;
const perTick = 4;

const kindWeights: { readonly [kind in Exclude<Kind, "halted" | "stream">]: number } = {
  disk: 60,
  memory: 10,
  keyed: 5,
  stopped: 5,
  call: 20,
};

const [endpoint = "", seed = "0"] = process.argv.slice(2);
const chance = new Seeded(Number(seed));
// An outage must not fail a call: what is to be shown is that it is answered after it.
const options = { connectTimeoutMs: 600_000, closeTimeoutMs: 0 };
const client = new Client(endpoint, options);
const later = new AsyncClient(endpoint, options);
const stopTask = (id: string): Promise<unknown> =>
  client.$call("zerotask.broker.client_task_stop", [id]).catch(() => undefined);

let serials = 0;
let inFlight = 0;
let isFinishing = false;

function tell(line: ReportLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function ask(): void {
  const method = chance.weighted(methodWeights);
  const kind = kindFor(method);
  const serial = ++serials;
  if (kind === "call") call(serial, method, chance.int(0, 1_000_000));
  else if (kind === "stream") stream(serial, method, chance.int(0, 1_000_000));
  else submit(serial, kind, kind === "keyed" ? "echo" : method);
}

function kindFor(method: Method): Kind {
  if (isAmong(streamed, method)) return "stream";
  if (isAmong(endless, method)) return "halted";
  if (method === "poison" || method === "block") return "disk";
  const kind = chance.weighted(kindWeights);
  return kind === "call" && method === "flaky" ? "disk" : kind;
}

function isAmong(some: readonly Method[], method: Method): boolean {
  return some.includes(method);
}

function call(serial: number, method: Method, n: number): void {
  tell({ event: "submit", serial, id: undefined, kind: "call", method, n });
  follow(serial, client.$call(method, paramsOf(method, n)));
}

function submit(serial: number, kind: Kind, method: Method): void {
  const n = chance.int(0, kind === "keyed" ? 2_000 : 1_000_000);
  const handle = later.$with(optionsOf(kind, method, n)).$call(method, paramsOf(method, n));
  tell({ event: "submit", serial, id: handle.id, kind, method, n });
  if (kind === "halted") inFlight++;
  followAcceptance(serial, handle, kind);
  follow(serial, handle.wait());
}

/** Items there and back: what is read, or what the handler has read. */
function stream(serial: number, method: Method, n: number): void {
  const [count, ms] = [chance.int(0, 3_000), chance.int(0, 50)];
  tell({ event: "submit", serial, id: undefined, kind: "stream", method, n });
  const window = { items: chance.int(1, 1_000) };
  follow(serial, method === "sum" ? sum(n, count, ms, window) : read(method, n, count, ms, window));
}

type Window = NonNullable<CallOptions["window"]>;

async function sum(n: number, count: number, ms: number, window: Window): Promise<unknown> {
  const result = await client.$with({ window }).$call("sum", [n, numbers(count, ms)]);
  const { items } = result as { items: number };
  return items === count ? result : { items, instead: count };
}

async function* numbers(count: number, ms: number): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) {
    if (i % 100 === 99) await pause(ms);
    yield i;
  }
}

/** Each item once, in order. */
async function read(method: Method, n: number, count: number, ms: number, window: Window): Promise<unknown> {
  let next = 0;
  for await (const item of client.$with({ window }).$stream.$call(method, [n, count, ms])) {
    if (item !== next) return { item, instead: next };
    next++;
  }
  return next === count ? { n, square: n * n, run: "read" } : { items: next, instead: count };
}

function optionsOf(kind: Kind, method: Method, n: number): CallOptions {
  return {
    ...(method === "flaky" && { retries: 1, backoff: { initialMs: 50, maxMs: 500 } }),
    ...(kind === "memory" && { durability: "memory" }),
    ...(kind === "keyed" && { idempotencyKey: `square-of-${n}` }),
  };
}

/** How long handlers take, in ms. */
const times: { readonly [method in Method]?: readonly [number, number] } = {
  slow: [20, 1_500],
  block: [1_500, 3_000],
  thread: [0, 100],
  process: [0, 100],
  watch: [2_000, 8_000],
  deaf: [1_000, 4_000],
};

function paramsOf(method: Method, n: number): number[] {
  const time = times[method];
  return time === undefined ? [n] : [n, chance.int(...time)];
}

function followAcceptance(serial: number, handle: TaskHandle, kind: Kind): void {
  handle.accepted.then(
    (level) => {
      tell({ event: "accept", serial, level });
      if (kind === "stopped") void stopTask(handle.id);
      else if (kind === "halted") void halt(serial, handle);
    },
    (error: Error) => {
      tell({ event: "refuse", serial, reason: `${error.name}: ${error.message}` });
      if (kind === "halted") settled();
    },
  );
}

/** Before it runs, while it does, or when it is over. */
async function halt(serial: number, handle: TaskHandle): Promise<void> {
  const options = { graceMs: chance.int(0, 300), force: chance.int(0, 3) === 0 };
  await pause(chance.int(0, 2_500));
  const how = await handle.stop(options).catch(({ name, message }: Error) => `${name}: ${message}`);
  tell({ event: "halt", serial, how });
  settled();
}

function follow(serial: number, outcome: Promise<unknown>): void {
  inFlight++;
  const end = (told: Told): void => {
    tell({ event: "settle", serial, told });
    settled();
  };
  outcome.then(
    (result) => end({ result }),
    ({ name, message }: Error) => end({ error: { name, message } }),
  );
}

function settled(): void {
  inFlight--;
  if (isFinishing && inFlight === 0) finish();
}

function finish(): void {
  tell({ event: "done" });
}

const timer = setInterval(() => {
  for (let i = 0; i < perTick && inFlight < maxInFlight; i++) ask();
}, tickMs);

createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (line !== "finish") return;
    clearInterval(timer);
    isFinishing = true;
    if (inFlight === 0) finish();
  })
  .on("close", () => process.exit(0));
