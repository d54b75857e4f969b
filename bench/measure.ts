// How latency and rate are measured: warm up, then take samples for a while.
import { performance } from "node:perf_hooks";

export interface Latency {
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

// A few thousand calls, until all that one passes through has been optimised by the JIT compiler.
const warmUpMs = 3_000;
const measureMs = 3_000;

/** One at a time. */
export async function measureLatency(call: () => Promise<unknown>): Promise<Latency> {
  for (const end = performance.now() + warmUpMs; performance.now() < end; ) await call();
  const samples: number[] = [];
  for (const end = performance.now() + measureMs; performance.now() < end; ) {
    const begin = performance.now();
    await call();
    samples.push(performance.now() - begin);
  }
  return percentiles(samples);
}

export function percentiles(samples: readonly number[]): Latency {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

/** Calls per second with `inFlight` of them unanswered at any time. */
export async function measureRate(
  call: () => Promise<unknown>,
  inFlight: number,
  forMs: number = measureMs,
): Promise<number> {
  const begin = performance.now() + warmUpMs;
  const end = begin + forMs;
  let counted = 0;
  let first = 0;
  let last = 0;
  const lane = async (): Promise<void> => {
    for (;;) {
      await call();
      const now = performance.now();
      if (now >= end) return;
      if (now < begin) continue;
      if (counted === 0) first = now;
      counted++;
      last = now;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return (counted / (last - first)) * 1_000;
}
