// When a task is due, and how much time it has, by what was asked of it.
import type { MethodDescription, WireOptions } from "zerotask-core";
import type { Task } from "../tasks/task.ts";

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

/** How long its next run may take: what is set for runs, and no longer than somebody waits for the task. */
export function runTimeoutOf({ options, method, endsAt }: Task, now: number): number | undefined {
  const timeoutMs = options.timeoutMs ?? method.description?.timeoutMs;
  if (endsAt === undefined) return timeoutMs;
  const left = Math.max(1, Math.floor(endsAt - now));
  return timeoutMs === undefined ? left : Math.min(timeoutMs, left);
}

/** Until when a task may wait for its first run. */
export function expiresAtOf(
  { expiresMs, deadlineMs }: WireOptions,
  { createdAt, dueAt }: { readonly createdAt: number; readonly dueAt: number },
): number | undefined {
  const expiresAt = expiresMs === undefined ? undefined : dueAt + expiresMs;
  if (deadlineMs === undefined) return expiresAt;
  return Math.min(expiresAt ?? Number.POSITIVE_INFINITY, createdAt + deadlineMs);
}
