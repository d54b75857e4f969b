// The life of a task: submit, assign, start, settle. Every change of status is made here or in the scheduler.
import {
  Announcement,
  ErrorCode,
  errorObject,
  isSettled,
  notification,
  type Outcome,
  Push,
  respond,
  TaskStatus,
} from "zerotask-core";
import type { ClientSession } from "./client-session.ts";
import type { MethodQueue } from "./method-queue.ts";
import type { Scheduler } from "./scheduler.ts";
import { type NewTask, Task, type Waiter } from "./task.ts";
import type { TaskTable } from "./task-table.ts";
import type { Turn } from "./turn.ts";

export interface LifeBounds {
  /** How often a task may lose its node before it fails. */
  readonly redeliveries: number;
  /** How many answers of one client are kept until it acknowledges them, and their bytes. */
  readonly maxReplay: number;
  readonly maxReplayBytes: number;
}

export class TaskLife {
  readonly #turn: Turn;
  readonly #tasks: TaskTable;
  readonly #scheduler: Scheduler;
  readonly #bounds: LifeBounds;
  #sequence = 0;
  #unsettled = 0;

  constructor(turn: Turn, tasks: TaskTable, scheduler: Scheduler, bounds: LifeBounds) {
    this.#turn = turn;
    this.#tasks = tasks;
    this.#scheduler = scheduler;
    this.#bounds = bounds;
  }

  get unsettled(): number {
    return this.#unsettled;
  }

  /** The number of the task that is submitted next; no other task of this broker has it. */
  nextNumber(): number {
    return this.#sequence + 1;
  }

  submit(task: NewTask, methodName: string): Task {
    const method = this.#scheduler.method(methodName);
    const record = new Task(task, method, ++this.#sequence, this.#turn.now);
    method.unsettled++;
    this.#unsettled++;
    this.#tasks.add(record);
    if (record.retention === "replay") record.owner.calls.add(record);
    if (record.isSubmitted) record.owner.hasSubmitted = true;
    this.#scheduler.enqueue(record);
    return record;
  }

  /** A node says that the task has been running for a while. */
  start(task: Task): void {
    task.status = TaskStatus.Running;
  }

  /** Records the one outcome that a task has, and tells everybody who asked for it. */
  settle(task: Task, status: TaskStatus, outcome: Outcome, bytes: number): void {
    if (task.settled !== undefined) return;
    this.#scheduler.unassign(task);
    task.status = status;
    task.settled = { outcome, at: this.#turn.now, bytes };
    task.params = undefined;
    if (task.retention === "replay") task.owner.calls.delete(task);
    this.#unsettled--;
    this.#forgetMethod(task.method);
    this.#tell(task);
    this.#retain(task);
  }

  /** Tells the owner, if it wanted to be told, of an outcome it may have missed. */
  notifyOwner(task: Task): void {
    const { settled, owner } = task;
    if (!task.notify || settled === undefined || owner.peer === undefined) return;
    const params = { task_id: task.id, status: task.status, ...settled.outcome };
    this.#turn.send(owner.peer, notification(Push.TaskSettled, params));
  }

  /** Sends the answer to a call, perhaps once more. */
  answer(task: Task): void {
    const { settled, addressee, owner } = task;
    if (settled === undefined || addressee === undefined) return;
    const response = respond(task.requestId, settled.outcome);
    if (task.retention === "replay") {
      owner.deliverAnswer(task, response);
      this.expireAnswers(owner, Number.NEGATIVE_INFINITY);
    } else addressee.deliver(response);
  }

  /** Gives up what a client has not acknowledged since `time`, or what is more than is kept. */
  expireAnswers(client: ClientSession, time: number): void {
    const { maxReplay, maxReplayBytes } = this.#bounds;
    for (const task of client.expireAnswers(time, maxReplay, maxReplayBytes)) this.#tasks.remove(task);
  }

  /** The node that had the task is gone. */
  lose(task: Task): void {
    task.losses++;
    if (task.losses <= this.#bounds.redeliveries) {
      this.putBack(task);
      return;
    }
    const message = `Its node was lost ${task.losses} times`;
    this.settle(task, TaskStatus.Failed, { error: errorObject(ErrorCode.NodeLost, message) }, message.length);
  }

  /** The task goes on with its next attempt. */
  putBack(task: Task): void {
    this.#scheduler.putBack(task);
  }

  /** Ends the task. A node that has it is told to give it up. */
  stop(task: Task): void {
    if (isSettled(task.status)) return;
    const { node, attemptId } = task;
    if (node?.peer !== undefined) this.#turn.send(node.peer, notification(Push.TaskAbort, { id: attemptId }));
    this.settle(
      task,
      TaskStatus.Stopped,
      { error: errorObject(ErrorCode.TaskStopped, "The task was stopped") },
      0,
    );
  }

  /** Answers `waiter` when the task is settled, which may be now. */
  wait(task: Task, waiter: Waiter): void {
    if (task.settled !== undefined) {
      answerWaiter(task, waiter);
      return;
    }
    task.waiters ??= [];
    // A session that lost its connection asks again under the same id, and gets one answer.
    const same = task.waiters.find((other) => isSameRequest(other, waiter));
    if (same !== undefined) same.done = true;
    task.waiters = task.waiters.filter((other) => other !== same);
    task.waiters.push(waiter);
  }

  /** A waiter's own time is over: the task goes on. */
  giveUp(task: Task, waiter: Waiter): void {
    if (waiter.done) return;
    waiter.done = true;
    task.waiters = task.waiters?.filter((other) => other !== waiter);
    const error = errorObject(ErrorCode.TaskNotComplete, `The task is ${task.status}`, {
      status: task.status,
    });
    waiter.addressee.deliver(respond(waiter.requestId, { error }));
  }

  #tell(task: Task): void {
    this.answer(task);
    this.notifyOwner(task);
    for (const waiter of task.waiters ?? []) answerWaiter(task, waiter);
    task.waiters = undefined;
    if (task.owner.token === undefined && task.retention === "record") {
      this.#turn.announce(Announcement.TaskResultReady, { task_id: task.id });
    }
  }

  #retain(task: Task): void {
    if (task.retention === "record") {
      this.#tasks.keepResult(task);
      this.#tasks.expire(this.#turn.now);
    } else if (task.retention === "none" || task.owner.isGone) {
      this.#tasks.remove(task);
    }
  }

  #forgetMethod(method: MethodQueue): void {
    method.unsettled--;
    if (method.unsettled === 0) this.#scheduler.release(method);
  }
}

function isSameRequest(one: Waiter, other: Waiter): boolean {
  return one.addressee === other.addressee && one.requestId === other.requestId;
}

function answerWaiter(task: Task, waiter: Waiter): void {
  if (waiter.done || task.settled === undefined) return;
  waiter.done = true;
  const result = { task_id: task.id, status: task.status, ...task.settled.outcome };
  waiter.addressee.deliver(respond(waiter.requestId, { result }));
}
