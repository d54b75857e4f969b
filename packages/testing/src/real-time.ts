// The time of this machine, for a cluster in one process: timers end with the process that they are of.
import type { Timer } from "zerotask-core";
import type { Timeline } from "./timeline.ts";
import type { Living } from "./virtual-time.ts";

export class RealTime implements Timeline {
  readonly random: () => number = Math.random;
  readonly #timers = new Map<Living | undefined, Set<Timer>>();
  readonly #begin = performance.now();

  get now(): number {
    return Date.now();
  }

  get elapsed(): number {
    return performance.now() - this.#begin;
  }

  after(ms: number, run: () => void, process?: Living): Timer {
    const timers = this.#timers.get(process) ?? new Set();
    this.#timers.set(process, timers);
    const fire = (): void => {
      timers.delete(timer);
      if (process?.isAlive !== false) run();
    };
    const cancel = ms <= 0 ? immediate(fire) : timeout(ms, fire);
    const timer = {
      cancel: () => {
        timers.delete(timer);
        cancel();
      },
    };
    timers.add(timer);
    return timer;
  }

  /** Nothing of this process happens any more. */
  forget(process: Living): void {
    for (const timer of this.#timers.get(process) ?? []) timer.cancel();
    this.#timers.delete(process);
  }

  /** Nothing happens any more. */
  end(): void {
    for (const timers of this.#timers.values()) for (const timer of timers) timer.cancel();
    this.#timers.clear();
  }
}

function immediate(fire: () => void): () => void {
  const handle = setImmediate(fire);
  return () => clearImmediate(handle);
}

function timeout(ms: number, fire: () => void): () => void {
  const handle = setTimeout(fire, ms);
  return () => clearTimeout(handle);
}
