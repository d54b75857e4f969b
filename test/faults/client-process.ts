// A client that submits and calls without end, and tells what it is told. `node client-process.ts <endpoint> <seed>`;
// the line "finish" on stdin ends the asking, and the end of stdin the process.
import { createInterface } from "node:readline";
import { AsyncClient, type CallOptions, Client, type TaskHandle } from "zerotask-client";
import type { Kind, ReportLine } from "./report-lines.ts";
import { Seeded } from "./seeded.ts";
import { type Method, methodWeights, type Told } from "./workload.ts";

const maxInFlight = 150;
const tickMs = 25;
const perTick = 4;

const kindWeights: { readonly [kind in Kind]: number } = {
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
  const isOrdinary = method !== "poison" && method !== "block";
  const kind = isOrdinary ? chance.weighted(kindWeights) : "disk";
  const serial = ++serials;
  if (kind === "call" && method !== "flaky") call(serial, method, chance.int(0, 1_000_000));
  else submit(serial, kind === "call" ? "disk" : kind, kind === "keyed" ? "echo" : method);
}

function call(serial: number, method: Method, n: number): void {
  tell({ event: "submit", serial, id: undefined, kind: "call", method, n });
  follow(serial, client.$call(method, paramsOf(method, n)));
}

function submit(serial: number, kind: Kind, method: Method): void {
  const n = chance.int(0, kind === "keyed" ? 2_000 : 1_000_000);
  const handle = later.$with(optionsOf(kind, method, n)).$call(method, paramsOf(method, n));
  tell({ event: "submit", serial, id: handle.id, kind, method, n });
  followAcceptance(serial, handle, kind);
  follow(serial, handle.wait());
}

function optionsOf(kind: Kind, method: Method, n: number): CallOptions {
  return {
    ...(method === "flaky" && { retries: 1, backoff: { initialMs: 50, maxMs: 500 } }),
    ...(kind === "memory" && { durability: "memory" }),
    ...(kind === "keyed" && { idempotencyKey: `square-of-${n}` }),
  };
}

function paramsOf(method: Method, n: number): number[] {
  if (method === "slow") return [n, chance.int(20, 1_500)];
  return method === "block" ? [n, chance.int(1_500, 3_000)] : [n];
}

function followAcceptance(serial: number, handle: TaskHandle, kind: Kind): void {
  handle.accepted.then(
    (level) => {
      tell({ event: "accept", serial, level });
      if (kind === "stopped") void stopTask(handle.id);
    },
    (error: Error) => tell({ event: "refuse", serial, reason: `${error.name}: ${error.message}` }),
  );
}

function follow(serial: number, outcome: Promise<unknown>): void {
  inFlight++;
  const settled = (told: Told): void => {
    inFlight--;
    tell({ event: "settle", serial, told });
    if (isFinishing && inFlight === 0) finish();
  };
  outcome.then(
    (result) => settled({ result }),
    ({ name, message }: Error) => settled({ error: { name, message } }),
  );
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
