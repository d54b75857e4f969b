// The one table of error codes: a code has one name, and a name one code.

/** JSON-RPC 2.0 error codes as ZeroTask uses them (JSON-RPC 2.0, section 5.1, and ZeroTask's own). */
export const ErrorCode = {
  ParseError: -32700,
  InvalidRequest: -32600,
  MethodNotFound: -32601,
  InvalidParams: -32602,
  InternalError: -32603,
  /** The handler failed; `data` holds what it threw. */
  TaskFailed: -32000,
  /** The handler asks to be run again: `data = {delay_ms}`. Never the outcome of a task. */
  RunAgain: -32001,
  InvalidClientId: -32010,
  InvalidTaskId: -32020,
  /** Conflicts with a schedule or key that exists. */
  Conflict: -32021,
  InvalidNodeId: -32030,
  TaskStopped: -32040,
  TaskExpired: -32041,
  NodeLost: -32042,
  /** Items of a stream went by, and what comes after them can't be had any more. */
  StreamLost: -32043,
  TaskNotComplete: -32050,
  Busy: -32060,
  TooLarge: -32061,
  /** The broker can't write to its disk, and takes nothing that it would have to store. */
  StoreFailed: -32062,
  NotAllowed: -32070,
} as const;

export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];
