// What clients ask for in a simulation, and what may come of it.
import type { AsyncClient, Client, TaskHandle } from "zerotask-client";
import type { History } from "./history.ts";
import { deepest, manners } from "./long-runs.ts";
import type { Meddling } from "./meddling.ts";
import type { Ran } from "./methods.ts";
import { type Order, type OrderKind, Orders, orderKinds } from "./orders.ts";
import { begin, type SimulatedProcess, type Simulator } from "./simulator.ts";

export interface ClientPart {
  readonly process: SimulatedProcess;
  readonly calls: Client;
  readonly submits: AsyncClient;
}

const kinds = [
  ...(["call", "call", "disk", "disk", "disk"] as const),
  ...(["memory", "ignored", "flaky", "late", "key", "stop", "stream"] as const),
  ...(["obeying", "obeying", "obeying", "nest"] as const),
];
type Kind = (typeof kinds)[number];

/** Which part of all asks for nothing in particular of time and order. */
const plainPart = 0.5;

/** Which part of all is done to what was asked for before. */
const meddlingPart = 0.15;

const keyCount = 5;
const runTimes = [0, 0, 0, 1, 15, 200, 3_000];

export class Workload {
  /** How much was asked for. */
  count = 0;
  readonly outcomes: { [name: string]: number } = {};
  readonly #simulator: Simulator;
  readonly #history: History;
  readonly #meddling: Meddling;
  /** Poison kills the node that runs it. */
  readonly #hasPoison: boolean;
  readonly #orders: Orders;
  /** Handles and calls of clients that live, which must come to an end. */
  readonly #open = new Map<string, SimulatedProcess>();
  /** Those that the broker said it has. */
  readonly #accepted = new Set<string>();

  constructor(simulator: Simulator, history: History, meddling: Meddling, hasPoison: boolean) {
    this.#simulator = simulator;
    this.#history = history;
    this.#meddling = meddling;
    this.#hasPoison = hasPoison;
    this.#orders = new Orders(simulator);
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
  work(client: ClientPart): void {
    const simulator = this.#simulator;
    if (simulator.chance(meddlingPart)) this.#meddle(client);
    else if (simulator.chance(plainPart)) this.#ask(client, simulator.pick(kinds));
    else this.#order(client, simulator.pick(orderKinds));
  }

  /** Something is to become of what was asked for before; what begins again comes to an end once more. */
  #meddle({ process, submits }: ClientPart, handle?: TaskHandle): void {
    const watch = (what: string, answer: Promise<unknown>, again?: TaskHandle): void => {
      this.#open.set(what, process);
      void answer.then(() => {
        this.#open.delete(what);
        if (again !== undefined && process.isAlive) this.#await(process, `${what}, begun again,`, again);
      });
    };
    this.#meddling.meddle(process, submits, watch, handle);
  }

  /** While it runs, or just before. */
  #meddleSoon(client: ClientPart, handle: TaskHandle): void {
    const simulator = this.#simulator;
    simulator.after(simulator.between(0, 600), () => this.#meddle(client, handle), client.process);
  }

  /** Something whose time or order matters. */
  #order(client: ClientPart, kind: OrderKind): void {
    const simulator = this.#simulator;
    const orders = this.#orders.make(kind, client, () => ++this.count);
    for (const [index, { asked, by, after, errors }] of orders.entries()) {
      const what = `${kind} ${this.count - orders.length + index + 1}`;
      const isHandle = "accepted" in asked;
      if (isHandle) {
        this.#noteAccepted(what, asked);
        this.#meddling.onSubmitted(client.submits, asked, kind);
        if (simulator.chance(kind === "shared" ? 0.4 : 0.05)) this.#meddleSoon(client, asked);
      }
      this.#await(client.process, what, asked, {
        by,
        after,
        errors: [...(errors ?? []), ...(isHandle ? [] : callErrors)],
      });
    }
  }

  #ask(client: ClientPart, kind: Kind): void {
    const { process, calls, submits: plain } = client;
    const simulator = this.#simulator;
    const n = ++this.count;
    const submits = simulator.chance(0.3) ? plain.$with({ priority: simulator.pick([-1, 1, 5]) }) : plain;
    const ms = simulator.pick(runTimes);
    const whenBusy = simulator.pick(["fail", "wait"] as const);
    const what = `${kind} ${n}`;
    const ask = (answer: TaskHandle | Promise<unknown>, by = n): void =>
      this.#await(process, what, answer, { by, errors: errorsOf[kind] ?? [] });
    const watch = (handle: TaskHandle, by = n): void => {
      this.#noteAccepted(what, handle);
      this.#meddling.onSubmitted(plain, handle, kind);
      ask(handle, by);
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
      case "stream":
        ask(this.#read(calls, process, what));
        break;
      case "stop": {
        const handle = submits.work(n, ms);
        watch(handle);
        const asked = this.#history.interventions.ask("stop", handle.id);
        calls.$call("zerotask.broker.client_task_stop", [handle.id]).then(
          () => this.#history.interventions.onDone(asked),
          () => undefined,
        );
        break;
      }
      case "obeying": {
        const times = { timeoutMs: simulator.pick([100, 1_000]), retries: 2, backoff: { initialMs: 10 } };
        const later = simulator.chance(0.3) ? submits.$with(times) : submits;
        const handle = later.obeying(n, simulator.pick([20, 400, 2_000, 5_000]), simulator.pick(manners));
        watch(handle);
        if (simulator.chance(0.5)) this.#meddleSoon(client, handle);
        break;
      }
      case "nest": {
        const depth = Math.floor(simulator.between(1, deepest + 1));
        const times = { timeoutMs: simulator.pick([50, 500, 5_000]), retries: simulator.pick([0, 1]) };
        const asking = simulator.chance(0.5) ? submits.$with(times) : submits;
        watch(asking.nest(n, depth, simulator.pick([0, 5, 60]), null));
        break;
      }
    }
  }

  /** Every item comes once, in order, until the stream ends or is lost. */
  async #read(calls: Client, process: SimulatedProcess, what: string): Promise<Ran> {
    const simulator = this.#simulator;
    const n = this.count;
    const count = simulator.pick([0, 1, 100, 700]);
    const ms = simulator.pick([0, 1, 50, 400]);
    const leaveAt = simulator.chance(0.2) ? Math.floor(count / 2) : Number.POSITIVE_INFINITY;
    const pauseAt = simulator.pick([1, 50, 600]);
    const { $stream } = calls.$with({ window: { items: simulator.pick([1, 10, 100, 1_000]) } });
    const stream = simulator.chance(0.5)
      ? $stream.passed(count, ms, numbers(count))
      : $stream.items(count, ms);
    let next = 0;
    for await (const item of stream) {
      if (item !== next) this.#history.fail(`${what} gave ${item} instead of ${next}`);
      if (next++ === leaveAt) return { double: n * 2 };
      if (next === pauseAt) await new Promise((resolve) => void process.after(500, () => resolve(undefined)));
    }
    if (next !== count) this.#history.fail(`${what} ended after ${next} of ${count} items`);
    return { double: n * 2 };
  }

  /** Some end just when their time does. */
  #late(submits: AsyncClient, n: number): TaskHandle {
    const options = { timeoutMs: 100, expiresMs: 4_000, retries: 2, backoff: { initialMs: 1 } };
    return submits.$with(options).work(n, this.#simulator.pick([0, 90, 96, 99, 102, 200, 3_000]));
  }

  #noteAccepted(what: string, { accepted }: TaskHandle): void {
    accepted.then(
      () => this.#accepted.add(what),
      () => undefined,
    );
  }

  #mayBeStopped(what: string, handle: TaskHandle | undefined): boolean {
    if (shared.some((kind) => what.startsWith(kind))) return true;
    return handle !== undefined && this.#history.interventions.isTouched(handle.id);
  }

  /** Nobody gets the outcome of a run that was over, or had even begun, before it was asked for. */
  #checkTime(what: string, { began = 0 }: Ran, after: "began" | "heard of", asked: number): void {
    const time = after === "began" ? began : this.#history.heardOf(began) - begin;
    // A time since the epoch is rounded.
    if (time < asked - 0.01)
      this.#history.fail(`${what}, asked for at ${asked}, is of a run ${after} at ${time}`);
  }

  #await(
    process: SimulatedProcess,
    what: string,
    asked: TaskHandle | Promise<unknown>,
    expected?: Expected,
  ): void {
    const { by, after, errors = [] } = expected ?? {};
    const handle = "accepted" in asked ? asked : undefined;
    const answer = "accepted" in asked ? asked.wait() : asked;
    const askedAt = this.#simulator.elapsed;
    this.#open.set(what, process);
    const end = (outcome: string): void => {
      this.#open.delete(what);
      this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + 1;
    };
    answer.then(
      (result) => {
        end("result");
        const ran = result as Ran;
        if (by !== undefined && ran.double !== by * 2) this.#history.fail(`${what} gave ${ran.double}`);
        if (after !== undefined) this.#checkTime(what, ran, after, askedAt);
      },
      ({ name, message }: Error) => {
        end(name);
        const isAccepted = this.#accepted.has(what);
        if (expected === undefined || name === "NodeLostError" || errors.includes(name)) return;
        // A failure that was on its way when somebody wanted the task to be stopped is its last.
        const isStop =
          name === "TaskStoppedError" || (name === "TaskFailedError" && what.startsWith("flaky"));
        if (isStop && this.#mayBeStopped(what, handle)) return;
        if (!isAccepted && refusals.includes(name)) return;
        const when = isAccepted ? ", which was accepted," : "";
        this.#history.fail(`${what}${when} failed: ${name}: ${message}`);
      },
    );
  }
}

async function* numbers(count: number): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) yield i;
}
/** What is known by other things than its client's own id. */
const shared = ["key", "batch"];

/** What may come of something that was asked for. */
interface Expected extends Pick<Order, "by" | "after"> {
  readonly errors: readonly string[];
}

/** Before a broker has taken something, it may refuse it, or not be there. */
const refusals = ["BrokerUnavailableError", "BusyError", "StoreFailedError"];

/** A call waits for a node for a while only. */
const callErrors = ["MethodNotFoundError"];

/** What else may come of a task where so much goes wrong. */
const errorsOf: { readonly [K in Kind]?: readonly string[] } = {
  call: callErrors,
  late: ["TaskExpiredError"],
  stop: ["TaskStoppedError"],
  stream: [...callErrors, "StreamLostError"],
  // A run that ignores its signal is not run again, and one that calls others fails with them.
  obeying: ["TaskExpiredError", "TaskFailedError"],
  nest: ["TaskExpiredError", "TaskFailedError"],
  // What has a key is waited for by asking, and a broker whose disk is full says so.
  key: ["StoreFailedError"],
};
