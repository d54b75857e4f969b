// Runs that are to end before their tasks go on: how they end is waited for, so that no two runs of a task overlap.
import {
  type Deadline,
  type Deadlines,
  ErrorCode,
  type ErrorObject,
  errorObject,
  howStopped,
  isSettled,
  notification,
  type Outcome,
  Push,
  type StopOutcome,
  TaskStatus,
} from "zerotask-core";
import type { Due } from "../due.ts";
import type { Addressee } from "../peers/addressee.ts";
import { LOCAL_PEER, type Turn } from "../turn.ts";
import type { Runs } from "./runs.ts";
import type { Settlement } from "./settlement.ts";
import type { Task } from "./task.ts";
import type { TaskLife } from "./task-life.ts";
import type { Place, Waiters } from "./waiters.ts";

/** What becomes of the task when its run has ended. */
export type StopReason =
  /** It is STOPPED. */
  | { readonly type: "stop" }
  /** It ran for too long, and is run again. */
  | { readonly type: "overrun"; readonly error: ErrorObject }
  /** It is run anew; `resume` does that. */
  | { readonly type: "reload"; readonly resume: () => void; readonly hasParams: boolean };

/** Who wants a run to end, and is told how it went. */
export interface Asker {
  readonly addressee: Addressee;
  readonly isStranger: boolean;
  readonly tell: (how: StopOutcome) => void;
}

/** A run that a node was told to end. */
export interface Stopping {
  reason: StopReason;
  graceMs: number;
  /** Who waits to hear how it ends, each with its place among all who wait. */
  readonly askers: Map<Asker, Place>;
  /** When its node must have said how it went. */
  deadline: Deadline<Due> | undefined;
  /** It is known to go on. */
  isUnstoppable: boolean;
  /** It is to end for another reason, and its time is over as well. */
  overran: ErrorObject | undefined;
}

export interface StopParts {
  readonly turn: Turn;
  readonly deadlines: Deadlines<Due>;
  readonly waiters: Waiters;
  readonly settlement: Settlement;
  readonly life: TaskLife;
  /** Made after this. */
  readonly runs: () => Runs;
}

/** How much time the run of a task has to end that took too long and is run again. */
const overrunGraceMs = 5_000;

/** How much longer than a run has time to end its node is waited for. */
const nodeGraceMs = 5_000;

/** How a task came to its end that is settled, for who wants it to be stopped, or asks once more. */
export function howSettled({ status }: Pick<Task, "status">, outcome: Outcome | undefined): StopOutcome {
  if (status !== TaskStatus.Stopped) return "finished-first";
  return (outcome && howStopped(outcome)) ?? "unstoppable";
}

/** How a task ends that is stopped at once: nobody knows that where a run of its own may go on. */
export function howAtOnce(task: Task): StopOutcome | undefined {
  return ownRunOf(task) === undefined ? howWithoutRun(task) : undefined;
}

export class Stops {
  readonly #parts: StopParts;

  constructor(parts: StopParts) {
    this.#parts = parts;
  }

  /**
   * Ends a task: at once where it does not run by itself, and else when its run has ended.
   * @throws Refusal when too many requests wait already
   */
  stop(task: Task, graceMs: number, asker: Asker): void {
    const run = ownRunOf(task);
    if (isSettled(task.status)) asker.tell(howSettled(task, task.settled?.outcome));
    else if (run !== undefined) this.#begin(run, { type: "stop" }, graceMs, asker);
    else {
      const how = howWithoutRun(task);
      this.#parts.life.stop(task, how);
      asker.tell(how);
    }
  }

  /**
   * Ends the run of a task, which then goes on by `resume`; at once where it does not run.
   * @param hasParams whether `resume` gives it other params
   * @throws Refusal when too many requests wait already
   */
  reload(task: Task, graceMs: number, resume: () => void, hasParams: boolean, asker: Asker): void {
    const run = ownRunOf(task);
    if (run !== undefined) this.#begin(run, { type: "reload", resume, hasParams }, graceMs, asker);
    else {
      resume();
      asker.tell("never-started");
    }
  }

  /** Ends a run that took too long, before the task is run again. */
  overrun(task: Task, error: ErrorObject): void {
    const { stopping } = task;
    if (stopping !== undefined) stopping.overran = error;
    if (stopping?.reason.type === "stop" && stopping.isUnstoppable) this.#expire(task, error);
    else this.#begin(task, { type: "overrun", error }, overrunGraceMs, undefined);
  }

  /** The node has the task on another connection now: what it was told may have got lost on the old one. */
  remind(task: Task): void {
    if (task.stopping === undefined) return;
    // However often that happens, who asked for the end waits no longer.
    const { isUnstoppable, deadline } = task.stopping;
    const isTold = deadline !== undefined && !isUnstoppable;
    this.#tell(task, task.stopping, isTold ? deadline.at : undefined);
  }

  /** The run has ended, with this outcome. @returns whether that was waited for here */
  end(task: Task, status: TaskStatus, outcome: Outcome, bytes: number): boolean {
    const { stopping } = task;
    if (stopping === undefined) return false;
    const how = howStopped(outcome);
    if (how !== undefined) this.#goOn(task, stopping, how);
    else if (stopping.reason.type === "reload") this.#goOn(task, stopping, "finished-first");
    else if (wantsAnotherRun(outcome)) this.#goOn(task, stopping, "cooperative");
    else if (stopping.reason.type === "stop" || status === TaskStatus.Finished) {
      // It ended by itself before it heard of this.
      this.#parts.settlement.settle(task, status, outcome, bytes, true);
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

  /** The node can't end this run, or has not said what became of it. */
  onUnstoppable(task: Task): void {
    const { stopping } = task;
    if (stopping === undefined) return;
    stopping.isUnstoppable = true;
    this.close(stopping, "unstoppable");
    const { reason, overran } = stopping;
    const error = reason.type === "overrun" ? reason.error : overran;
    // What is to be made anew goes on when this run has ended.
    if (error !== undefined && reason.type !== "reload") this.#expire(task, error);
  }

  /** It may go on for ever, and is not run a second time beside that. */
  #expire(task: Task, { code, message }: ErrorObject): void {
    const error = errorObject(code, `${message}, and can't be stopped: it is not run again`);
    this.#parts.settlement.settle(task, TaskStatus.Expired, { error }, 0, true);
  }

  /** Tells all who wait for it. */
  close(stopping: Stopping, how: StopOutcome): void {
    this.#disarm(stopping);
    const askers = [...stopping.askers];
    stopping.askers.clear();
    for (const [{ tell }, place] of askers) {
      this.#parts.waiters.giveBack(place);
      tell(how);
    }
  }

  #begin(task: Task, reason: StopReason, graceMs: number, asker: Asker | undefined): void {
    const before = task.stopping;
    const stopping = before ?? newStopping(reason, graceMs);
    if (asker !== undefined) this.#wait(asker, stopping);
    task.stopping = stopping;
    const wasAgain = isAgain(task);
    if (!comesBefore(stopping.reason, reason)) {
      if (stopping.reason.type === "overrun") stopping.overran = stopping.reason.error;
      stopping.reason = reason;
    }
    const isSooner = before === undefined || graceMs < stopping.graceMs;
    if (isSooner) stopping.graceMs = graceMs;
    if (isSooner || wasAgain !== isAgain(task)) this.#tell(task, stopping);
    else if (stopping.isUnstoppable) this.onUnstoppable(task);
  }

  #wait(asker: Asker, { askers }: Stopping): void {
    const { addressee, isStranger } = asker;
    askers.set(
      asker,
      this.#parts.waiters.take(addressee, isStranger, () => askers.delete(asker)),
    );
  }

  /** @param until when its node is to have said how it went @default when it has had the time for that */
  #tell(task: Task, stopping: Stopping, until?: number): void {
    const { node, attemptId } = task;
    const { deadlines, turn } = this.#parts;
    // Handlers in the broker's own process, and on nodes that ask for their tasks, can't be told.
    if (node?.peer === undefined || node.peer === LOCAL_PEER) {
      this.onUnstoppable(task);
      return;
    }
    const { graceMs } = stopping;
    stopping.isUnstoppable = false;
    this.#disarm(stopping);
    stopping.deadline = deadlines.add(until ?? turn.now + graceMs + nodeGraceMs, { type: "stopping", task });
    // A node has to know which of its own tasks go on, also where this broker will not be there to tell.
    const stop = { id: attemptId, grace_ms: graceMs, ...(isAgain(task) && { again: true }) };
    turn.send(node.peer, notification(Push.TaskStop, stop));
  }

  #disarm(stopping: Stopping): void {
    if (stopping.deadline !== undefined) this.#parts.deadlines.delete(stopping.deadline);
    stopping.deadline = undefined;
  }

  #goOn(task: Task, stopping: Stopping, how: StopOutcome): void {
    const { reason } = stopping;
    const { runs, settlement } = this.#parts;
    task.stopping = undefined;
    this.#disarm(stopping);
    switch (reason.type) {
      case "stop":
        settlement.stop(task, how);
        break;
      case "overrun":
        runs().end(task, TaskStatus.Expired, { error: reason.error }, 0);
        break;
      case "reload":
        reason.resume();
        break;
    }
    this.close(stopping, how);
  }
}

function newStopping(reason: StopReason, graceMs: number): Stopping {
  return {
    ...{ reason, graceMs, askers: new Map(), deadline: undefined },
    ...{ isUnstoppable: false, overran: undefined },
  };
}

/** Whether a task of its node's own goes on when this run has ended. */
function isAgain({ pin, stopping }: Task): boolean {
  return pin !== undefined && stopping !== undefined && stopping.reason.type !== "stop";
}

/** That is no outcome of its own. */
function wantsAnotherRun(outcome: Outcome): boolean {
  return "error" in outcome && outcome.error.code === ErrorCode.RunAgain;
}

/** What is RUNNING without a node is a stream whose node was lost. */
function howWithoutRun({ status }: Task): StopOutcome {
  return status === TaskStatus.Running ? "killed" : "never-started";
}

/** What runs for this task alone: it ends with the task. */
export function ownRunOf(task: Task): Task | undefined {
  if (task.node !== undefined) return task;
  const { shared } = task;
  return shared?.members?.size === 1 && shared.node !== undefined ? shared : undefined;
}

/** What is to be stopped is not run again; what is to be made anew is, with the params that were given for it. */
function comesBefore(before: StopReason, reason: StopReason): boolean {
  if (before.type === "stop" || reason.type === "overrun") return true;
  return before.type === "reload" && reason.type === "reload" && !reason.hasParams;
}
