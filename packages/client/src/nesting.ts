// Calls that a handler makes while it runs: they have no more time than it has, and tell whose they are.
import { ErrorCode, TaskTimeoutError, type WireOptions } from "zerotask-core";
import type { CallOptions } from "./options.ts";

/** The run of a task that makes calls. */
export interface Nesting {
  /** The task that all began with. */
  readonly trace: string;
  /** How much time it has left, in milliseconds; `undefined` without a bound. */
  remainingMs(): number | undefined;
  /** One more of its calls is waited for (+1), or one less (−1). */
  onWaiting(change: 1 | -1): void;
}

/**
 * The options of a call that is made now, in the process of the task that makes it.
 * @throws TaskTimeoutError when the task that makes it has no time left
 */
export function boundBy(nesting: Nesting, options: CallOptions): CallOptions {
  const { deadlineMs: most } = inheritedFrom(nesting);
  if (most === undefined) return options;
  const { timeoutMs = most, expiresMs = most } = options;
  return { ...options, timeoutMs: Math.min(timeoutMs, most), expiresMs: Math.min(expiresMs, most) };
}

/** What a nested call says of the one that it is made by. */
export type Inherited = Pick<WireOptions, "trace" | "deadlineMs">;

/**
 * What a call that is made now inherits.
 * @throws TaskTimeoutError when the task that makes it has no time left
 */
export function inheritedFrom({ trace, remainingMs }: Nesting): Inherited {
  const remaining = remainingMs();
  if (remaining === undefined) return { trace };
  const deadlineMs = Math.floor(remaining);
  if (deadlineMs >= 1) return { trace, deadlineMs };
  throw new TaskTimeoutError("The task that makes this call has no time left", ErrorCode.InternalError);
}
