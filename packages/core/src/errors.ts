// What callers catch: one class where a caller would act differently, and how each crosses the wire.
import { knownOptions } from "./options.ts";
import { ErrorCode } from "./protocol/error-codes.ts";
import { type ErrorObject, errorObject } from "./protocol/messages.ts";
import { type Span, spanOption } from "./protocol/when.ts";

/** Every error that ZeroTask makes of something remote. `code` is the JSON-RPC error code. */
export class ZeroTaskError extends Error {
  override readonly name: string = "ZeroTaskError";
  readonly code: number;
  readonly data: unknown;

  constructor(
    message: string,
    code: number = ErrorCode.InternalError,
    data?: unknown,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.data = data;
  }
}

/** The handler threw. `message` is what it said; `data` the `data` of what it threw. */
export class TaskFailedError extends ZeroTaskError {
  override readonly name = "TaskFailedError";
  /** The name of the error on the node, such as `RangeError`. */
  readonly remoteName: string;
  /** The stack on the node, where it sent one. */
  readonly remoteStack: string | undefined;
  /** Whether the handler said that this may happen, by throwing a `TaskError`. */
  readonly expected: boolean;

  constructor(
    message: string,
    remote: { name?: string; stack?: string; data?: unknown; expected?: boolean } = {},
  ) {
    super(message, ErrorCode.TaskFailed, remote.data);
    this.remoteName = remote.name ?? "Error";
    this.remoteStack = remote.stack;
    this.expected = remote.expected ?? false;
  }
}

/**
 * Thrown by a handler: a failure that is to be expected, such as a customer that does not exist. It is the task's
 * outcome: not run again, whatever `retries` says, and no reason to wake anybody. Anything else that a handler throws
 * is an exception.
 */
export class TaskError extends ZeroTaskError {
  override readonly name = "TaskError";

  /** @param data what the caller finds as the error's `data`; anything that JSON can hold */
  constructor(message: string, data?: unknown) {
    super(message, ErrorCode.TaskFailed, data);
  }
}

/**
 * Thrown by a handler: run this task again, later. That is no failure, and does not count as one; how often it may be
 * asked for, `maxRetries` tells.
 */
export class RetryError extends ZeroTaskError {
  override readonly name = "RetryError";
  readonly delayMs: number;

  /**
   * @param options.delay when: milliseconds, or words such as `"30s"`. @default 0
   * @throws OptionError for an unknown name, or a `delay` that is no span
   */
  constructor(options: { delay?: Span; message?: string } = {}) {
    knownOptions("retry", options, ["delay", "message"]);
    const { delay = 0, message = "The task asks to be run again" } = options;
    const delayMs = spanOption("delay", delay);
    super(message, ErrorCode.RunAgain, { delay_ms: delayMs });
    this.delayMs = delayMs;
  }
}

/** No node serves the method, and none came within the grace. */
export class MethodNotFoundError extends ZeroTaskError {
  override readonly name = "MethodNotFoundError";
}

/** The params don't fit the method. A handler may throw it too. */
export class InvalidParamsError extends ZeroTaskError {
  override readonly name = "InvalidParamsError";

  constructor(message: string, data?: unknown) {
    super(message, ErrorCode.InvalidParams, data);
  }
}

/** No answer came in time. The task goes on: its outcome is unknown, not failed. */
export class TaskTimeoutError extends ZeroTaskError {
  override readonly name = "TaskTimeoutError";
}

/** Somebody stopped the task, or there was one of its singleton already: then `data.reason` is `"singleton"`. */
export class TaskStoppedError extends ZeroTaskError {
  override readonly name = "TaskStoppedError";
}

/** For runs that nobody wants any more when their handlers are to begin. */
export function stoppedBefore(): TaskStoppedError {
  return new TaskStoppedError("Stopped before it began to run", ErrorCode.TaskStopped);
}

/** For handlers that read on in runs that nobody wants any more. */
export function runUnwanted(): TaskStoppedError {
  return new TaskStoppedError("Nobody wants this run any more", ErrorCode.TaskStopped);
}

/** The task ran too long, or waited too long to run. */
export class TaskExpiredError extends ZeroTaskError {
  override readonly name = "TaskExpiredError";
}

/** The nodes that had the task were lost too often; or, of a stream, once, after some of its items had gone by. */
export class NodeLostError extends ZeroTaskError {
  override readonly name = "NodeLostError";
}

/**
 * The broker does not know the stream any more, as after a restart, and some of its items went by: it can't go on, and
 * beginning again would repeat them.
 */
export class StreamLostError extends ZeroTaskError {
  override readonly name = "StreamLostError";
}

/** The broker takes no more just now. Try again after `retryAfterMs`. */
export class BusyError extends ZeroTaskError {
  override readonly name = "BusyError";

  get retryAfterMs(): number {
    const wait = (this.data as { retry_after_ms?: unknown } | undefined)?.retry_after_ms;
    return typeof wait === "number" ? wait : 1000;
  }
}

/** The broker can't write to its disk: nothing that it would have to store is taken, or known to have happened. */
export class StoreFailedError extends ZeroTaskError {
  override readonly name = "StoreFailedError";
}

/** The id, key or name exists already, and stands for something else. */
export class ConflictError extends ZeroTaskError {
  override readonly name = "ConflictError";
}

/** The message, batch, result or nesting is over a bound. */
export class TooLargeError extends ZeroTaskError {
  override readonly name = "TooLargeError";
}

/** The broker knows no task of this id, or its record has expired; or it knows no schedule of this name. */
export class UnknownTaskError extends ZeroTaskError {
  override readonly name = "UnknownTaskError";
}

/** This session may not do that. */
export class NotAllowedError extends ZeroTaskError {
  override readonly name = "NotAllowedError";
}

/** No broker could be reached in time. Whether a call that was already sent ran is unknown. */
export class BrokerUnavailableError extends ZeroTaskError {
  override readonly name = "BrokerUnavailableError";
}

/** Another node is connected under this name. A name is free again once its node has left, or its loss was noticed. */
export class NameTakenError extends ZeroTaskError {
  override readonly name = "NameTakenError";
  /** The name that is taken. */
  readonly taken: string;

  constructor(taken: string, options?: ErrorOptions) {
    const message = `Expected a name that no connected node has, got ${JSON.stringify(taken)}`;
    super(message, ErrorCode.InvalidNodeId, undefined, options);
    this.taken = taken;
  }
}

/** The client was closed while the call was pending, or before it. */
export class ClientClosedError extends ZeroTaskError {
  override readonly name = "ClientClosedError";
}

const classes = new Map<number, new (message: string, code?: number, data?: unknown) => ZeroTaskError>([
  [ErrorCode.MethodNotFound, MethodNotFoundError],
  [ErrorCode.InvalidTaskId, UnknownTaskError],
  [ErrorCode.TaskStopped, TaskStoppedError],
  [ErrorCode.TaskExpired, TaskExpiredError],
  [ErrorCode.NodeLost, NodeLostError],
  [ErrorCode.StreamLost, StreamLostError],
  [ErrorCode.Busy, BusyError],
  [ErrorCode.TooLarge, TooLargeError],
  [ErrorCode.StoreFailed, StoreFailedError],
  [ErrorCode.Conflict, ConflictError],
  [ErrorCode.NotAllowed, NotAllowedError],
]);

/** Makes the error that a caller catches of the one that came over the wire. */
export function errorFromWire({ code, message, data }: ErrorObject): ZeroTaskError {
  if (code === ErrorCode.TaskFailed) return new TaskFailedError(message, readFailure(data));
  if (code === ErrorCode.InvalidParams) return new InvalidParamsError(message, data);
  const Class = classes.get(code) ?? ZeroTaskError;
  return new Class(message, code, data);
}

function readFailure(data: unknown): {
  name?: string;
  stack?: string;
  data?: unknown;
  expected?: boolean;
} {
  if (typeof data !== "object" || data === null) return { data };
  const { name, stack, expected, data: inner } = data as Record<string, unknown>;
  return {
    ...(typeof name === "string" && { name }),
    ...(typeof stack === "string" && { stack }),
    ...(expected === true && { expected }),
    data: inner,
  };
}

/**
 * Makes the wire's error of whatever a handler threw: `data = {name, message, stack?, expected?, data?}`.
 * Only an `InvalidParamsError` and a `RetryError` keep their own codes; anything else a handler throws is its failure.
 * Never throws.
 */
export function errorToWire(thrown: unknown): ErrorObject {
  try {
    return wireErrorOf(thrown);
  } catch {
    // Anything may have been thrown, also what can't even be looked at, such as a proxy whose traps throw.
    const message = "A handler threw something that can't be looked at";
    return errorObject(ErrorCode.TaskFailed, message, { name: "Error", message });
  }
}

function wireErrorOf(thrown: unknown): ErrorObject {
  if (thrown instanceof RetryError || thrown instanceof InvalidParamsError) {
    return errorObject(
      thrown.code,
      thrown.message,
      sendable(() => thrown.data),
    );
  }
  if (thrown instanceof TaskError) {
    const { name, message } = thrown;
    const data = sendable(() => thrown.data);
    return errorObject(thrown.code, message, {
      name,
      message,
      expected: true,
      ...(data !== undefined && { data }),
    });
  }
  if (!(thrown instanceof Error)) {
    const message = typeof thrown === "string" ? thrown : `A handler threw ${typeof thrown}, not an Error`;
    return errorObject(ErrorCode.TaskFailed, message, {
      name: typeof thrown,
      message,
      data: sendable(() => thrown),
    });
  }
  // A getter, or a subclass that assigns these, may have left anything in them.
  const name = textOf(() => (thrown instanceof TaskFailedError ? thrown.remoteName : thrown.name), "Error");
  const message = textOf(() => thrown.message, "An error whose message can't be read");
  const stack = textOf(() => thrown.stack, "");
  const data = sendable(() => (thrown as { data?: unknown }).data);
  return errorObject(ErrorCode.TaskFailed, message, {
    name,
    message,
    ...(stack !== "" && { stack }),
    ...(data !== undefined && { data }),
  });
}

/** Anything may have been thrown, also an object whose members throw. */
function textOf(read: () => unknown, otherwise: string): string {
  try {
    return String(read() ?? otherwise);
  } catch {
    return otherwise;
  }
}

/** What JSON can't hold must not turn a failure into a lost answer. */
function sendable(read: () => unknown): unknown {
  try {
    const data = read();
    return JSON.stringify(data) === undefined ? undefined : data;
  } catch {
    return undefined;
  }
}
