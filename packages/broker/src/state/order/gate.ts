// How many may run at once, and how many may begin within a time: for a method, or one of its groups.
import { type Deadline, Deque, type Limits, type Rate, rateOption } from "zerotask-core";
import type { Due } from "../due.ts";

/** Starts within this part of a rate's time are remembered as one. */
const slices = 64;

interface Slice {
  readonly from: number;
  last: number;
  count: number;
}

/** Limits, as they are kept. */
export interface GateLimits {
  readonly concurrency: number;
  readonly rate: Rate | undefined;
}

export const noLimits: GateLimits = { concurrency: Number.POSITIVE_INFINITY, rate: undefined };

export function gateLimits({ concurrency, rate }: Limits): GateLimits {
  return {
    concurrency: concurrency ?? Number.POSITIVE_INFINITY,
    rate: rate === undefined ? undefined : rateOption("rate", rate),
  };
}

export class Gate {
  running = 0;
  /** When it is to be looked at again. */
  deadline: Deadline<Due> | undefined = undefined;
  #concurrency: number;
  #rate: Rate | undefined;
  #starts: Deque<Slice> | undefined;
  #started = 0;

  constructor({ concurrency, rate }: GateLimits) {
    this.#concurrency = concurrency;
    this.#rate = rate;
  }

  setLimits({ concurrency, rate }: GateLimits): void {
    this.#concurrency = concurrency;
    this.#rate = rate;
    if (rate === undefined) this.#forget();
  }

  get isFull(): boolean {
    return this.running >= this.#concurrency;
  }

  /** When one more may begin: `now`, later, or at no known time where one that runs has to end first. */
  opensAt(now: number): number {
    if (this.isFull) return Number.POSITIVE_INFINITY;
    if (this.#rate === undefined || this.#started < this.#rate.count) return now;
    this.#expire(now);
    if (this.#started < this.#rate.count) return now;
    return (this.#starts?.peek()?.last ?? now) + this.#rate.perMs;
  }

  start(now: number): void {
    this.running++;
    if (this.#rate === undefined) return;
    this.#expire(now);
    this.#starts ??= new Deque();
    const last = this.#starts.last();
    if (last !== undefined && now - last.from < this.#rate.perMs / slices) {
      last.last = now;
      last.count++;
    } else this.#starts.push({ from: now, last: now, count: 1 });
    this.#started++;
  }

  /** One that runs was begun elsewhere, before. */
  adopt(): void {
    this.running++;
  }

  end(): void {
    this.running--;
  }

  /** Until when it has something to remember; Infinity while something runs. */
  rememberedUntil(now: number): number {
    if (this.running > 0) return Number.POSITIVE_INFINITY;
    this.#expire(now);
    return this.#started === 0 ? now : (this.#starts?.last()?.last ?? now) + (this.#rate?.perMs ?? 0);
  }

  /** No more than `count` within any `perMs`: a slice goes when the last of its starts is that old. */
  #expire(now: number): void {
    const perMs = this.#rate?.perMs ?? 0;
    for (let first = this.#starts?.peek(); first !== undefined; first = this.#starts?.peek()) {
      if (first.last + perMs > now) return;
      this.#started -= first.count;
      this.#starts?.shift();
    }
  }

  #forget(): void {
    this.#starts = undefined;
    this.#started = 0;
  }
}
