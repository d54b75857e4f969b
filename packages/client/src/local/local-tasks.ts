// Which tasks of this process wait, run and run again, by the rules of a broker with one node and a store in memory.
import {
  type Dispatcher,
  ErrorCode,
  errorObject,
  type Logger,
  type MethodDescription,
  type Outcome,
  type Params,
  type Response,
  type Runtime,
  request,
  type StopOutcome,
  stoppedError,
  TaskError,
  TaskStatus,
  whenOption,
} from "zerotask-core";
import type { CallOptions } from "../options.ts";
import { checkStorable } from "../streams/inputs.ts";
import { copyParams } from "./copy.ts";
import { LocalEndings } from "./local-endings.ts";
import { LocalEvents } from "./local-events.ts";
import { LocalRun, type LocalRunHost } from "./local-run.ts";
import type { LocalStream } from "./local-stream.ts";
import { LocalTask, type LocalTaskHost } from "./local-task.ts";
import { copied } from "./outcomes.ts";
import {
  beingStopped,
  busy,
  busyMs,
  closed,
  conflict,
  methodNotFound,
  mostUnsettled,
  notStopped,
  settledBefore,
  unknownTask,
  unstoppable,
} from "./refusals.ts";
import { Slots } from "./slots.ts";
import { begin, endRun } from "./stopping.ts";
import { TaskTimers } from "./task-timers.ts";

export interface LocalTasksOptions {
  readonly dispatcher: Dispatcher;
  readonly runtime: Runtime;
  readonly logger: Logger;
  /** How many tasks run at once. */
  readonly slots: number;
  readonly resources: { readonly [name: string]: unknown };
  /** The client by which a run calls other tasks. */
  readonly clientOf: (run: LocalRun) => unknown;
}

export interface Asking {
  /** Whether the task can be found by its id later on. @default false */
  readonly isSubmitted?: boolean;
  readonly trace?: string;
  readonly stream?: LocalStream;
}

const priorityMs = 60_000;
const mostSettled = 10_000;

export class LocalTasks implements LocalRunHost, LocalTaskHost {
  readonly events: LocalEvents = new LocalEvents();
  readonly #options: LocalTasksOptions;
  readonly #tasks = new Map<string, LocalTask>();
  /** By when they were settled. */
  readonly #settled = new Set<string>();
  readonly #unsettled = new Set<LocalTask>();
  readonly #slots: Slots;
  readonly #timers: TaskTimers;
  readonly #endings: LocalEndings;
  #isClosed = false;

  constructor(options: LocalTasksOptions) {
    this.#options = options;
    this.#timers = new TaskTimers(options.runtime);
    this.#slots = new Slots(options.slots, (task) => this.#start(task));
    this.#endings = new LocalEndings(options.runtime, this.#timers, {
      rulesOf: ({ asked }) => ({ ...this.#describe(asked.method), ...asked.options }),
      runAgain: (task, delayMs) => {
        if (!this.#isClosed) this.#schedule(task, delayMs);
      },
      renew: (task, params) => {
        if (!this.#isClosed) this.#renew(task, params);
      },
      settle: (task, status, outcome) => this.#settle(task, status, outcome),
    });
  }

  get runtime(): Runtime {
    return this.#options.runtime;
  }

  get resources(): { readonly [name: string]: unknown } {
    return this.#options.resources;
  }

  clientOf(run: LocalRun): unknown {
    return this.#options.clientOf(run);
  }

  /** A task that can't be taken is one that was refused: whoever asks it hears why. */
  submit(method: string, params: Params, options: CallOptions, asking: Asking = {}): LocalTask {
    const { idempotencyKey } = options;
    const { isSubmitted = false, trace, stream } = asking;
    const id = idempotencyKey === undefined ? this.runtime.id() : `key:${idempotencyKey}`;
    let copied: Params = [];
    let refusal: Error | undefined;
    try {
      if (isSubmitted) checkStorable(params);
      copied = copyParams(params);
    } catch (error) {
      refusal = error as Error;
    }
    const known = this.#tasks.get(id);
    if (known !== undefined && refusal === undefined && isSame(known, method, copied)) return known;
    const task = new LocalTask({ id, method, params: copied, options, trace, stream }, this);
    if (known !== undefined) refusal ??= conflict(known);
    if (refusal === undefined) this.#take(task, isSubmitted || idempotencyKey !== undefined);
    else task.refuse(refusal);
    return task;
  }

  /** A task that was submitted and is known by this id; where there is none, one that tells so. */
  find(id: string): LocalTask {
    const known = this.#tasks.get(id);
    if (known !== undefined && !this.#isClosed) return known;
    const asked = { id, method: "", params: [], options: {}, trace: undefined, stream: undefined };
    const unknown = new LocalTask(asked, this);
    unknown.refuse(this.#isClosed ? closed("The client is closed") : unknownTask(id));
    return unknown;
  }

  /** Fires the signal of its handler, and waits until that has ended, up to `graceMs`. */
  async stop(task: LocalTask, graceMs: number): Promise<StopOutcome> {
    await this.#see(task);
    if (task.ending !== undefined) return task.ending;
    const { run } = task;
    if (run === undefined) {
      this.#settle(task, TaskStatus.Stopped, { error: stoppedError("never-started") });
      return "never-started";
    }
    const how = await endRun(run, { type: "stop" }, graceMs, this.runtime);
    if (how === "unstoppable") this.#endings.onUnstoppable(task, run);
    return how;
  }

  /** Begins a task that was stopped once more. @throws ConflictError for any other */
  async start(task: LocalTask): Promise<void> {
    await this.#see(task);
    if (task.state !== TaskStatus.Stopped) throw notStopped(task);
    this.#renew(task, undefined);
  }

  /**
   * Stops what runs of a task, and begins it from the start.
   * @throws NotAllowedError when it can't be stopped: it begins when its run has ended; ConflictError where it is STOPPED then
   */
  async reload(task: LocalTask, given: Params | undefined, graceMs: number): Promise<void> {
    const params = given === undefined ? undefined : copyParams(given);
    await this.#see(task);
    const { run } = task;
    if (run === undefined) {
      this.#renew(task, params);
      return;
    }
    const how = await endRun(run, { type: "reload", params }, graceMs, this.runtime);
    if (how === "unstoppable") throw run.stopping?.after.type === "stop" ? beingStopped() : unstoppable(task);
    if (task.isOver) throw settledBefore(task);
  }

  /** A task begins from the start; one that waits for its time goes on waiting. */
  #renew(task: LocalTask, params: Params = task.params): void {
    const { isOver, attempt, state } = task;
    const refusal = isOver ? this.#refusalOf(task.asked.method) : undefined;
    if (refusal !== undefined) throw refusal;
    if (isOver && this.#unsettled.size >= mostUnsettled) throw busy();
    task.renew(params);
    if (isOver) {
      this.#settled.delete(task.id);
      this.#unsettled.add(task);
    } else if (task.run === undefined && (attempt === 0 || state === TaskStatus.Queued)) return;
    task.run = undefined;
    this.#timers.cancel(task);
    this.#enqueue(task);
  }

  /** Nobody reads its stream any more. */
  leave(task: LocalTask): void {
    const { run } = task;
    if (run === undefined) this.#settle(task, TaskStatus.Stopped, { error: stoppedError() });
    else begin(run, { type: "stop" });
  }

  onWaiting(run: LocalRun, change: 1 | -1): void {
    this.#slots.onWaiting(run, change);
  }

  onThrown({ id, attempt, method }: LocalRun, error: unknown): void {
    if (error instanceof TaskError) return;
    this.#options.logger.error({ id, attempt, method, err: error }, "a task threw an exception");
  }

  /** What runs hears of it by its signal; nobody hears of its outcome. */
  close(): void {
    this.#isClosed = true;
    this.#slots.close();
    const error = closed("The client was closed");
    this.events.close(error);
    for (const task of this.#unsettled) {
      this.#timers.cancel(task);
      task.run?.abort();
      task.abandonBy(error);
    }
    this.#unsettled.clear();
  }

  #refusalOf(method: string): Error | undefined {
    if (this.#isClosed) return closed("The client is closed");
    return this.#describe(method) === undefined ? methodNotFound(method) : undefined;
  }

  #describe(method: string): MethodDescription | undefined {
    return this.#options.dispatcher.methods().find(({ name }) => name === method);
  }

  #take(task: LocalTask, isSubmitted: boolean): void {
    const { at = 0, expiresMs, whenBusy } = task.asked.options;
    const refusal = this.#refusalOf(task.asked.method);
    if (refusal !== undefined) {
      task.refuse(refusal);
      return;
    }
    if (this.#unsettled.size >= mostUnsettled) {
      if (whenBusy === "wait") this.#timers.arm(task, busyMs, () => this.#take(task, isSubmitted));
      else task.refuse(busy());
      return;
    }
    if (isSubmitted) this.#tasks.set(task.id, task);
    this.#unsettled.add(task);
    const when = whenOption("at", at);
    const delayMs = Math.max(0, "at" in when ? when.at - this.runtime.wall() : when.delayMs);
    if (expiresMs !== undefined) this.#expireAfter(task, delayMs, expiresMs);
    this.#schedule(task, delayMs);
  }

  /** What is to begin later can't wait too long before that. */
  #expireAfter(task: LocalTask, delayMs: number, ms: number): void {
    this.#timers.arm(task, delayMs + ms, () => {
      if (task.attempt > 0) return;
      const error = errorObject(ErrorCode.TaskExpired, `The task waited for more than ${ms} ms`);
      this.#settle(task, TaskStatus.Expired, { error });
    });
  }

  #schedule(task: LocalTask, delayMs: number): void {
    if (delayMs <= 0) {
      this.#enqueue(task);
      return;
    }
    task.become(TaskStatus.Scheduled);
    this.#timers.arm(task, delayMs, () => this.#enqueue(task));
  }

  #enqueue(task: LocalTask): void {
    const { method, options } = task.asked;
    const priority = options.priority ?? this.#describe(method)?.priority ?? 0;
    task.rank = this.runtime.now() - priority * priorityMs;
    task.become(TaskStatus.Queued);
    this.#slots.add(task);
  }

  #start(task: LocalTask): void {
    const { method, options } = task.asked;
    const { dispatcher, runtime } = this.#options;
    const timeoutMs = options.timeoutMs ?? this.#describe(method)?.timeoutMs;
    task.attempt++;
    const run = new LocalRun(task, timeoutMs, this);
    task.run = run;
    task.become(TaskStatus.Assigned);
    task.become(TaskStatus.Running);
    const timer = timeoutMs === undefined ? undefined : this.#endings.limit(task, run, timeoutMs);
    const onEnd = (response: Response | undefined): void => {
      timer?.cancel();
      this.#slots.leave(run);
      if (response !== undefined) this.#endings.onEnd(task, run, copied(response));
      for (const tell of run.stopping?.told ?? []) tell("cooperative");
    };
    dispatcher.dispatch(request(method, task.params, `${task.id}#${task.attempt}`), onEnd, run, runtime);
  }

  #settle(task: LocalTask, status: TaskStatus, outcome: Outcome): void {
    if (task.isOver || !this.#unsettled.delete(task)) return;
    const wasQueued = task.state === TaskStatus.Queued;
    this.#timers.cancel(task);
    task.settle(status, outcome);
    if (wasQueued) this.#slots.drop();
    if (this.#tasks.get(task.id) !== task) return;
    this.#settled.add(task.id);
    const [oldest] = this.#settled;
    if (this.#settled.size <= mostSettled || oldest === undefined) return;
    this.#settled.delete(oldest);
    this.#tasks.delete(oldest);
  }

  aheadOf(task: LocalTask): number {
    return this.#slots.aheadOf(task);
  }

  /** @throws what is known of it instead, such as that nobody knows it */
  async #see(task: LocalTask): Promise<void> {
    if (this.#isClosed) throw closed("The client is closed");
    await task.status();
  }
}

function isSame(task: LocalTask, method: string, params: Params): boolean {
  return task.asked.method === method && JSON.stringify(task.params) === JSON.stringify(params);
}
