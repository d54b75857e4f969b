// What clients ask for with a time, an order or a limit, and what may come of it.
import type { AsyncClient, CallOptions, Client, TaskHandle } from "zerotask-client";
import { hasOddThird } from "./methods.ts";
import type { Simulator } from "./simulator.ts";

export interface Clients {
  readonly calls: Client;
  readonly submits: AsyncClient;
}

/** One call or submission. */
export interface Order {
  readonly asked: TaskHandle | Promise<unknown>;
  /** The number that is doubled. */
  readonly by: number;
  /** Names of errors that it may end with, beside those that anything may. */
  readonly errors?: readonly string[];
  /** Whether the run that gave its outcome must have begun after it was asked for, or only have been heard of. */
  readonly after?: "began" | "heard of" | undefined;
}

export const orderKinds = [
  ...(["delayed", "delayed", "batch", "batch", "single", "inTurn", "singleBy", "inTurnBy"] as const),
  ...(["shared", "limited", "grouped", "rated", "paced", "gathered", "again", "restless"] as const),
];
export type OrderKind = (typeof orderKinds)[number];

const delays = [0, 10, 50, 300, 1_000, 5_000];
const shortRuns = [0, 0, 1, 15, 200];
/** Some outlast the broker that assigned them. */
const longRuns = [...shortRuns, 200, 2_500];
const batchRuns = [0, 50, 300, 2_500];
const names = ["a", "b", "c"];
const priorities = [-2, 0, 0, 0, 1, 3];
const stopped = "TaskStoppedError";

/** Asks for one thing, or for some of its kind at once. */
export class Orders {
  readonly #simulator: Simulator;
  readonly #hasBursts: boolean;

  constructor(simulator: Simulator) {
    this.#simulator = simulator;
    this.#hasBursts = simulator.chance(0.5);
  }

  /** @param next gives numbers that nothing else has */
  make(kind: OrderKind, clients: Clients, next: () => number): Order[] {
    const most = this.#hasBursts && kind !== "delayed" ? 4 : 1;
    const count = Math.floor(this.#simulator.between(1, most + 1));
    return Array.from({ length: count }, () => this.#make(kind, clients, next()));
  }

  #make(kind: OrderKind, clients: Clients, n: number): Order {
    const simulator = this.#simulator;
    const name = simulator.pick(names);
    const ms = simulator.pick(kind === "rated" || kind === "paced" ? shortRuns : longRuns);
    const priority = simulator.pick(priorities);
    const { calls, submits } = clients;
    /** Calls and submissions alike. */
    const either = (options: CallOptions = {}): AsyncClient =>
      simulator.chance(0.3)
        ? (calls.$with(options) as unknown as AsyncClient)
        : submits.$with({ ...options, durability: simulator.chance(0.2) ? "memory" : "disk" });
    switch (kind) {
      case "delayed":
        return this.#delayed(submits, n, priority);
      case "batch":
        return this.#batch(clients, priority);
      case "single":
      case "singleBy":
        return { asked: submits[kind](n, ms, name), by: n, errors: [stopped] };
      case "inTurn":
      case "inTurnBy":
        return { asked: either({ priority })[kind](n, ms, name), by: n };
      case "shared":
        return this.#shared(either({ priority }), calls);
      case "limited":
        return { asked: submits.$with({ priority }).limited(n, ms, name), by: n };
      case "grouped":
      case "paced":
        return { asked: either({ priority, group: name })[kind](n, ms, name), by: n };
      case "rated":
        return { asked: either().rated(n, ms, name), by: n };
      case "gathered":
        return { asked: either().gathered(n, ms), by: n, errors: hasOddThird(n) ? ["TaskFailedError"] : [] };
      case "again":
        return { asked: either({ retries: 0 }).again(n, simulator.pick([1, 2, 3])), by: n };
      case "restless":
        return {
          asked: either({ maxRetries: 3, retries: 1 }).restless(n, simulator.pick([0, 20, 200])),
          by: n,
          errors: ["TaskFailedError"],
        };
    }
  }

  /** In some milliseconds, or at a time by the clock. */
  #delayed(submits: AsyncClient, n: number, priority: number): Order {
    const simulator = this.#simulator;
    const delay = simulator.pick(delays);
    const due = simulator.now + delay;
    const at = simulator.chance(0.5) ? delay : new Date(due);
    const isImpatient = simulator.chance(0.2);
    const options: CallOptions = {
      ...{ at, priority, retries: simulator.pick([0, 2]) },
      ...(isImpatient && { expiresMs: delay + simulator.pick([1, 500, 4_000]) }),
      ...(simulator.chance(0.3) && { group: simulator.pick(names) }),
      ...(simulator.chance(0.2) && { durability: "memory" }),
    };
    const asked = submits.$with(options).timed(n, simulator.pick(shortRuns), "", simulator.elapsed + delay);
    return { asked, by: n, errors: isImpatient ? ["TaskExpiredError"] : [] };
  }

  /** The params of each batch are its own; some are named, and some are known by their params. */
  #batch({ calls, submits }: Clients, priority: number): Order {
    const simulator = this.#simulator;
    const number = simulator.pick([1, 2, 3, 4]);
    const name = `batch ${number}`;
    const options: CallOptions = { batch: number > 1 ? name : true, priority, at: simulator.pick(delays) };
    const params = [number, batchRuns[number - 1], name] as const;
    const isCall = simulator.chance(0.3);
    const asked = (isCall ? calls : submits).$with(options).batched(...params);
    // What is waited for by asking hears of a disk that is full.
    return { asked, by: number, after: "began", errors: ["StoreFailedError"] };
  }

  /** Some are given up while others take part in the same run. */
  #shared(either: AsyncClient, calls: Client): Order {
    const simulator = this.#simulator;
    const number = simulator.pick([1, 2]);
    const asked = either.shared(number, number * 200, `run ${number}`) as TaskHandle | Promise<unknown>;
    if ("id" in asked && simulator.chance(0.3)) {
      simulator.after(simulator.between(0, 100), () => {
        calls.$call("zerotask.broker.client_task_stop", [asked.id]).catch(() => undefined);
      });
      return { asked, by: number, after: "heard of", errors: [stopped] };
    }
    return { asked, by: number, after: "heard of" };
  }
}
