// A bound on how long to wait for an outcome.
import { ErrorCode, type Runtime, TaskTimeoutError } from "zerotask-core";

/**
 * `promise`, or a rejection with `TaskTimeoutError` after `timeoutMs` milliseconds. What `promise` stands for goes on.
 * @param onTimeout called when the time is over
 */
export function withTimeout<T>(
  promise: Promise<T>,
  timeoutMs: number | undefined,
  what: string,
  runtime: Runtime,
  onTimeout: () => void = () => undefined,
): Promise<T> {
  if (timeoutMs === undefined) return promise;
  return new Promise((resolve, reject) => {
    const timer = runtime.after(timeoutMs, () => {
      onTimeout();
      reject(new TaskTimeoutError(`No outcome of ${what} within ${timeoutMs} ms`, ErrorCode.TaskNotComplete));
    });
    promise.then(resolve, reject).finally(() => timer.cancel());
  });
}

/** A call with streams has no more time. */
export function late(method: string, timeoutMs: number): TaskTimeoutError {
  return new TaskTimeoutError(`${method} did not end within ${timeoutMs} ms`, ErrorCode.TaskNotComplete);
}
