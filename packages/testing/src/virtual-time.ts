// Virtual time: what happens next is the earliest event, whatever the wall clock says, and chance comes from a seed.
import { type Deadline, Deadlines, type Timer } from "zerotask-core";
import type { Timeline } from "./timeline.ts";

/** What belongs to a process happens only while that lives, and waits while it is frozen. */
export interface Living {
  readonly isAlive: boolean;
  /** Until then, in milliseconds since the beginning, it does nothing. */
  readonly frozenUntil: number;
}

interface Event {
  readonly run: () => void;
  readonly process: Living | undefined;
}

/** What happens at one time, in the order in which it was made. */
interface Moment {
  readonly events: Set<Event>;
  readonly deadline: Deadline<number>;
}

/** When virtual time begins: 2023-11-14T22:13:20Z. */
export const begin = 1_700_000_000_000;

export class VirtualTime implements Timeline {
  /** Milliseconds since the beginning: small numbers, in which a fraction of one still counts. */
  #elapsed = 0;
  readonly #times = new Deadlines<number>();
  readonly #moments = new Map<number, Moment>();
  readonly random: () => number;
  /** Called when something is to happen at once. */
  onDue: (() => void) | undefined;

  constructor(seed: number) {
    this.random = mulberry32(seed);
  }

  get now(): number {
    return begin + this.#elapsed;
  }

  /** Milliseconds since the beginning. */
  get elapsed(): number {
    return this.#elapsed;
  }

  /** When the next event is due, in milliseconds since the beginning; `undefined` when there is none. */
  get next(): number | undefined {
    return this.#times.next;
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
  after(ms: number, run: () => void, process?: Living): Timer {
    const at = this.#elapsed + Math.max(0, ms);
    let moment = this.#moments.get(at);
    if (moment === undefined) {
      moment = { events: new Set(), deadline: this.#times.add(at, at) };
      this.#moments.set(at, moment);
    }
    const event = { run, process };
    moment.events.add(event);
    if (at <= this.#elapsed) this.onDue?.();
    return { cancel: () => this.#remove(at, event) };
  }

  /** Lets the next event happen, and all promises that follow from it. @returns false when nothing is left to happen */
  async step(): Promise<boolean> {
    if (!this.happen()) return false;
    await new Promise(genuineImmediate);
    return true;
  }

  /** Lets the next event happen. @returns false when nothing is left to happen */
  happen(): boolean {
    const { next } = this.#times;
    const moment = next === undefined ? undefined : this.#moments.get(next);
    if (next === undefined || moment === undefined) return false;
    this.#elapsed = Math.max(this.#elapsed, next);
    for (const event of moment.events) {
      this.#remove(next, event);
      this.#run(event);
      break;
    }
    return true;
  }

  /** Nothing is due until then: it is that time now. */
  pass(elapsed: number): void {
    this.#elapsed = Math.max(this.#elapsed, elapsed);
  }

  #remove(at: number, event: Event): void {
    const moment = this.#moments.get(at);
    if (moment === undefined || !moment.events.delete(event) || moment.events.size > 0) return;
    this.#moments.delete(at);
    this.#times.delete(moment.deadline);
  }

  #run({ run, process }: Event): void {
    if (process === undefined) run();
    else if (!process.isAlive) return;
    else if (process.frozenUntil > this.#elapsed)
      this.after(process.frozenUntil - this.#elapsed, run, process);
    else run();
  }
}

// Also where a test has put its own clock in place of the timers.
const genuineImmediate = setImmediate;

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
