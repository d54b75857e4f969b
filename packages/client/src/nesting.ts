// Calls that a handler makes while it runs: they have no more time than it has, and tell whose they are.
import { ErrorCode, TaskTimeoutError } from "zerotask-core";
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
 * The options of a call that is made now.
 * @throws TaskTimeoutError when the task that makes it has no time left
 */
export function boundBy(nesting: Nesting, options: CallOptions): CallOptions {
  const remaining = nesting.remainingMs();
  if (remaining === undefined) return options;
  const most = Math.floor(remaining);
  if (most < 1) {
    const message = "The task that makes this call has no time left";
    throw new TaskTimeoutError(message, ErrorCode.InternalError);
  }
  const { timeoutMs = most, expiresMs = most } = options;
  return { ...options, timeoutMs: Math.min(timeoutMs, most), expiresMs: Math.min(expiresMs, most) };
}
