// What is made of what handlers throw: expected failures are noted, exceptions are logged and passed on.
import {
  errorToWire,
  InvalidParamsError,
  type Logger,
  OptionError,
  RetryError,
  TaskError,
} from "zerotask-core";
import type { Run } from "./run.ts";

/** Where an exception came up. */
export interface ExceptionInfo {
  /** The task's id. */
  readonly id: string;
  readonly attempt: number;
  readonly method: string;
}

/** Is told of what a handler threw, whatever that is. */
export type ExceptionListener = (error: unknown, info: ExceptionInfo) => void;

export class Exceptions {
  readonly #logger: Logger;
  readonly #listeners = new Set<ExceptionListener>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @returns what ends it. @throws OptionError for what is no function */
  listen(listener: ExceptionListener): () => void {
    if (typeof listener !== "function") throw new OptionError("listener", "a function", listener);
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  onThrown(run: Run, error: unknown): void {
    const { id, attempt, method } = run.context();
    const info = { id, attempt, method };
    const { message: reason } = errorToWire(error);
    if (error instanceof TaskError || error instanceof InvalidParamsError) {
      this.#logger.info({ ...info, reason }, "a task failed, as may be expected");
    } else if (error instanceof RetryError) {
      this.#logger.info({ ...info, reason }, "a task asks to be run again");
    } else if (run.isAborted) {
      this.#logger.info({ ...info, reason }, "a task ended that was given up");
    } else {
      const err = error instanceof Error ? error : { message: reason };
      this.#logger.error({ ...info, err }, "a task threw an exception");
      for (const listener of this.#listeners) this.#tell(listener, error, info);
    }
  }

  /** A listener that throws, or rejects later, must not change what becomes of the task, nor of the node. */
  #tell(listener: ExceptionListener, error: unknown, info: ExceptionInfo): void {
    const told = async (): Promise<void> => listener(error, info);
    told().catch((problem: unknown) => {
      this.#logger.error({ err: problem }, "a listener for exceptions threw");
    });
  }
}
