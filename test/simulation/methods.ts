// The methods that simulated nodes serve, each with what it promises of order and limits.
import { current, type Dispatcher, type HandlerOptions, RetryError } from "zerotask-core";
import type { History } from "./history.ts";
import type { SimulatedProcess, Simulator } from "./simulator.ts";

/** What there may be of a method at once, and within a time, as far as the broker knows. */
export interface Bounds {
  /** How many of it run at once. */
  readonly concurrency?: number;
  /** There is one, also of what nodes bring back late. */
  readonly isOne?: boolean;
  /** How many run at once of each group. */
  readonly perGroup?: number;
  /** How many run at once of each instance or batch, also of what nodes bring back late. */
  readonly perKey?: number;
  /** Begins within a time: of the method, or of each key. */
  readonly rate?: { readonly count: number; readonly perMs: number; readonly isPerKey: boolean };
  /** Those that are due begin in the order of their ranks. */
  readonly isOrdered?: boolean;
}

/** All but the old ones take `(n, ms, name, notBefore)`. */
export interface Method {
  readonly options: HandlerOptions;
  readonly bounds: Bounds;
}

/** By `name`: the group, the instance or the batch, as clients give it along. */
export const methods: { readonly [name: string]: Method } = {
  timed: { options: {}, bounds: {} },
  limited: { options: { concurrency: 2 }, bounds: { concurrency: 2, isOrdered: true } },
  grouped: {
    options: { concurrency: 4, perGroup: { concurrency: 1 } },
    bounds: { concurrency: 4, perGroup: 1 },
  },
  rated: {
    options: { rate: "4/s" },
    bounds: { rate: { count: 4, perMs: 1_000, isPerKey: false } },
  },
  paced: {
    options: { perGroup: { rate: "2/s" } },
    bounds: { rate: { count: 2, perMs: 1_000, isPerKey: true } },
  },
  batched: { options: {}, bounds: { perKey: 1 } },
  single: { options: { singleton: true }, bounds: { isOne: true } },
  inTurn: { options: { singleton: "queue" }, bounds: { isOne: true } },
  singleBy: {
    options: { singleton: (_n: number, _ms: number, name: string) => name },
    bounds: { perKey: 1 },
  },
  inTurnBy: {
    options: { singleton: { by: (_n: number, _ms: number, name: string) => name, mode: "queue" } },
    bounds: { perKey: 1 },
  },
  shared: { options: { coalesce: true }, bounds: { perKey: 1 } },
  tick: { options: {}, bounds: { perKey: 1 } },
  again: { options: {}, bounds: {} },
  restless: { options: {}, bounds: {} },
};

/** What a handler that is run gives back. */
export interface Ran {
  readonly double: number;
  readonly attempt?: number;
  /** When the run began: no other one has the same. */
  readonly began?: number;
}

export interface Host {
  readonly simulator: Simulator;
  readonly history: History;
  readonly process: SimulatedProcess;
  /** Ends the node's process. */
  kill(): void;
}

/** Calls in one run of the handler that takes many. */
const mostGathered = 4;
/** So long before its time a task may begin: clocks on the wire tell whole milliseconds. */
const toleranceMs = 1;

/** Has a dispatcher serve all of them. */
export function serve(dispatcher: Dispatcher, host: Host): void {
  const { process, simulator } = host;
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => void process.after(ms, resolve));
  /** A handler whose runs are looked at. */
  const seen =
    <Params extends unknown[], Result>(handler: (...params: Params) => Promise<Result>) =>
    async (...params: Params): Promise<Result> => {
      const { id, attempt } = current();
      const run = host.history.runs.begin(id, attempt, process, params);
      try {
        return await handler(...params);
      } finally {
        host.history.runs.end(run);
      }
    };
  const work = async (n: number, ms: number): Promise<Ran> => {
    const { attempt } = current();
    if (ms > 0) await sleep(ms);
    return { double: n * 2, attempt };
  };
  dispatcher.add("work", seen(work));
  const flaky = async (n: number, runs: number): Promise<Ran> => {
    const { attempt } = current();
    if (attempt < runs) throw new Error(`run ${attempt}`);
    return { double: n * 2, attempt };
  };
  dispatcher.add("flaky", seen(flaky));
  const poison = (): Promise<void> => {
    host.kill();
    return new Promise(() => undefined);
  };
  dispatcher.add("poison", seen(poison));
  dispatcher.add("items", async function* (count: number, ms: number) {
    for (let i = 0; i < count; i++) {
      if (ms > 0 && i % 50 === 49) await sleep(ms);
      yield i;
    }
  });
  dispatcher.add("passed", async function* (_count: number, ms: number, items: AsyncIterable<number>) {
    for await (const item of items) {
      if (ms > 0 && item % 50 === 49) await sleep(ms);
      yield item;
    }
  });
  const run = async (method: string, n: number, ms: number, notBefore = 0): Promise<Ran> => {
    const { attempt, id } = current();
    const began = simulator.elapsed;
    // What somebody begins once more begins at once.
    const isBegunAgain = ["start", "reload"].some((kind) =>
      host.history.interventions.isTouched(id, kind as "start" | "reload"),
    );
    if (began < notBefore - toleranceMs && !isBegunAgain) {
      host.history.fail(`${method} ${n} began at ${began}, but was due at ${notBefore}`);
    }
    if (method === "again" && attempt <= ms) throw new RetryError({ delay: 10 * ms });
    if (isTakingTurns(method) && n % 5 === 0 && attempt === 1) throw new RetryError({ delay: 50 });
    if (method === "restless") throw new RetryError({ delay: ms });
    if (ms > 0) await sleep(ms);
    const ran = { double: n * 2, began };
    // Those who take part in a shared run count attempts of their own.
    return method === "shared" ? ran : { ...ran, attempt };
  };
  for (const [name, { options }] of Object.entries(methods)) {
    dispatcher.add(
      name,
      seen((n: number, ms: number, _name: string, notBefore: number, _mark: number) =>
        run(name, n, ms, notBefore),
      ),
      options,
    );
  }
  const batch = { max: mostGathered, waitMs: 5 };
  dispatcher.add("gathered", (calls: readonly [number, number][]) => gathered(calls, host, sleep), { batch });
}

/** Those of which some runs ask for another one, and let others go first meanwhile. */
function isTakingTurns(method: string): boolean {
  return method === "inTurn" || method === "inTurnBy" || method === "single" || method === "limited";
}

/** Each caller gets a result or an error of its own. */
async function gathered(
  calls: readonly [number, number][],
  { history }: Host,
  sleep: (ms: number) => Promise<void>,
): Promise<(Ran | Error)[]> {
  if (calls.length > mostGathered) history.fail(`${calls.length} calls in a run of ${mostGathered}`);
  await sleep(Math.max(...calls.map(([, ms]) => ms)));
  return calls.map(([n]) => (hasOddThird(n) ? new Error(`${n}`) : { double: n * 2 }));
}

/** Which calls of the handler that takes many fail. */
export function hasOddThird(n: number): boolean {
  return n % 3 === 0 && n % 2 === 1;
}
