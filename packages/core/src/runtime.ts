// What the shells take from the machine they run on: time, timers, chance and ids. A simulation puts its own here.
import { performance } from "node:perf_hooks";
import { randomId, randomToken } from "./ids.ts";

export interface Timer {
  cancel(): void;
}

export interface Runtime {
  /** Milliseconds since the Unix epoch when the process began, counted on from there: safe from jumps of the wall clock. */
  now(): number;
  /** What the clock on the wall says, in milliseconds since the Unix epoch. It may jump. */
  wall(): number;
  /** Calls `callback` once, in `ms` milliseconds. */
  after(ms: number, callback: () => void): Timer;
  /** From 0 to below 1. */
  random(): number;
  /** An id that nobody can guess, of 20 letters and digits. */
  id(): string;
  /** A secret of 128 bits. */
  token(): string;
}

const { timeOrigin } = performance;

export const systemRuntime: Runtime = {
  now: () => timeOrigin + performance.now(),
  wall: () => Date.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return { cancel: () => clearTimeout(timer) };
  },
  random: Math.random,
  id: randomId,
  token: randomToken,
};

/** Calls `callback` every `ms` milliseconds until it is cancelled. */
export function every(runtime: Runtime, ms: number, callback: () => void): Timer {
  let timer = runtime.after(ms, tick);
  function tick(): void {
    timer = runtime.after(ms, tick);
    callback();
  }
  return { cancel: () => timer.cancel() };
}
