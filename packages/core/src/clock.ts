// Time as the shells see it: an argument to everything pure, and safe from jumps of the wall clock.
import { performance } from "node:perf_hooks";

export interface Clock {
  /** Milliseconds since the Unix epoch when the process began, counted on from there monotonically. */
  now(): number;
}

export const systemClock: Clock = { now: () => performance.timeOrigin + performance.now() };
