// Runs that are to end before their tasks go on: how they end is waited for, so that no two runs of a task overlap.
import {
  ErrorCode,
  type ErrorObject,
  errorObject,
  isSettled,
  notification,
  type Outcome,
  Push,
  TaskStatus,
} from "zerotask-core";
import { LOCAL_PEER, type Turn } from "../turn.ts";
import type { Runs } from "./runs.ts";
import type { Settlement } from "./settlement.ts";
import type { Task } from "./task.ts";
import type { TaskLife } from "./task-life.ts";

/** How a task was stopped that somebody wanted to be stopped. */
export type StopOutcome = "never-started" | "finished-first" | "cooperative" | "killed" | "unstoppable";

/** What becomes of the task when its run has ended. */
export type StopReason =
  /** It is STOPPED. */
  | { readonly type: "stop" }
  /** It ran for too long, and is run again. */
  | { readonly type: "overrun"; readonly error: ErrorObject }
  /** It is run anew; `resume` does that. */
  | { readonly type: "reload"; readonly resume: () => void; readonly hasParams: boolean };

export type ToldStop = (how: StopOutcome) => void;

/** A run that a node was told to end. */
export interface Stopping {
  readonly reason: StopReason;
  readonly graceMs: number;
  /** Who waits to hear how it ends. */
  readonly told: ToldStop[];
}

export interface StopParts {
  readonly turn: Turn;
  readonly settlement: Settlement;
  readonly life: TaskLife;
  /** Made after this. */
  readonly runs: () => Runs;
}

/** How much time the run of a task has to end that took too long and is run again. */
const overrunGraceMs = 5_000;

/** What a node answers for an attempt that it was told to end: how that went. */
export function howOf(outcome: Outcome): StopOutcome | undefined {
  if (!("error" in outcome) || outcome.error.code !== ErrorCode.TaskStopped) return undefined;
  const how = (outcome.error.data as { readonly how?: unknown } | undefined)?.how;
  return how === "cooperative" || how === "killed" || how === "never-started" ? how : undefined;
}

export class Stops {
  readonly #parts: StopParts;

  constructor(parts: StopParts) {
    this.#parts = parts;
  }

  /** Ends a task: at once where it does not run, and else when its run has ended. */
  stop(task: Task, graceMs: number, then: ToldStop): void {
    const run = ownRunOf(task);
    if (isSettled(task.status)) then("finished-first");
    else if (run !== undefined) this.#begin(run, { type: "stop" }, graceMs, then);
    else {
      this.#parts.life.stop(task);
      then("never-started");
    }
  }

  /**
   * Ends the run of a task, which then goes on by `resume`; at once where it does not run.
   * @param hasParams whether `resume` gives it other params
   */
  reload(task: Task, graceMs: number, resume: () => void, hasParams: boolean, then: ToldStop): void {
    const run = ownRunOf(task);
    if (run !== undefined) this.#begin(run, { type: "reload", resume, hasParams }, graceMs, then);
    else {
      resume();
      then("never-started");
    }
  }

  /** Ends a run that took too long, before the task is run again. */
  overrun(task: Task, error: ErrorObject): void {
    this.#begin(task, { type: "overrun", error }, overrunGraceMs, () => undefined);
  }

  /** The node has the task on another connection now: what it was told may have got lost on the old one. */
  remind(task: Task): void {
    if (task.stopping !== undefined) this.#tell(task, task.stopping.graceMs);
  }

  /** The run has ended, with this outcome. @returns whether that was waited for here */
  end(task: Task, status: TaskStatus, outcome: Outcome, bytes: number): boolean {
    const { stopping } = task;
    if (stopping === undefined) return false;
    const how = howOf(outcome);
    if (how !== undefined) this.#goOn(task, stopping, how);
    else if (stopping.reason.type === "reload") this.#goOn(task, stopping, "finished-first");
    else if (wantsAnotherRun(outcome)) this.#goOn(task, stopping, "cooperative");
    else if (stopping.reason.type === "stop" || status === TaskStatus.Finished) {
      // It ended by itself before it heard of this.
      this.#parts.settlement.settle(task, status, outcome, bytes);
    } else this.#goOn(task, stopping, "cooperative");
    return true;
  }

  /** The run is over without an answer: its node is gone, or had not begun it. @returns whether that was waited for here */
  lose(task: Task, how: "killed" | "never-started"): boolean {
    const { stopping } = task;
    if (stopping === undefined) return false;
    this.#goOn(task, stopping, how);
    return true;
  }

  /** The node can't end this run. */
  onUnstoppable(task: Task): void {
    const { stopping } = task;
    if (stopping === undefined) return;
    for (const tell of stopping.told.splice(0)) tell("unstoppable");
    if (stopping.reason.type !== "overrun") return;
    // It may go on for ever, and is not run a second time beside that.
    const { code, message } = stopping.reason.error;
    const error = errorObject(code, `${message}, and can't be stopped: it is not run again`);
    this.#parts.settlement.settle(task, TaskStatus.Expired, { error }, 0);
  }

  #begin(task: Task, reason: StopReason, graceMs: number, then: ToldStop): void {
    const before = task.stopping;
    const isKept = before !== undefined && comesBefore(before.reason, reason);
    const told = before?.told ?? [];
    told.push(then);
    task.stopping = {
      reason: isKept ? before.reason : reason,
      graceMs: Math.min(graceMs, before?.graceMs ?? graceMs),
      told,
    };
    this.#tell(task, task.stopping.graceMs);
  }

  #tell(task: Task, grace_ms: number): void {
    const { node, attemptId } = task;
    // Handlers in the broker's own process, and on nodes that ask for their tasks, can't be told.
    if (node?.peer === undefined || node.peer === LOCAL_PEER) this.onUnstoppable(task);
    else {
      // A node has to know which of its own tasks go on, also where this broker will not be there to tell.
      const again = task.pin !== undefined && task.stopping?.reason.type !== "stop";
      const stop = { id: attemptId, grace_ms, ...(again && { again }) };
      this.#parts.turn.send(node.peer, notification(Push.TaskStop, stop));
    }
  }

  #goOn(task: Task, { reason, told }: Stopping, how: StopOutcome): void {
    switch (reason.type) {
      case "stop":
        this.#settleStopped(task, told, how);
        break;
      case "overrun":
        task.stopping = undefined;
        this.#parts.runs().end(task, TaskStatus.Expired, { error: reason.error }, 0);
        break;
      case "reload":
        task.stopping = undefined;
        reason.resume();
        for (const tell of told) tell(how);
        break;
    }
  }

  #settleStopped(task: Task, told: readonly ToldStop[], how: StopOutcome): void {
    task.stopping = undefined;
    const error = errorObject(ErrorCode.TaskStopped, "The task was stopped", { how });
    this.#parts.settlement.settle(task, TaskStatus.Stopped, { error }, 0);
    for (const tell of told) tell(how);
  }
}

/** That is no outcome of its own. */
function wantsAnotherRun(outcome: Outcome): boolean {
  return "error" in outcome && outcome.error.code === ErrorCode.RunAgain;
}

/** What runs for this task alone: it ends with the task. */
function ownRunOf(task: Task): Task | undefined {
  if (task.node !== undefined) return task;
  const { shared } = task;
  return shared?.members?.size === 1 && shared.node !== undefined ? shared : undefined;
}

/** What is to be stopped is not run again; what is to be made anew is, with the params that were given for it. */
function comesBefore(before: StopReason, reason: StopReason): boolean {
  if (before.type === "stop" || reason.type === "overrun") return true;
  return before.type === "reload" && reason.type === "reload" && !reason.hasParams;
}
