// Which worker of a pool gets what comes next, and when there are too few.
import type { Unit, WorkerSlot } from "./worker-slot.ts";

export interface PoolStateOptions {
  /** Workers that run tasks at once. */
  readonly size: number;
  /** How many more there may be while tasks wait for tasks that they called. */
  readonly maxMore: number;
}

type Workers<U extends Unit> = ReadonlyMap<number, WorkerSlot<U>>;

/** A worker is given no more ahead than it should have done after this time, so that nothing waits long behind a long task. */
export const aheadMs = 5;
/** Nor is another worker woken for what one at work should have done by then: many small messages cost more than few. */
export const wakeMs = 0.5;
/** However short they are. */
const maxAhead = 1_000;
/** What waits for a worker that takes longer to start is run beside what waits for it. */
export const startMs = 1_000;

/**
 * One that will be done with what it has before an idle one could be woken; or an idle one, while fewer run something than
 * should at once; or, for what should be short, the one that will soonest be done.
 */
export function workerFor<U extends Unit>(
  workers: Workers<U>,
  options: PoolStateOptions,
  expectedMs: number,
  now: number,
): WorkerSlot<U> | undefined {
  let best: WorkerSlot<U> | undefined;
  let idle: WorkerSlot<U> | undefined;
  let busy = 0;
  for (const worker of workers.values()) {
    if (worker.isIdle) idle ??= worker;
    else if (worker.given.size > worker.waiting && !worker.isGivenUp) busy++;
    const isOpen = worker.mayBegin && worker.waiting === 0 && worker.given.size < maxAhead;
    if (!isOpen || worker.isIdle || worker.aheadMs + expectedMs > aheadMs) continue;
    if (best === undefined || worker.aheadMs < best.aheadMs) best = worker;
  }
  if (best !== undefined && best.aheadMs + expectedMs <= wakeMs) return best;
  if (idle !== undefined && busy < options.size) return idle;
  if (best !== undefined || !isShortOfWorkers(workers, options, now - startMs)) return best;
  if (isOneComing(workers, options, now)) return undefined;
  // As a last resort: what waits may wait for this very task.
  for (const worker of workers.values()) if (worker.mayRunBeside) return worker;
  return undefined;
}

/** Not counting workers that were starting before this time, and still are. */
export function isShortOfWorkers(workers: Workers<Unit>, { size }: PoolStateOptions, since: number): boolean {
  let active = 0;
  for (const worker of workers.values()) {
    if (worker.isActive && (worker.phase !== "starting" || worker.idleSince > since)) active++;
  }
  return active < size;
}

/** A worker starts that need not be given up yet, or one more will. */
function isOneComing(workers: Workers<Unit>, options: PoolStateOptions, now: number): boolean {
  let isLate = false;
  for (const { phase, idleSince } of workers.values()) {
    if (phase !== "starting") continue;
    if (idleSince + startMs > now) return true;
    isLate = true;
  }
  return !isLate && mayGrow(workers, options);
}

export function mayGrow(workers: Workers<Unit>, { size, maxMore }: PoolStateOptions): boolean {
  return workers.size < size + maxMore;
}
