// When a task is due, by what was asked of it.
import type { MethodDescription, WireOptions } from "zerotask-core";

/** What the clocks say: the broker's own, which never goes back, and the one on the wall. */
export interface Clocks {
  readonly now: number;
  readonly wall: number;
}

/** From when on a task may run, by the broker's own clock. */
export function dueAtOf({ at, delayMs = 0 }: WireOptions, { now, wall }: Clocks): number {
  return at === undefined ? now + delayMs : Math.max(now, now + at - wall);
}

/** A task's own priority comes before its method's. */
export function priorityOf({ priority }: WireOptions, description: MethodDescription | undefined): number {
  return priority ?? description?.priority ?? 0;
}
