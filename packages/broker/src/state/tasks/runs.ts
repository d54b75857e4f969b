// What comes of a task's runs: an outcome, another run, or a node that was lost with it.
import {
  defaultMaxRetries,
  ErrorCode,
  type ErrorObject,
  errorObject,
  howStopped,
  mayBeRetried,
  notification,
  type Outcome,
  Push,
  rerunDelay,
  retryDelay,
  TaskStatus,
} from "zerotask-core";
import type { Statuses } from "../events/statuses.ts";
import type { Patience } from "../order/patience.ts";
import type { Scheduler } from "../order/scheduler.ts";
import { runTimeoutOf } from "../order/timing.ts";
import type { Storages } from "../storage/storages.ts";
import type { Streams } from "../streams/streams.ts";
import type { Turn } from "../turn.ts";
import type { Locals } from "./locals.ts";
import type { Settlement } from "./settlement.ts";
import type { Stops } from "./stops.ts";
import type { Task } from "./task.ts";
import type { TaskLife } from "./task-life.ts";
import { rescheduled } from "./task-record.ts";

export interface RunBounds {
  /** How often a task may lose its node before it fails. */
  readonly redeliveries: number;
  /** How long a node that was lost may take to come back to its streams. */
  readonly adoptMs: number;
  /** A random number from 0 to 1. */
  readonly random: () => number;
}

export interface RunParts {
  readonly turn: Turn;
  readonly patience: Patience;
  readonly scheduler: Scheduler;
  readonly storages: Storages;
  readonly settlement: Settlement;
  readonly life: TaskLife;
  readonly stops: Stops;
  readonly locals: () => Locals;
  readonly statuses: Statuses;
  readonly streams: Streams;
  readonly bounds: RunBounds;
}

/** What a node runs for itself begins anew soon after it has run this long, however often it failed before. */
const soundMs = 60_000;

export class Runs {
  readonly #parts: RunParts;

  constructor(parts: RunParts) {
    this.#parts = parts;
  }

  /** A node says that the task has been running for a while. */
  start(task: Task): void {
    this.#parts.statuses.set(task, TaskStatus.Running);
  }

  /** A run ended. It may not have been the last. */
  end(task: Task, status: TaskStatus, outcome: Outcome, bytes: number): void {
    if (task.settled !== undefined) return;
    const { turn } = this.#parts;
    if (task.node !== undefined) task.method.noteRun(turn.now - task.assignedAt);
    if (task.stopping !== undefined && this.#parts.stops.end(task, status, outcome, bytes)) return;
    if (task.node !== undefined && howStopped(outcome) !== undefined) {
      // An earlier broker wanted it to end; what for is asked for again, or was to run it once more.
      this.#endUnasked(task);
      return;
    }
    // Those who take part in a shared run decide for themselves.
    if (task.members !== undefined) this.#parts.settlement.settle(task, status, outcome, bytes);
    else if ("error" in outcome && outcome.error.code === ErrorCode.RunAgain)
      this.#rerun(task, outcome.error);
    else if (this.#mayFailAgain(task) && (mayBeRetried(outcome) || hasFailed(task, outcome))) {
      if (task.pin !== undefined && turn.now - task.assignedAt >= soundMs) task.failures = 0;
      task.failures++;
      const backoff = task.options.backoff ?? task.method.description?.backoff;
      this.#runAgain(task, retryDelay(task.failures, backoff, this.#parts.bounds.random()), outcome);
    } else this.#parts.settlement.settle(task, status, outcome, bytes);
  }

  /** The node that had the task is gone. */
  lose(task: Task): void {
    if (this.#parts.stops.lose(task, "killed") || this.#isLost(task)) return;
    if (this.#parts.streams.hasBegun(task)) {
      this.#holdStream(task);
      return;
    }
    this.#countLoss(task);
  }

  /** A node that may have begun the task has it no more: it goes on with its next attempt. */
  putBack(task: Task): void {
    if (this.#parts.stops.lose(task, "killed") || this.#isLost(task)) return;
    task.hasBegun = true;
    if (this.#parts.streams.hasBegun(task)) this.#loseStream(task);
    else this.#waitAgain(task);
  }

  /** Two nodes run what there is to be one of: this one is told to give it up, and the task waits again. */
  takeBack(task: Task): void {
    this.abort(task);
    this.putBack(task);
  }

  /** A node has not begun the task, and gives it back. */
  handBack(task: Task): void {
    if (!this.#parts.stops.lose(task, "never-started") && !this.#isLost(task)) this.#waitAgain(task);
  }

  #endUnasked(task: Task): void {
    if (this.#isLost(task)) return;
    if (this.#parts.streams.hasBegun(task)) this.#loseStream(task);
    else this.#countLoss(task);
  }

  /** It goes on with its next attempt, as often as it may. */
  #countLoss(task: Task): void {
    task.losses++;
    if (task.losses <= this.#parts.bounds.redeliveries) {
      this.putBack(task);
      if (task.level !== undefined) this.#parts.storages.for(task.level).change(rescheduled(task, true));
      return;
    }
    const error = errorObject(ErrorCode.NodeLost, `Its node was lost ${task.losses} times`);
    this.#parts.settlement.settle(task, TaskStatus.Failed, { error }, error.message.length);
  }

  /** What a node runs for itself nobody else can. */
  #isLost(task: Task): boolean {
    if (task.pin === undefined) return false;
    this.#parts.locals().lose(task);
    return true;
  }

  #waitAgain(task: Task): void {
    const { life, scheduler, storages } = this.#parts;
    if (task.level === undefined || storages.for(task.level).failure === undefined) {
      scheduler.putBack(task);
      return;
    }
    scheduler.unassign(task);
    life.letGo(task);
  }

  /** The task has been running for longer than it may. */
  overrun(task: Task): void {
    // Of a stream: the node that it was lost with did not come back.
    if (task.node === undefined && this.#parts.streams.hasBegun(task)) {
      this.#loseStream(task);
      return;
    }
    const ran = Math.round(this.#parts.turn.now - task.assignedAt);
    const timeoutMs = Math.min(ran, runTimeoutOf(task, task.assignedAt) ?? ran);
    const error = errorObject(ErrorCode.TaskExpired, `The task ran for more than ${timeoutMs} ms`);
    // One that is to end already is waited for.
    if (task.stopping !== undefined || this.#mayFailAgain(task)) {
      this.#parts.stops.overrun(task, error);
      return;
    }
    this.abort(task);
    this.end(task, TaskStatus.Expired, { error }, 0);
  }

  /** Tells the node that has the task to give it up. */
  abort({ node, attemptId }: Task): void {
    if (node?.peer !== undefined) {
      this.#parts.turn.send(node.peer, notification(Push.TaskAbort, { id: attemptId }));
    }
  }

  /** Whether the task, or any that takes part in its run, may be run once more when this run fails. */
  #mayFailAgain(task: Task): boolean {
    const { failures, members, method, options, pin } = task;
    if (pin !== undefined) return true;
    if (members !== undefined) return [...members].some((member) => this.#mayFailAgain(member));
    if (this.#parts.streams.hasBegun(task) || hasEnded(task, this.#parts.turn.now)) return false;
    return failures < (options.retries ?? method.description?.retries ?? 0);
  }

  /** A node whose connection was cut is back in a moment, and has all that is missing. */
  #holdStream(task: Task): void {
    const { bounds, patience, scheduler, statuses, streams, turn } = this.#parts;
    streams.hold(task);
    scheduler.unassign(task);
    statuses.set(task, TaskStatus.Running);
    patience.arm(task, turn.now + bounds.adoptMs);
  }

  /** Another attempt would repeat what went by. */
  #loseStream(task: Task): void {
    const message = "Its node was lost after items of its streams had gone by";
    const error = errorObject(ErrorCode.NodeLost, message);
    this.#parts.settlement.settle(task, TaskStatus.Failed, { error }, message.length);
  }

  /** The handler wants to be run again: that is no failure, but it may not go on for ever. */
  #rerun(task: Task, asked: ErrorObject): void {
    const { options, method } = task;
    const most = options.maxRetries ?? method.description?.maxRetries ?? defaultMaxRetries;
    if (task.reruns < most && !this.#parts.streams.hasBegun(task)) {
      task.reruns++;
      this.#runAgain(task, rerunDelay(asked.data), { error: asked });
      return;
    }
    const why = task.reruns < most ? "after items of its streams had gone by" : `more than ${most} times`;
    const message = `The task asked to be run again ${why}: ${asked.message}`;
    const error = errorObject(ErrorCode.TaskFailed, message, { name: "RetryError", message });
    this.#parts.settlement.settle(task, TaskStatus.Failed, { error }, message.length);
  }

  /** @param outcome that of its last run */
  #runAgain(task: Task, delayMs: number, outcome: Outcome): void {
    const { life, scheduler, settlement, turn } = this.#parts;
    if (hasEnded(task, turn.now + delayMs)) {
      settlement.settle(task, TaskStatus.Expired, { error: noTimeLeft(outcome) }, 0);
      return;
    }
    scheduler.unassign(task);
    task.hasBegun = true;
    life.reschedule(task, turn.now + delayMs);
  }
}

/** Whether nobody waits for the task any more. */
function hasEnded({ endsAt }: Task, now: number): boolean {
  return endsAt !== undefined && endsAt <= now;
}

/** Another run would begin after the task's deadline. */
function noTimeLeft(last: Outcome): ErrorObject {
  const message = "The task has no time left to be run again";
  if (!("error" in last)) return errorObject(ErrorCode.TaskExpired, message);
  return errorObject(ErrorCode.TaskExpired, `${message}, after its last run ended: ${last.error.message}`);
}

/** What a node runs for itself is run again whatever it failed with. */
function hasFailed({ pin }: Task, outcome: Outcome): boolean {
  return pin !== undefined && "error" in outcome;
}
