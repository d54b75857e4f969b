// Who is told when a task is settled, wherever the task is kept meanwhile.
import {
  type Deadline,
  type Deadlines,
  ErrorCode,
  errorObject,
  type Outcome,
  type RequestId,
  respond,
  type TaskStatus,
} from "zerotask-core";
import type { Addressee } from "./addressee.ts";
import { busy } from "./command.ts";
import type { Due } from "./due.ts";

export interface Waiter {
  readonly taskId: string;
  readonly addressee: Addressee;
  readonly requestId: RequestId;
  deadline: Deadline<Due> | undefined;
}

export interface SettledView {
  readonly id: string;
  readonly status: TaskStatus;
  readonly outcome: Outcome;
}

export class Waiters {
  readonly #waiting = new Map<string, Waiter[]>();
  readonly #deadlines: Deadlines<Due>;
  readonly #most: number;
  #count = 0;

  constructor(deadlines: Deadlines<Due>, most: number) {
    this.#deadlines = deadlines;
    this.#most = most;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Answers a request when the task is settled, or at the time `until`.
   * @throws Refusal when too many wait already
   */
  add(taskId: string, addressee: Addressee, requestId: RequestId, until: number | undefined): void {
    const waiting = this.#waiting.get(taskId) ?? [];
    // A session that lost its connection asks again under the same id, and gets one answer.
    const same = waiting.find((other) => other.addressee === addressee && other.requestId === requestId);
    if (same !== undefined) return;
    if (this.#count >= this.#most) throw busy("waiting requests", this.#most);
    const waiter: Waiter = { taskId, addressee, requestId, deadline: undefined };
    if (until !== undefined) waiter.deadline = this.#deadlines.add(until, { type: "waited", waiter });
    waiting.push(waiter);
    this.#waiting.set(taskId, waiting);
    this.#count++;
  }

  /** Tells everybody who waits for this task. */
  settle(view: SettledView): void {
    if (this.#count === 0) return;
    const waiting = this.#waiting.get(view.id);
    if (waiting === undefined) return;
    this.#waiting.delete(view.id);
    this.#count -= waiting.length;
    for (const { addressee, requestId, deadline } of waiting) {
      if (deadline !== undefined) this.#deadlines.delete(deadline);
      addressee.deliver(respond(requestId, { result: settledMessage(view) }));
    }
  }

  /** A waiter's own time is over: the task goes on. */
  giveUp(waiter: Waiter): void {
    const left = (this.#waiting.get(waiter.taskId) ?? []).filter((other) => other !== waiter);
    if (left.length > 0) this.#waiting.set(waiter.taskId, left);
    else this.#waiting.delete(waiter.taskId);
    this.#count--;
    const error = errorObject(ErrorCode.TaskNotComplete, `The task ${waiter.taskId} is not settled yet`);
    waiter.addressee.deliver(respond(waiter.requestId, { error }));
  }

  /** Nobody waits on behalf of this addressee any more. */
  forget(addressee: Addressee): void {
    if (this.#count === 0) return;
    for (const [id, waiting] of this.#waiting) {
      const left = waiting.filter((waiter) => waiter.addressee !== addressee);
      if (left.length === waiting.length) continue;
      for (const waiter of waiting) {
        if (waiter.addressee === addressee && waiter.deadline !== undefined)
          this.#deadlines.delete(waiter.deadline);
      }
      this.#count -= waiting.length - left.length;
      if (left.length > 0) this.#waiting.set(id, left);
      else this.#waiting.delete(id);
    }
  }
}

/** What is told of a settled task. */
export function settledMessage({ id, status, outcome }: SettledView): {
  readonly task_id: string;
  readonly status: TaskStatus;
} {
  return { task_id: id, status, ...outcome };
}
