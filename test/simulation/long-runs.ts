// Handlers that take their time: that hear of their end or don't, that call others, and that nodes run for themselves.
import { type Dispatcher, TaskError } from "zerotask-core";
import { current } from "zerotask-node";
import type { Host, Ran } from "./methods.ts";
import type { SimulatedProcess, Simulator } from "./simulator.ts";

/** What a handler does when its signal fires. */
export const manners = ["prompt", "slow", "result", "deaf", "hung"] as const;
export type Manner = (typeof manners)[number];

/** Deeper, no call is nested. */
export const deepest = 4;
/** What a run of a task that a node runs for itself takes at most, and the wait before the next one. */
const longestLocalMs = 6_000;
const localBackoff = { initialMs: 50, maxMs: 1_000 };
/** Clocks on the wire tell whole milliseconds. */
const toleranceMs = 2;

interface Nested {
  nest(n: number, depth: number, ms: number, leftMs: number | null): Promise<Ran>;
}

/** Runs that never end by themselves, until all is calm. */
export class Hung {
  readonly #ends = new Map<() => void, SimulatedProcess>();
  #isCalm = false;

  wait(process: SimulatedProcess): Promise<void> {
    if (this.#isCalm) return Promise.resolve();
    return new Promise((resolve) => {
      this.#ends.set(() => void process.after(0, resolve), process);
    });
  }

  /** From now on nothing hangs: those that do end, or their nodes do. */
  calm(simulator: Simulator, kill: (node: SimulatedProcess) => void): void {
    this.#isCalm = true;
    for (const [end, process] of this.#ends) {
      if (!process.isAlive) continue;
      if (simulator.chance(0.5)) kill(process);
      else end();
    }
    this.#ends.clear();
  }
}

/** What nodes run for themselves, one task each. */
export class Locals {
  readonly #tasks = new Map<SimulatedProcess, { isLive: boolean; isOver: boolean; id: string }>();

  add(node: SimulatedProcess): void {
    this.#tasks.set(node, { isLive: false, isOver: false, id: "" });
  }

  of(node: SimulatedProcess): { isLive: boolean; isOver: boolean; id: string } {
    const task = this.#tasks.get(node);
    if (task === undefined) throw new Error(`${node.name} runs nothing for itself`);
    return task;
  }

  /** Nodes whose own task neither runs nor has ended as it should. */
  missing(nodes: readonly SimulatedProcess[], isStopped: (id: string) => boolean): string[] {
    return nodes.flatMap((node) => {
      const { isLive, isOver, id } = this.of(node);
      return isLive || isOver || isStopped(id) ? [] : [`${node.name}: ${id}`];
    });
  }
}

export interface LongHost extends Host {
  readonly hung: Hung;
  readonly locals: Locals;
  /** A task of the node's own runs for the first time. */
  onLocal(id: string): void;
}

export function serveLong(dispatcher: Dispatcher, host: LongHost): void {
  const { process, simulator, history } = host;
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => void process.after(ms, resolve));
  const observed = async (params: readonly unknown[], run: () => Promise<Ran>): Promise<Ran> => {
    const { id, attempt } = current();
    const seen = history.runs.begin(id, attempt, process, params);
    try {
      return await run();
    } finally {
      history.runs.end(seen);
    }
  };
  dispatcher.add("obeying", (...params) =>
    observed(params, async () => {
      const [n, ms, manner] = params as [number, number, Manner];
      const { attempt, signal } = current();
      const ran = { double: n * 2, attempt };
      if (manner === "deaf") await sleep(ms);
      else if (manner === "hung") await host.hung.wait(process);
      else await Promise.race([sleep(ms), fired(signal)]);
      if (!signal.aborted || manner === "deaf" || manner === "hung") return ran;
      if (manner !== "prompt") await sleep(simulator.between(5, 400));
      if (manner === "result") return ran;
      throw new TaskError("aborted");
    }),
  );
  dispatcher.add("nest", (...params) =>
    observed(params, async () => {
      const [n, depth, ms, calledWith] = params as [number, number, number, number | null];
      const { attempt, client, deadline } = current<Nested>();
      const leftMs = (): number | null => (deadline === undefined ? null : deadline - process.wall());
      const left = leftMs();
      if (typeof calledWith === "number" && (left === null || left > Math.max(1, calledWith) + toleranceMs))
        history.fail(`a nested call has ${left} ms, and its caller had ${calledWith} ms left`);
      if (ms > 0) await sleep(ms);
      if (depth > 0) {
        const calls = Array.from({ length: simulator.chance(0.3) ? 2 : 1 }, (_, i) =>
          client.nest(n + i, depth - 1, ms, leftMs()),
        );
        const [first] = await Promise.all(calls);
        if (first?.double !== n * 2) history.fail(`a nested call of ${n} gave ${first?.double}`);
      }
      return { double: n * 2, attempt };
    }),
  );
  dispatcher.add("local", (name: string) => local(name, host, sleep), { backoff: localBackoff });
}

async function local(
  name: string,
  { history, locals, onLocal, process, simulator }: LongHost,
  sleep: (ms: number) => Promise<void>,
): Promise<string> {
  const { id, attempt, signal } = current();
  const task = locals.of(process);
  if (name !== process.name) history.fail(`${process.name} runs what is for ${name} alone`);
  const seen = history.runs.begin(id, attempt, process, [name]);
  if (task.id !== id) onLocal(id);
  Object.assign(task, { id, isLive: true, isOver: false });
  try {
    await Promise.race([sleep(simulator.between(0, longestLocalMs)), fired(signal)]);
    if (signal.aborted) await sleep(simulator.pick([0, 0, 100]));
    else if (simulator.chance(0.9)) throw new Error("a local task fails");
    task.isOver = !signal.aborted;
    return "over";
  } finally {
    task.isLive = false;
    history.runs.end(seen);
  }
}

function fired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
