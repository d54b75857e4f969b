// What somebody wanted to become of tasks while they wait or run (stop, start, reload), and whether that was so.
//
// What was asked for at the same time may come in any order: an answer counts against what was answered before it was
// asked for. What was never answered, as its client is gone or it failed, may still happen at any time.
import type { StopOutcome } from "zerotask-client";
import { ErrorCode, isSettled } from "zerotask-core";
import type { StoreChange, StoredTask } from "../../packages/broker/src/state/storage/stored-task.ts";
import { type HandlerRun, type HandlerRuns, nameOf } from "./handler-runs.ts";

export type InterventionKind = "stop" | "start" | "reload";

export interface Intervention {
  readonly kind: InterventionKind;
  readonly id: string;
  /** Of new params, if there are some. */
  readonly mark: number | undefined;
  readonly requested: number;
  /** When it was answered that it was so. */
  done: number | undefined;
  how: StopOutcome | undefined;
}

export interface InterventionParts {
  /** Milliseconds since the simulation began. */
  now(): number;
  fail(message: string): void;
  readonly runs: HandlerRuns;
  stored(id: string): StoredTask | undefined;
  isAcknowledged(id: string): boolean;
}

/** Where in their params tasks have the mark that a reload gives them. */
export const markAt = 4;
const quiet: readonly (string | undefined)[] = ["never-started", "cooperative", "killed"];

export class Interventions {
  readonly #parts: InterventionParts;
  readonly #byTask = new Map<string, Intervention[]>();
  /** When tasks on disk were last settled, and last begun again. */
  readonly #settledAt = new Map<string, number>();
  readonly #revivedAt = new Map<string, number>();
  readonly outcomes: { [name: string]: number } = {};
  #marks = 0;

  constructor(parts: InterventionParts) {
    this.#parts = parts;
  }

  nextMark(): number {
    return ++this.#marks;
  }

  /** Whether anybody ever wanted anything of this kind of the task. */
  isTouched(id: string, kind?: InterventionKind): boolean {
    const all = this.#byTask.get(id);
    return all !== undefined && (kind === undefined || all.some((other) => other.kind === kind));
  }

  ask(kind: InterventionKind, id: string, mark?: number): Intervention {
    const asked: Intervention = {
      ...{ kind, id, mark, requested: this.#parts.now() },
      ...{ done: undefined, how: undefined },
    };
    const all = this.#byTask.get(id);
    if (all === undefined) this.#byTask.set(id, [asked]);
    else all.push(asked);
    return asked;
  }

  /** It was answered that this is so. */
  onDone(asked: Intervention, how?: StopOutcome): void {
    const { id, kind, requested } = asked;
    asked.done = this.#parts.now();
    asked.how = how;
    const stored = this.#parts.stored(id);
    this.#count(how === undefined ? kind : `${kind} ${how}`);
    if (how === "finished-first" && !this.#wasSettledSince(id, requested))
      this.#parts.fail(`${id} was told to have finished first, and is ${this.#parts.stored(id)?.status}`);
    if (
      how === "unstoppable" &&
      stored !== undefined &&
      isSeen(stored) &&
      !this.#isStoppedAtOnce(id) &&
      !this.#parts.runs.ranSince(id, requested)
    )
      this.#parts.fail(`${id} was told to be unstoppable, and did not run since ${requested}`);
    if (!this.#isQuiet(asked)) return;
    if (stored !== undefined && !isSettled(stored.status))
      this.#parts.fail(`${id} was told to be stopped (${how}), and is ${stored.status}`);
    const [run] = this.#parts.runs.counted(id);
    if (run !== undefined) this.#parts.fail(`${nameOf(run)} goes on, though its end was told: ${how}`);
  }

  /** Somebody had it settled without waiting for its run: that may go on, as far as a broker can tell. */
  #isStoppedAtOnce(id: string): boolean {
    const all = this.#byTask.get(id) ?? [];
    return all.some(({ kind, how }) => kind === "stop" && how === undefined);
  }

  onFailed({ id, kind }: Intervention, name: string): void {
    this.#count(`${kind} ${name}`);
    if (kind === "stop" && name === "UnknownTaskError" && this.#parts.isAcknowledged(id))
      this.#parts.fail(`${id}, which was acknowledged, can't be stopped: ${name}`);
  }

  /** A handler begins. */
  onBegin(run: HandlerRun): void {
    const all = this.#byTask.get(run.taskId);
    if (all === undefined || !this.#parts.runs.isCounted(run)) return;
    const stop = all.find((other) => this.#isQuiet(other));
    if (stop !== undefined)
      this.#parts.fail(`${nameOf(run)} began, though it was stopped at ${stop.done}: ${stop.how}`);
    this.#checkParams(run, all);
  }

  onChange(change: StoreChange, before: StoredTask | undefined): void {
    if (before === undefined) return;
    if (change.type === "settle" && !isSettled(before.status))
      this.#settledAt.set(change.id, this.#parts.now());
    if (change.type === "revive" && isSettled(before.status))
      this.#revivedAt.set(change.id, this.#parts.now());
  }

  /** Everything was healed and had its time. */
  checkAtEnd(): void {
    for (const [id, all] of this.#byTask)
      for (const asked of all) if (asked.kind === "start") this.#checkStarted(id, asked, all);
  }

  #count(name: string): void {
    this.outcomes[name] = (this.outcomes[name] ?? 0) + 1;
  }

  /** Whether nothing of the task may run since it was stopped. What is in memory only is lost with a broker. */
  #isQuiet({ id, kind, done, how, requested }: Intervention): boolean {
    if (kind !== "stop" || done === undefined || !quiet.includes(how) || !this.#isOnDisk(id)) return false;
    const all = this.#byTask.get(id) ?? [];
    return !all.some((other) => other.kind !== "stop" && (other.done ?? done) >= requested);
  }

  #isOnDisk(id: string): boolean {
    return this.#parts.stored(id) !== undefined;
  }

  #wasSettledSince(id: string, time: number): boolean {
    const stored = this.#parts.stored(id);
    if (stored === undefined || isSettled(stored.status)) return true;
    return (this.#revivedAt.get(id) ?? -1) >= time;
  }

  #checkParams(run: HandlerRun, all: readonly Intervention[]): void {
    if (!this.#isOnDisk(run.taskId)) return;
    const reloads = all.filter(({ kind, mark }) => kind === "reload" && mark !== undefined);
    const isReplaced = (since: number): boolean =>
      reloads.some(({ done, requested }) => done !== undefined && requested > since);
    const mark = (run.params[markAt] ?? 0) as number;
    const given = reloads.find((reload) => reload.mark === mark);
    const replacedSince = given === undefined ? -1 : (given.done ?? Number.POSITIVE_INFINITY);
    if (mark !== 0 && given === undefined) this.#parts.fail(`${nameOf(run)} has params of nobody: ${mark}`);
    if (isReplaced(replacedSince)) {
      const latest = reloads.map(({ mark: of, done }) => `${of} at ${done}`).join(", ");
      this.#parts.fail(`${nameOf(run)} began with the params ${mark}, which were replaced: ${latest}`);
    }
  }

  #checkStarted(id: string, { done, requested }: Intervention, all: readonly Intervention[]): void {
    const stored = this.#parts.stored(id);
    if (done === undefined || stored === undefined || this.#parts.runs.beganSince(id, requested)) return;
    // It may have been stopped once more, or not been let in beside another one.
    if (all.some((other) => other.kind === "stop" && (other.done ?? done) >= requested)) return;
    const { outcome = "" } = stored;
    if (outcome.includes('"reason":"singleton"') || outcome.includes(`${ErrorCode.NodeLost}`)) return;
    // Its time may be over before a node that has it begins it.
    if (outcome.includes(`${ErrorCode.TaskExpired}`)) return;
    if (!isSeen(stored)) return;
    this.#parts.fail(`${id} was started at ${requested}, and did not run: it is ${stored.status}`);
  }
}

/** Those who take part in a run with others have none of their own. */
function isSeen({ method }: StoredTask): boolean {
  return method !== "shared" && method !== "gathered";
}
