// A bound on how long to wait for an outcome.
import { ErrorCode, TaskTimeoutError } from "zerotask-core";

/**
 * `promise`, or a rejection with `TaskTimeoutError` after `timeoutMs` milliseconds. What `promise` stands for goes on.
 * @param onTimeout called when the time is over
 */
export function withTimeout<T>(
  promise: Promise<T>,
  timeoutMs: number | undefined,
  what: string,
  onTimeout: () => void = () => undefined,
): Promise<T> {
  if (timeoutMs === undefined) return promise;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      onTimeout();
      reject(new TaskTimeoutError(`No outcome of ${what} within ${timeoutMs} ms`, ErrorCode.TaskNotComplete));
    }, timeoutMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
