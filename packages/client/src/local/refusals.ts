// Why tasks of this process are not taken, in the words of a broker.
import {
  BusyError,
  ClientClosedError,
  ConflictError,
  ErrorCode,
  MethodNotFoundError,
  NotAllowedError,
  TaskStoppedError,
  UnknownTaskError,
} from "zerotask-core";
import type { LocalTask } from "./local-task.ts";

/** So many tasks wait or run at most. */
export const mostUnsettled = 1_000_000;
/** After which one that found no room may ask again. */
export const busyMs = 100;

export function conflict({ id, asked }: LocalTask): ConflictError {
  const key = id.slice("key:".length);
  const message = `The idempotency key ${key} belongs to another task, of ${asked.method} or with other params`;
  return new ConflictError(message, ErrorCode.Conflict);
}

export function busy(): BusyError {
  const message = `Expected at most ${mostUnsettled} unsettled tasks`;
  return new BusyError(message, ErrorCode.Busy, { retry_after_ms: busyMs });
}

export function closed(message: string): ClientClosedError {
  return new ClientClosedError(message, ErrorCode.InternalError);
}

export function methodNotFound(method: string): MethodNotFoundError {
  return new MethodNotFoundError(`Method not found: ${method}`, ErrorCode.MethodNotFound, { method });
}

export function unknownTask(id: string): UnknownTaskError {
  return new UnknownTaskError(`No task has the id ${JSON.stringify(id)}`, ErrorCode.InvalidTaskId);
}

export function notStopped({ state }: LocalTask): ConflictError {
  const message = `Expected a task that is STOPPED, got one that is ${state}`;
  return new ConflictError(message, ErrorCode.Conflict);
}

export function unstoppable({ id }: LocalTask): NotAllowedError {
  const message = `The run of ${id} ignores that it is to end: the task is made anew when it has ended`;
  return new NotAllowedError(message, ErrorCode.NotAllowed);
}

/** Whoever stopped it before is heard: it is STOPPED when its run has ended. */
export function beingStopped(): ConflictError {
  const message =
    "Expected a task that is not being stopped, got one that is STOPPED as soon as its run has ended";
  return new ConflictError(message, ErrorCode.Conflict);
}

export function settledBefore({ state }: LocalTask): TaskStoppedError {
  const message = `The task was settled before it was made anew: ${state}`;
  return new TaskStoppedError(message, ErrorCode.TaskStopped);
}
