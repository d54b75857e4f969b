// A task that was submitted: known by its id from the start, looked at and waited for when wanted.
import { milliseconds, type Params, type StopOutcome, type TaskStatus } from "zerotask-core";
import type { LogOptions } from "./events/feeds.ts";
import type { TaskEvent, TaskLogLine, TaskProgress } from "./events/task-event.ts";
import type { HandleHost } from "./handle-host.ts";
import type { Durability } from "./session.ts";
import type { StopOptions } from "./tasks/run-control.ts";
import type { Position, TrackedTask } from "./tasks/tracked-task.ts";
import { withTimeout } from "./timeout.ts";

/** `Args` are the params of its method. */
export class TaskHandle<Result = unknown, Args extends Params = Params> {
  readonly #host: HandleHost;
  #task: TrackedTask;

  /** @internal */
  constructor(task: TrackedTask, host: HandleHost) {
    this.#task = task;
    this.#host = host;
  }

  /**
   * The task's id, by which any client can find it: `client.$handle(id)`. A task that was submitted with `batch` may
   * be one that was there before: its id is known once `accepted` has resolved, and until then it is a proposal.
   */
  get id(): string {
    return this.#task.id;
  }

  /**
   * Resolves once the broker has taken the task, with how safe it is there: `"disk"` when it is on disk, `"memory"`
   * when it would be lost with the broker. Rejects when it was not taken: `BusyError`, `StoreFailedError`, …
   */
  get accepted(): Promise<Durability> {
    return this.#task.accepted();
  }

  /**
   * `"QUEUED"`, `"ASSIGNED"`, `"RUNNING"`, `"FINISHED"`, … Once the client that submitted the task was told that it is
   * `"FINISHED"`, that is what its handle says; of any other end the broker is asked anew, as others may have begun the
   * task again. @throws UnknownTaskError, BrokerUnavailableError */
  status(): Promise<TaskStatus> {
    return this.#task.status();
  }

  /**
   * Where it is in its queue. `ahead`: how many tasks would begin before it, by what is known now. `etaMs`: about how
   * long it is until it begins, from measured run times; `null` where nothing was measured yet. One that has begun has
   * none ahead. @throws UnknownTaskError, BrokerUnavailableError
   */
  position(): Promise<Position> {
    return this.#task.position();
  }

  /**
   * The task's result. Rejects with what the handler threw as `TaskFailedError`, or another `ZeroTaskError`
   * when the task ended otherwise.
   * @param timeoutMs after which it rejects with `TaskTimeoutError`; the task goes on. @default no bound
   */
  async wait(timeoutMs?: number): Promise<Result> {
    if (timeoutMs !== undefined) milliseconds("timeoutMs", timeoutMs);
    const { runtime, onWaiting } = this.#host;
    const outcome = withTimeout(
      this.#task.outcome() as Promise<Result>,
      timeoutMs,
      `task ${this.id}`,
      runtime,
    );
    if (onWaiting === undefined) return outcome;
    onWaiting(1);
    try {
      return await outcome;
    } finally {
      onWaiting(-1);
    }
  }

  /** The same as `wait`. */
  result(timeoutMs?: number): Promise<Result> {
    return this.wait(timeoutMs);
  }

  /**
   * What happens to the task: its changes of status, and what its handler emits. It begins with what the broker has
   * kept, tells each event once and in order, and ends after the one that settles the task; of a task that was settled
   * long ago that is all. The loop throws what `accepted` rejects with, UnknownTaskError, or ClientClosedError.
   */
  events(): AsyncIterable<TaskEvent> {
    return this.#host.eventsOf(this.#task);
  }

  /**
   * How far the task is, each time that its handler tells. It begins with what is kept, and ends when the task is
   * settled, however it ended: the outcome is what `wait` tells.
   */
  progress(): AsyncIterable<TaskProgress> {
    return this.#host.progressOf(this.#task);
  }

  /**
   * What the handler logs, from the first line that is kept.
   * @param options.follow whether to wait for more until the task is settled. @default true
   * @throws OptionError
   */
  logs(options: LogOptions = {}): AsyncIterable<TaskLogLine> {
    return this.#host.logsOf(this.#task, options);
  }

  /** Calls one of the two when the task is settled, also if that is already so. */
  callback(onResult: (result: Result) => void, onError: (error: Error) => void = () => undefined): this {
    (this.#task.outcome() as Promise<Result>).then(onResult, onError);
    return this;
  }

  /**
   * Stops the task, and resolves when it is known how that went: its handler's signal fires, it has `graceMs` to end, and
   * then its thread or process is ended. What was stopped is `STOPPED`, whatever its handler returned, and is not run
   * again, unless somebody wants it: `start`.
   * @throws OptionError, UnknownTaskError
   */
  async stop(options: StopOptions = {}): Promise<StopOutcome> {
    await this.#task.accepted();
    return this.#host.stop(this.id, options);
  }

  /** Starts a task that was stopped, on any node, under the same id. @throws UnknownTaskError; ConflictError when it is not `STOPPED` */
  async start(): Promise<void> {
    await this.#task.accepted();
    await this.#host.start(this.id);
    this.#watchAgain();
  }

  /**
   * Makes the task anew: what runs of it is stopped as by `stop`, and then it begins from the start, with other params if
   * some are given. One that is settled begins again, too. Resolves when it waits for a node.
   * @throws OptionError, UnknownTaskError; NotAllowedError when its run can't be stopped: it is made anew when that ends,
   * unless somebody stops it
   */
  async reload(params?: Args, options: StopOptions = {}): Promise<void> {
    await this.#task.accepted();
    await this.#host.reload(this.id, params, options);
    this.#watchAgain();
  }

  /** What was known of its outcome is none any more. */
  #watchAgain(): void {
    this.#task = this.#host.find(this.id);
  }
}
