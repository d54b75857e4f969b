// How runs end: by themselves, as somebody wanted, or as their time is over; and whether their tasks are run again.
import {
  defaultMaxRetries,
  ErrorCode,
  type ErrorObject,
  errorObject,
  mayBeRetried,
  type Outcome,
  type Params,
  type Runtime,
  rerunDelay,
  retryDelay,
  stoppedError,
  TaskStatus,
  type Timer,
} from "zerotask-core";
import type { CallOptions } from "../options.ts";
import type { LocalRun } from "./local-run.ts";
import type { LocalTask } from "./local-task.ts";
import { final } from "./outcomes.ts";
import { begin, overrunGraceMs } from "./stopping.ts";
import type { TaskTimers } from "./task-timers.ts";

/** What becomes of tasks whose runs have ended. */
export interface EndingHost {
  /** What its method says, and those who asked for it. */
  rulesOf(task: LocalTask): Pick<CallOptions, "retries" | "maxRetries" | "backoff">;
  runAgain(task: LocalTask, delayMs: number): void;
  /** It begins from the start. */
  renew(task: LocalTask, params: Params | undefined): void;
  settle(task: LocalTask, status: TaskStatus, outcome: Outcome): void;
}

export class LocalEndings {
  readonly #runtime: Runtime;
  readonly #timers: TaskTimers;
  readonly #host: EndingHost;

  constructor(runtime: Runtime, timers: TaskTimers, host: EndingHost) {
    this.#runtime = runtime;
    this.#timers = timers;
    this.#host = host;
  }

  /** Gives a run so much time. */
  limit(task: LocalTask, run: LocalRun, timeoutMs: number): Timer {
    return this.#timers.arm(task, timeoutMs, () => {
      const error = errorObject(ErrorCode.TaskExpired, `The task ran for more than ${timeoutMs} ms`);
      // What is to end already is waited for.
      if (run.stopping !== undefined || this.#mayFailAgain(task)) this.#overrun(task, run, error);
      else {
        run.abort();
        this.#end(task, run, TaskStatus.Expired, { error });
      }
    });
  }

  /** Ends a run that took too long, before the task is run again. */
  #overrun(task: LocalTask, run: LocalRun, error: ErrorObject): void {
    const { stopping } = run;
    if (stopping !== undefined) {
      stopping.overran = error;
      // What nobody waits for is given up by nobody else.
      if (stopping.isUnstoppable || stopping.told.length === 0) this.onUnstoppable(task, run);
      return;
    }
    begin(run, { type: "overrun", error });
    this.#timers.arm(task, overrunGraceMs, () => this.onUnstoppable(task, run));
  }

  /** What goes on though its time is over may do so for ever, and is not run a second time beside that. */
  onUnstoppable(task: LocalTask, run: LocalRun): void {
    const { after, overran, told = [] } = run.stopping ?? {};
    const over = after?.type === "overrun" ? after.error : overran;
    // What is made anew goes on when this run has ended.
    if (over === undefined || after?.type === "reload" || task.run !== run) return;
    task.run = undefined;
    // What nobody waits for may be about to end.
    const isKnown = told.length > 0 || after?.type === "overrun";
    const message = isKnown ? `${over.message}, and can't be stopped: it is not run again` : over.message;
    this.#host.settle(task, TaskStatus.Expired, { error: errorObject(over.code, message) });
    for (const tell of told) tell("unstoppable");
  }

  /** It ended by itself. */
  onEnd(task: LocalTask, run: LocalRun, outcome: Outcome): void {
    const { method, stream } = task.asked;
    const after = run.stopping?.after;
    if (after?.type === "reload" && task.run === run) this.#host.renew(task, after.params);
    else if (after?.type === "overrun") this.#end(task, run, TaskStatus.Expired, { error: after.error });
    else if (after !== undefined)
      this.#end(task, run, TaskStatus.Stopped, { error: stoppedError("cooperative") });
    else if ("error" in outcome) this.#end(task, run, TaskStatus.Failed, outcome);
    else if (stream !== undefined && !stream.wasOpened) {
      const message = `Expected ${method} to return an async iterable, as it was asked for a stream`;
      const error = errorObject(ErrorCode.TaskFailed, message, { name: "TypeError", message });
      this.#end(task, run, TaskStatus.Failed, { error });
    } else this.#end(task, run, TaskStatus.Finished, outcome);
  }

  /** A run ended, or is given up. It may not have been the last. */
  #end(task: LocalTask, run: LocalRun, status: TaskStatus, outcome: Outcome): void {
    if (task.run !== run || task.isOver) return;
    task.run = undefined;
    const { maxRetries, backoff } = this.#host.rulesOf(task);
    if (status !== TaskStatus.Stopped && "error" in outcome && task.isRepeatable) {
      if (outcome.error.code === ErrorCode.RunAgain) {
        if (task.reruns++ < (maxRetries ?? defaultMaxRetries)) {
          this.#host.runAgain(task, rerunDelay(outcome.error.data));
          return;
        }
      } else if (this.#mayFailAgain(task) && mayBeRetried(outcome)) {
        task.failures++;
        this.#host.runAgain(task, retryDelay(task.failures, backoff, this.#runtime.random()));
        return;
      }
    }
    this.#host.settle(task, status, final(outcome));
  }

  /** Whether a run of it that fails is not the last. */
  #mayFailAgain(task: LocalTask): boolean {
    return task.isRepeatable && task.failures < (this.#host.rulesOf(task).retries ?? 0);
  }
}
