// What clients ask for in a simulation, and what may come of it.
import type { AsyncClient, Client, TaskHandle } from "zerotask-client";
import type { History } from "./history.ts";
import type { SimulatedProcess, Simulator } from "./simulator.ts";

export interface ClientPart {
  readonly process: SimulatedProcess;
  readonly calls: Client;
  readonly submits: AsyncClient;
}

const kinds = [
  ...(["call", "call", "disk", "disk", "disk"] as const),
  ...(["memory", "ignored", "flaky", "late", "key", "stop"] as const),
];
type Kind = (typeof kinds)[number];

const keyCount = 5;
const runTimes = [0, 0, 0, 1, 15, 200, 3_000];

export class Workload {
  /** How much was asked for. */
  count = 0;
  readonly outcomes: { [name: string]: number } = {};
  readonly #simulator: Simulator;
  readonly #history: History;
  /** Poison kills the node that runs it. */
  readonly #hasPoison: boolean;
  /** Handles and calls of clients that live, which must come to an end. */
  readonly #open = new Map<string, SimulatedProcess>();
  /** Those that the broker said it has. */
  readonly #accepted = new Set<string>();

  constructor(simulator: Simulator, history: History, hasPoison: boolean) {
    this.#simulator = simulator;
    this.#history = history;
    this.#hasPoison = hasPoison;
  }

  /** What has come to no end yet. */
  get open(): string[] {
    return [...this.#open.keys()];
  }

  /** Nobody waits for what this client asked for. */
  forget(client: SimulatedProcess): void {
    for (const [what, process] of this.#open) if (process === client) this.#open.delete(what);
  }

  /** A client asks for something. */
  work({ process, calls, submits }: ClientPart): void {
    const simulator = this.#simulator;
    const kind = simulator.pick(kinds);
    const n = ++this.count;
    const ms = simulator.pick(runTimes);
    const whenBusy = simulator.pick(["fail", "wait"] as const);
    const ask = (answer: Promise<unknown>, by = n): void => this.#await(process, kind, n, answer, by);
    const watch = (handle: TaskHandle, by = n): void => {
      handle.accepted.then(
        () => this.#accepted.add(`${kind} ${n}`),
        () => undefined,
      );
      ask(handle.wait(), by);
    };
    switch (kind) {
      case "call":
        ask(calls.$with({ whenBusy }).work(n, ms));
        break;
      case "memory":
        watch(submits.$with({ durability: "memory", whenBusy }).work(n, ms));
        break;
      case "disk":
        if (this.#hasPoison && simulator.chance(0.05)) watch(submits.poison());
        else watch(submits.$with({ whenBusy }).work(n, ms));
        break;
      case "ignored":
        submits.$ignore.work(n, ms);
        break;
      case "flaky":
        watch(submits.$with({ retries: 5, backoff: { initialMs: 20 } }).flaky(n, simulator.pick([1, 2, 3])));
        break;
      case "late":
        watch(this.#late(submits, n));
        break;
      case "key": {
        const key = { idempotencyKey: `k${n % keyCount}` };
        if (simulator.chance(0.5)) watch(submits.$with(key).work(n % keyCount, 5), n % keyCount);
        else ask(calls.$with(key).work(n % keyCount, 5), n % keyCount);
        break;
      }
      case "stop": {
        const handle = submits.work(n, ms);
        watch(handle);
        const stop = calls.$call("zerotask.broker.client_task_stop", [handle.id]);
        stop.catch(() => undefined);
        break;
      }
    }
  }

  /** Some end just when their time does. */
  #late(submits: AsyncClient, n: number): TaskHandle {
    const options = { timeoutMs: 100, expiresMs: 4_000, retries: 2, backoff: { initialMs: 1 } };
    return submits.$with(options).work(n, this.#simulator.pick([0, 90, 96, 99, 102, 200, 3_000]));
  }

  #await(process: SimulatedProcess, kind: Kind, n: number, answer: Promise<unknown>, by: number): void {
    const what = `${kind} ${n}`;
    this.#open.set(what, process);
    const end = (outcome: string): void => {
      this.#open.delete(what);
      this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + 1;
    };
    answer.then(
      (result) => {
        end("result");
        const { double } = result as { double: number };
        if (double !== by * 2) this.#history.fail(`${what} gave ${double}`);
      },
      ({ name, message }: Error) => {
        end(name);
        const isAccepted = this.#accepted.has(what);
        if (mayEndWith(kind, isAccepted, name)) return;
        const when = isAccepted ? ", which was accepted," : "";
        this.#history.fail(`${what}${when} failed: ${name}: ${message}`);
      },
    );
  }
}

/** Before a broker has taken something, it may refuse it, or not be there. */
const refusals = ["BrokerUnavailableError", "BusyError", "StoreFailedError"];

/** What may come of a task where so much goes wrong. */
function mayEndWith(kind: Kind, isAccepted: boolean, error: string): boolean {
  if (error === "NodeLostError") return true;
  if (kind === "late" && error === "TaskExpiredError") return true;
  if (kind === "stop" && error === "TaskStoppedError") return true;
  if (kind === "call" && error === "MethodNotFoundError") return true;
  // What has a key is waited for by asking, and a broker whose disk is full says so.
  if (kind === "key" && error === "StoreFailedError") return true;
  return !isAccepted && refusals.includes(error);
}
