// The one place where the status of a task changes, so that each change can be told.
import type { Outcome, TaskStatus } from "zerotask-core";
import type { Task } from "../tasks/task.ts";
import type { Events } from "./events.ts";

export class Statuses {
  readonly #events: Events;
  readonly #isHeard: (method: string) => boolean;

  /** @param isHeard whether anybody listens to the events of a method: calls are told of only then */
  constructor(events: Events, isHeard: (method: string) => boolean) {
    this.#events = events;
    this.#isHeard = isHeard;
  }

  /** The task has this status from now on. Plain calls come by here several times each. */
  set(task: Task, status: TaskStatus): void {
    task.status = status;
    this.tell(task);
  }

  /** Tells the status that a task has, unless it was told before. */
  tell(task: Task): void {
    if (task.members !== undefined) for (const member of task.members) this.tellAs(member, task.status);
    else if (this.#isTold(task)) this.#add(task, task.status, undefined);
  }

  /** A task takes part in a shared run, and so has its status. */
  tellAs(task: Task, status: TaskStatus): void {
    if (this.#isTold(task)) this.#add(task, status, undefined);
  }

  /** The task has its outcome; if it was submitted, that is stored. */
  tellOutcome(task: Task, outcome: Outcome): void {
    if (task.members !== undefined || !this.#isTold(task)) return;
    this.#add(task, task.status, "error" in outcome ? outcome.error.message : undefined);
  }

  #isTold(task: Task): boolean {
    return task.level !== undefined || task.pin !== undefined || this.#isHeard(task.method.name);
  }

  #add(task: Task, status: TaskStatus, error: string | undefined): void {
    if (task.toldStatus === status) return;
    task.toldStatus = status;
    const { id, method } = task;
    const attempt = task.shared?.attempt ?? task.attempt;
    const data = error === undefined ? { status, attempt } : { status, attempt, error: shortened(error) };
    this.#events.addStatus({ id, method: method.name }, data);
  }
}

const mostError = 10_000;

function shortened(error: string): string {
  return error.length <= mostError ? error : `${error.slice(0, mostError)}…`;
}
