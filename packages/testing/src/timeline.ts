// The seam under networks and processes in one process: whose time it is.
import type { Runtime, Timer } from "zerotask-core";
import type { Living } from "./virtual-time.ts";

export interface Timeline {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Milliseconds since the beginning. */
  readonly elapsed: number;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Runs `run` in `ms` milliseconds, if the process that it belongs to lives then. */
  after(ms: number, run: () => void, process?: Living): Timer;
}

/** A process: what it was about to do is gone when it is killed, and waits while it is frozen. */
export class SimulatedProcess implements Runtime, Living {
  isAlive = true;
  /** Until then it does nothing: stopped, or busy. */
  frozenUntil = 0;
  readonly name: string;
  readonly #timeline: Timeline;
  #ids = 0;

  constructor(timeline: Timeline, name: string) {
    this.#timeline = timeline;
    this.name = name;
  }

  kill(): void {
    this.isAlive = false;
  }

  readonly now = (): number => this.#timeline.now;
  readonly wall = (): number => this.#timeline.now;
  readonly after = (ms: number, callback: () => void): Timer => this.#timeline.after(ms, callback, this);
  readonly random = (): number => this.#timeline.random();
  readonly id = (): string => `${this.name}.${++this.#ids}`;
  readonly token = (): string => `secret of ${this.name}`;
}
