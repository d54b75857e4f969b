// How long a pool waits for what its workers have to do, before it does something about them.
import type { Unit, WorkerSlot } from "./worker-slot.ts";

/**
 * A worker that was given something begins within this time, unless what it ran before still keeps it busy. Doubled each
 * time that it was none the less revoked for nothing, as it may be the machine that is busy.
 */
export const quietMs = 100;
const maxQuietMs = 10_000;
/** A worker that runs nothing hears within this time that something was taken back from it. */
export const silentMs = 1_000;

/** Nothing was seen to run there. @returns whether that has been so for too long */
export function isTooQuiet(worker: WorkerSlot<Unit>, now: number): boolean {
  worker.quietSince ??= now;
  if (now - worker.quietSince < worker.quietMs) return false;
  worker.quietSince = undefined;
  worker.quietMs = Math.min(maxQuietMs, worker.quietMs * 2);
  return true;
}

/** It runs what it is given. */
export function hasBeenHeard(worker: WorkerSlot<Unit>): void {
  worker.quietSince = undefined;
  worker.quietMs = quietMs;
}

/** A worker that is to end and does not, as a thread in a native call, has another one in its place after this time. */
export const lingerMs = 2_000;

/** When a worker is to be ended that goes on as it does, and why; `undefined` for never. */
export function endDue(worker: WorkerSlot<Unit>, loadMs: number): { at: number; why: string } | undefined {
  const { phase, isRevoked, given, idleSince } = worker;
  if (phase === "starting" && loadMs !== Number.POSITIVE_INFINITY)
    return { at: idleSince + loadMs, why: `Expected it to be ready within ${loadMs} ms` };
  if (phase === "ready" && isRevoked && given.size === 0)
    return { at: idleSince + silentMs, why: `Expected it to be free within ${silentMs} ms of its last task` };
  return undefined;
}
