// Virtual time: what happens next is the earliest event, whatever the wall clock says, and chance comes from a seed.
import { Deadlines, type Runtime, type Timer } from "zerotask-core";

interface Event {
  readonly run: () => void;
  /** Events of one moment happen in the order in which they were made. */
  readonly process: SimulatedProcess | undefined;
}

/** When the simulation begins. */
export const begin = 1_700_000_000_000;

export class Simulator {
  /** Milliseconds since the simulation began: small numbers, in which a billionth of one still counts. */
  #elapsed = 0;
  #ids = 0;
  readonly #events = new Deadlines<Event>();
  readonly random: () => number;

  constructor(seed: number) {
    this.random = mulberry32(seed);
  }

  get now(): number {
    return begin + this.#elapsed;
  }

  /** Milliseconds since the simulation began. */
  get elapsed(): number {
    return this.#elapsed;
  }

  /** A number from `from` to below `to`. */
  between(from: number, to: number): number {
    return from + this.random() * (to - from);
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.random() * items.length)] as T;
  }

  /** Runs `run` in `ms` milliseconds, if the process that it belongs to lives then. */
  after(ms: number, run: () => void, process?: SimulatedProcess): Timer {
    // Times are made unique, so that the heap keeps the order of what is due at once.
    const at = this.#elapsed + Math.max(0, ms) + ++this.#ids * 1e-9;
    const deadline = this.#events.add(at, { run, process });
    return { cancel: () => this.#events.delete(deadline) };
  }

  /** Lets the next event happen, and all promises that follow from it. @returns false when nothing is left to happen */
  async step(): Promise<boolean> {
    const { next } = this.#events;
    if (next === undefined) return false;
    this.#elapsed = Math.max(this.#elapsed, next);
    const event = this.#events.take(next);
    if (event !== undefined) this.#run(event);
    await new Promise(setImmediate);
    return true;
  }

  #run({ run, process }: Event): void {
    if (process === undefined) run();
    else if (!process.isAlive) return;
    else if (process.frozenUntil > this.#elapsed)
      this.after(process.frozenUntil - this.#elapsed, run, process);
    else run();
  }
}

/** A process: what it was about to do is gone when it is killed, and waits while it is frozen. */
export class SimulatedProcess implements Runtime {
  isAlive = true;
  /** Until then it does nothing: stopped, or busy. */
  frozenUntil = 0;
  readonly name: string;
  readonly #simulator: Simulator;
  #ids = 0;

  constructor(simulator: Simulator, name: string) {
    this.#simulator = simulator;
    this.name = name;
  }

  kill(): void {
    this.isAlive = false;
  }

  readonly now = (): number => this.#simulator.now;
  readonly wall = (): number => this.#simulator.now;
  readonly after = (ms: number, callback: () => void): Timer => this.#simulator.after(ms, callback, this);
  readonly random = (): number => this.#simulator.random();
  readonly id = (): string => `${this.name}.${++this.#ids}`;
  readonly token = (): string => `secret of ${this.name}`;
}

/** A small generator with good statistics (T. Ettinger, public domain). */
function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
