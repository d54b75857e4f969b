// One task in this process: where it stands, what is told of it, and its one outcome.
import {
  type ErrorObject,
  errorFromWire,
  isSettled,
  type Outcome,
  type Params,
  type Runtime,
  TaskStatus,
} from "zerotask-core";
import { deferred } from "../deferred.ts";
import type { TaskEvent, TaskLogLine } from "../events/task-event.ts";
import type { CallOptions } from "../options.ts";
import type { Durability } from "../session.ts";
import type { Position, TrackedTask } from "../tasks/tracked-task.ts";
import { Journal } from "./journal.ts";
import type { LocalEvents } from "./local-events.ts";
import type { LocalRun } from "./local-run.ts";
import type { LocalStream } from "./local-stream.ts";

export interface Asked {
  readonly id: string;
  readonly method: string;
  readonly params: Params;
  readonly options: CallOptions;
  /** The task that all began with. */
  readonly trace: string | undefined;
  readonly stream: LocalStream | undefined;
}

const mostEvents = 1_000;
const mostLines = 10_000;

/** What tasks of one process share. */
export interface LocalTaskHost {
  readonly runtime: Runtime;
  readonly events: LocalEvents;
  /** How many tasks would begin before this one. */
  aheadOf(task: LocalTask): number;
}

export class LocalTask implements TrackedTask {
  readonly asked: Asked;
  readonly events: Journal<TaskEvent> = new Journal<TaskEvent>(mostEvents);
  readonly lines: Journal<TaskLogLine> = new Journal<TaskLogLine>(mostLines);
  attempt = 0;
  failures = 0;
  reruns = 0;
  /** Where it stands among those that are queued: lower is earlier. */
  rank = 0;
  run: LocalRun | undefined;
  readonly #host: LocalTaskHost;
  readonly #outcome = deferred<unknown>();
  #state: TaskStatus = TaskStatus.Scheduled;
  #refusal: Error | undefined;

  constructor(asked: Asked, host: LocalTaskHost) {
    this.asked = asked;
    this.#host = host;
  }

  get id(): string {
    return this.asked.id;
  }

  get state(): TaskStatus {
    return this.#state;
  }

  get isOver(): boolean {
    return this.#refusal !== undefined || isSettled(this.#state);
  }

  /** It was not taken: nothing of it is known. */
  refuse(error: Error): void {
    this.#refusal = error;
    this.#outcome.reject(error);
    this.#end(error);
  }

  become(state: TaskStatus): void {
    this.#tellStatus(state, undefined);
  }

  settle(state: TaskStatus, outcome: Outcome): void {
    const error = "error" in outcome ? errorFromWire(outcome.error) : undefined;
    this.#tellStatus(state, "error" in outcome ? outcome.error : undefined);
    if ("result" in outcome) this.#outcome.resolve(outcome.result);
    else this.#outcome.reject(error as Error);
    this.#end(error);
  }

  /** The client was closed: nobody hears of it any more. */
  abandonBy(error: Error): void {
    this.#outcome.reject(error);
    this.#end(error);
  }

  tell(event: string, data: unknown): void {
    const { id: taskId, method } = this.asked;
    this.events.add((seq) => {
      const told = { seq, at: new Date(this.#host.runtime.wall()), taskId, method, event, data };
      this.#host.events.tell(told);
      return told;
    });
  }

  log(level: TaskLogLine["level"], attempt: number, message: string, data: unknown): void {
    this.lines.add((seq) => ({
      seq,
      at: new Date(this.#host.runtime.wall()),
      attempt,
      level,
      message,
      data,
    }));
  }

  async accepted(): Promise<Durability> {
    this.#throwIfRefused();
    return "memory";
  }

  async status(): Promise<TaskStatus> {
    this.#throwIfRefused();
    return this.#state;
  }

  async position(): Promise<Position> {
    this.#throwIfRefused();
    return { ahead: this.#host.aheadOf(this), etaMs: null };
  }

  outcome(): Promise<unknown> {
    return this.#outcome.promise;
  }

  /** Others may wait for it as well. */
  abandon(): void {}

  #tellStatus(status: TaskStatus, error: ErrorObject | undefined): void {
    this.#state = status;
    this.tell("status", { status, attempt: this.attempt, ...(error !== undefined && { error }) });
  }

  #end(error: Error | undefined): void {
    this.events.end();
    this.lines.end();
    this.asked.stream?.end(error);
  }

  #throwIfRefused(): void {
    if (this.#refusal !== undefined) throw this.#refusal;
  }
}
