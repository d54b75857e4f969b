// What a handler can know of the task that it runs, what it can tell of it, and how it hears that nobody wants it any more.

/** Lines that are kept with the task: `handle.logs()` reads them. `data` is anything that JSON can hold. */
export interface TaskLog {
  debug(message: string, data?: unknown): void;
  info(message: string, data?: unknown): void;
  warn(message: string, data?: unknown): void;
  error(message: string, data?: unknown): void;
}

export interface TaskContext {
  /** The task's id. */
  readonly id: string;
  /** Which assignment of the task to a node this is, from 1. Each has its own. */
  readonly attempt: number;
  readonly method: string;
  /** The id of the task that all began with: of the one that called the one that called this. Its own, if nobody did. */
  readonly trace: string;
  /** When its time is up, in milliseconds since the epoch by this machine's clock; `undefined` without a bound. */
  readonly deadline: number | undefined;
  /** Fires when the task was stopped, ran out of time, or was given to another node: its outcome counts no more. */
  readonly signal: AbortSignal;
  readonly log: TaskLog;
  /**
   * Tells whoever listens to the task that something happened.
   * @param event 1 to 200 characters; not "status", which tells of changes of the status
   * @param data anything that JSON can hold
   * @throws OptionError for another name
   */
  emit(event: string, data?: unknown): void;
  /**
   * Tells how far it is: an event named "progress". Of those that come quickly one after another the last counts.
   * @param fraction from 0 to 1
   * @throws OptionError for another number
   */
  progress(fraction: number, note?: string): void;
  /** What the node was told to provide under this name. @throws Error when it was not */
  resource<T = unknown>(name: string): T;
  /** Calls other tasks; typed by `current()` of zerotask-node. */
  readonly client: unknown;
}
