// A task that was submitted: known by its id from the start, looked at and waited for when wanted.
import { milliseconds, type Runtime, type TaskStatus } from "zerotask-core";
import type { Durability } from "./session.ts";
import type { Position, TrackedTask } from "./tasks/tracked-task.ts";
import { withTimeout } from "./timeout.ts";

export class TaskHandle<Result = unknown> {
  readonly #task: TrackedTask;
  readonly #runtime: Runtime;

  /** @internal */
  constructor(task: TrackedTask, runtime: Runtime) {
    this.#task = task;
    this.#runtime = runtime;
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

  /** `"QUEUED"`, `"ASSIGNED"`, `"RUNNING"`, `"FINISHED"`, … @throws UnknownTaskError, BrokerUnavailableError */
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
    return withTimeout(this.#task.outcome() as Promise<Result>, timeoutMs, `task ${this.id}`, this.#runtime);
  }

  /** The same as `wait`. */
  result(timeoutMs?: number): Promise<Result> {
    return this.wait(timeoutMs);
  }

  /** Calls one of the two when the task is settled, also if that is already so. */
  callback(onResult: (result: Result) => void, onError: (error: Error) => void = () => undefined): this {
    (this.#task.outcome() as Promise<Result>).then(onResult, onError);
    return this;
  }
}
