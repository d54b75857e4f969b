// One task in this process: where it stands, what is told of it, and its one outcome.
import {
  EventName,
  errorFromWire,
  howStopped,
  isSettled,
  type Outcome,
  type Params,
  type Runtime,
  type StopOutcome,
  TaskStatus,
} from "zerotask-core";
import { type Deferred, deferred } from "../deferred.ts";
import type { TaskEvent, TaskLogLine } from "../events/task-event.ts";
import type { CallOptions } from "../options.ts";
import type { Durability } from "../session.ts";
import type { Position, TrackedTask } from "../tasks/tracked-task.ts";
import { Journal } from "./journal.ts";
import { gapAfter, type LocalEvents } from "./local-events.ts";
import { inputsOf } from "./local-input.ts";
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
const mostLines = 1_000;
const mostError = 10_000;

/** What tasks of one process share. */
export interface LocalTaskHost {
  readonly runtime: Runtime;
  readonly events: LocalEvents;
  /** How many tasks would begin before this one. */
  aheadOf(task: LocalTask): number;
}

export class LocalTask implements TrackedTask {
  readonly asked: Asked;
  readonly events: Journal<TaskEvent> = new Journal(mostEvents, gapAfter);
  readonly lines: Journal<TaskLogLine> = new Journal(mostLines, missingLines);
  /** Those of its next run. */
  params: Params;
  attempt = 0;
  failures = 0;
  reruns = 0;
  /** Where it stands among those that are queued: lower is earlier. */
  rank = 0;
  run: LocalRun | undefined;
  readonly #host: LocalTaskHost;
  #outcome: Deferred<unknown> = deferred<unknown>();
  #state: TaskStatus = TaskStatus.Scheduled;
  #told: TaskStatus | undefined;
  /** How it was stopped, if it was. */
  #how: StopOutcome = "never-started";
  #refusal: Error | undefined;
  #abandoned: Error | undefined;

  constructor(asked: Asked, host: LocalTaskHost) {
    this.asked = asked;
    this.params = asked.params;
    this.#host = host;
  }

  get id(): string {
    return this.asked.id;
  }

  get state(): TaskStatus {
    return this.#state;
  }

  /** How it came to its end, for who wants it to be stopped; `undefined` while it has not. */
  get ending(): StopOutcome | undefined {
    if (!this.isOver) return undefined;
    return this.#state === TaskStatus.Stopped ? this.#how : "finished-first";
  }

  get isOver(): boolean {
    return this.#refusal !== undefined || isSettled(this.#state);
  }

  /** Whether nothing has flowed that a second run would miss. */
  get isRepeatable(): boolean {
    return inputsOf(this.params).length === 0 && this.asked.stream?.hasFlowed !== true;
  }

  /** It was not taken: nothing of it is known. */
  refuse(error: Error): void {
    this.#refusal = error;
    this.#outcome.reject(error);
    this.#end(error, error);
  }

  become(state: TaskStatus): void {
    this.#tellStatus(state);
  }

  /** It is made anew, whether it was settled or not: what was told of it is kept. */
  renew(params: Params): void {
    this.params = params;
    this.failures = 0;
    this.reruns = 0;
    if (!this.isOver) return;
    this.#outcome = deferred();
    this.events.reopen();
    this.lines.reopen();
  }

  settle(state: TaskStatus, outcome: Outcome): void {
    const error = "error" in outcome ? errorFromWire(outcome.error) : undefined;
    if ("error" in outcome) this.#how = howStopped(outcome) ?? "never-started";
    this.#tellStatus(state, error?.message);
    if ("result" in outcome) this.#outcome.resolve(outcome.result);
    else this.#outcome.reject(error as Error);
    this.#end(undefined, error);
  }

  /** The client was closed: nobody hears of it any more. */
  abandonBy(error: Error): void {
    this.#abandoned = error;
    this.#outcome.reject(error);
    this.#end(error, error);
  }

  tell(event: string, data: unknown): void {
    if (this.events.hasEnded) return;
    const { id: taskId, method } = this.asked;
    const { events, runtime } = this.#host;
    const told = { seq: events.nextSeq(), at: new Date(runtime.wall()), taskId, method, event, data };
    this.events.add(told);
    events.tell(told);
  }

  log(level: TaskLogLine["level"], attempt: number, message: string, data: unknown): void {
    if (this.lines.hasEnded) return;
    const { events, runtime } = this.#host;
    const at = new Date(runtime.wall());
    this.lines.add({ seq: events.nextSeq(), at, attempt, level, message, data });
  }

  async accepted(): Promise<Durability> {
    this.#throwIfRefused();
    return "memory";
  }

  async status(): Promise<TaskStatus> {
    this.#throwIfUnknown();
    return this.#state;
  }

  async position(): Promise<Position> {
    this.#throwIfUnknown();
    return { ahead: this.#host.aheadOf(this), etaMs: null };
  }

  outcome(): Promise<unknown> {
    return this.#outcome.promise;
  }

  /** Others may wait for it as well. */
  abandon(): void {}

  #tellStatus(status: TaskStatus, error?: string): void {
    this.#state = status;
    if (this.#told === status) return;
    this.#told = status;
    const { attempt } = this;
    this.tell(
      EventName.Status,
      error === undefined ? { status, attempt } : { status, attempt, error: shortened(error) },
    );
  }

  /** @param thrown what those who follow it get @param error what who reads its items gets */
  #end(thrown: Error | undefined, error: Error | undefined): void {
    this.events.end(thrown);
    this.lines.end(thrown);
    this.asked.stream?.end(error);
    for (const input of inputsOf(this.params)) input.close();
  }

  #throwIfUnknown(): void {
    this.#throwIfRefused();
    if (this.#abandoned !== undefined) throw this.#abandoned;
  }

  #throwIfRefused(): void {
    if (this.#refusal !== undefined) throw this.#refusal;
  }
}

function shortened(error: string): string {
  return error.length <= mostError ? error : `${error.slice(0, mostError)}…`;
}

function missingLines({ seq, at }: TaskLogLine): TaskLogLine {
  const message = "Lines are missing here: they are kept no longer";
  return { seq, at, attempt: 0, level: "warn", message, data: undefined };
}
