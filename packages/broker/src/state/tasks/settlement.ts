// How tasks end: one outcome each, told to everybody who asked for it once it is stored.
import {
  Announcement,
  notification,
  type Outcome,
  Push,
  respond,
  type StopOutcome,
  stoppedError,
  TaskStatus,
} from "zerotask-core";
import type { Statuses } from "../events/statuses.ts";
import type { Load } from "../load.ts";
import type { MethodTable } from "../order/method-table.ts";
import type { Patience } from "../order/patience.ts";
import type { Scheduler } from "../order/scheduler.ts";
import type { ClientSession } from "../peers/client-session.ts";
import type { Sessions } from "../peers/sessions.ts";
import type { Backlog } from "../storage/backlog.ts";
import type { Storages } from "../storage/storages.ts";
import type { StoreChange } from "../storage/stored-task.ts";
import type { Turn } from "../turn.ts";
import type { Pin } from "./locals.ts";
import type { Stopping } from "./stops.ts";
import type { Task } from "./task.ts";
import type { TaskTable } from "./task-table.ts";
import { type SettledView, settledMessage, type Waiters } from "./waiters.ts";

export interface RetentionBounds {
  /** How many answers of one client are kept until it acknowledges them, and their bytes. */
  readonly maxReplay: number;
  readonly maxReplayBytes: number;
  /** How long outcomes are kept: of submitted tasks, of those that failed, and of those whose outcome nobody wants. */
  readonly resultTtlMs: number;
  readonly failedTtlMs: number;
  readonly replayMs: number;
}

export interface SettlementParts {
  readonly turn: Turn;
  readonly tasks: TaskTable;
  readonly scheduler: Scheduler;
  readonly storages: Storages;
  readonly backlog: Backlog;
  readonly sessions: Sessions;
  readonly waiters: Waiters;
  readonly load: Load;
  readonly methods: MethodTable;
  readonly patience: Patience;
  readonly statuses: Statuses;
  readonly retention: RetentionBounds;
  readonly handlers: SettlementHandlers;
}

export interface SettlementHandlers {
  /** What waited for this task can go on. */
  onLeft(task: Task): void;
  /** A shared run has ended: so it has for those who took part. `isFinal`: none of them is to be run again. */
  onSharedEnd(run: Task, status: TaskStatus, outcome: Outcome, bytes: number, isFinal: boolean): void;
  /** Nobody waits for the end of the run any more that was to be stopped. */
  onStopOver(stopping: Stopping, how: StopOutcome): void;
  /** What a node ran for itself has its outcome. @returns whether its record is kept */
  onLocalEnd(task: Task, pin: Pin): boolean;
  /** A stored task has its outcome. */
  onSettled(task: Task): void;
}

export class Settlement {
  readonly #parts: SettlementParts;

  constructor(parts: SettlementParts) {
    this.#parts = parts;
  }

  /** Records that it was stopped. @param how its run ended, where that is known */
  stop(task: Task, how: StopOutcome | undefined): void {
    this.settle(task, TaskStatus.Stopped, { error: stoppedError(how) }, 0);
  }

  /**
   * Records the one outcome that a task has, and tells everybody who asked for it, once that is stored.
   * @param isFinal of a shared run: whether those who take part in it may not be run again either
   */
  settle(task: Task, status: TaskStatus, outcome: Outcome, bytes: number, isFinal = false): void {
    if (task.settled !== undefined) return;
    const { handlers, patience, scheduler, storages, turn } = this.#parts;
    scheduler.drop(task);
    scheduler.unassign(task);
    patience.disarm(task);
    task.status = status;
    task.settled = { outcome, at: turn.now, bytes };
    task.lane.unsettled--;
    // Before a shared run that nobody is left in ends: what that tells has to wait until the outcome is stored, too.
    if (task.level !== undefined) storages.for(task.level).change(this.#settleChange(task, status, outcome));
    handlers.onLeft(task);
    const { stopping } = task;
    task.stopping = undefined;
    this.#end(task, status, outcome, bytes, isFinal);
    // What these tell has to wait until the outcome is stored.
    if (stopping === undefined) return;
    // Who stopped it without waiting did not end its run: that may go on.
    handlers.onStopOver(stopping, status === TaskStatus.Stopped ? "unstoppable" : "finished-first");
  }

  /** Tells the owner of an outcome, if it is there. */
  notifyOwner(ownerId: string, view: SettledView): void {
    const peer = this.#parts.sessions.clients.get(ownerId)?.peer;
    if (peer !== undefined) this.#parts.turn.send(peer, notification(Push.TaskSettled, settledMessage(view)));
  }

  /** Sends the answer to a call, perhaps once more. */
  answer(task: Task): void {
    const { settled, addressee, caller } = task;
    if (settled === undefined || addressee === undefined) return;
    const response = respond(task.requestId, settled.outcome);
    if (caller === undefined) {
      addressee.deliver(response);
      return;
    }
    caller.deliverAnswer(task, response);
    this.expireAnswers(caller, Number.NEGATIVE_INFINITY);
  }

  /** Gives up what a client has not acknowledged since `time`, or what is more than is kept. */
  expireAnswers(client: ClientSession, time: number): void {
    const { retention, tasks } = this.#parts;
    const { maxReplay, maxReplayBytes } = retention;
    for (const task of client.expireAnswers(time, maxReplay, maxReplayBytes)) tasks.remove(task);
  }

  #end(task: Task, status: TaskStatus, outcome: Outcome, bytes: number, isFinal: boolean): void {
    const { backlog, handlers, load, methods, scheduler, sessions } = this.#parts;
    const { statuses, storages, tasks, waiters } = this.#parts;
    if (task.members !== undefined) {
      tasks.remove(task);
      handlers.onSharedEnd(task, status, outcome, bytes, isFinal);
      methods.releaseLane(task.lane);
      scheduler.release(task.method);
      return;
    }
    const client = task.caller ?? sessions.clients.get(task.ownerId);
    load.remove(client, task.level, task.bytes);
    if (task.level === undefined) {
      const isKept = task.pin !== undefined && handlers.onLocalEnd(task, task.pin);
      if (!isKept) task.params = undefined;
      task.caller?.calls.delete(task);
      statuses.tellOutcome(task, outcome);
      if (waiters.count > 0) waiters.settle({ id: task.id, status, outcome });
      this.answer(task);
      if (!isKept && (task.caller === undefined || task.caller.isGone)) tasks.remove(task);
      methods.releaseLane(task.lane);
      scheduler.release(task.method);
      return;
    }
    const storage = storages.for(task.level);
    handlers.onSettled(task);
    storage.whenStored((failure) => {
      tasks.remove(task);
      backlog.release(task.bytes);
      methods.releaseLane(task.lane);
      scheduler.release(task.method);
      if (failure !== undefined) return;
      statuses.tellOutcome(task, outcome);
      this.#tell(task.ownerId, task.options.notify, { id: task.id, status, outcome });
    });
  }

  #settleChange(task: Task, status: TaskStatus, outcome: Outcome): StoreChange {
    const { turn, retention } = this.#parts;
    const hasFailed = status === TaskStatus.Failed || status === TaskStatus.Expired;
    // What failed is kept also where nobody waits for it: somebody will want to know why.
    const isDiscarded = task.options.discard === true && !hasFailed;
    const keptMs = hasFailed ? Math.max(retention.failedTtlMs, retention.resultTtlMs) : retention.resultTtlMs;
    return {
      type: "settle",
      id: task.id,
      status,
      attempt: task.attempt,
      // How it was stopped is asked for also where nobody wants its result.
      outcome: isDiscarded && status === TaskStatus.Finished ? undefined : JSON.stringify(outcome),
      settledAt: turn.now,
      // The record of what nobody wants is kept for as long as it may be submitted again, for want of an answer.
      forgetAt: turn.now + (isDiscarded ? retention.replayMs : keptMs),
    };
  }

  #tell(ownerId: string, notify: boolean | undefined, view: SettledView): void {
    const { sessions, turn, waiters } = this.#parts;
    if (notify === true) this.notifyOwner(ownerId, view);
    waiters.settle(view);
    if (sessions.clients.get(ownerId)?.token === undefined) {
      turn.announce(Announcement.TaskResultReady, { task_id: view.id });
    }
  }
}
