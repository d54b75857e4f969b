// Every task that is held in memory. Submitted ones are held while they are stored, wait in the window, or run.
import { GenerationalMap } from "zerotask-core";
import type { Task } from "./task.ts";

export class TaskTable {
  readonly #calls = new GenerationalMap<string, Task>();
  readonly #submitted = new GenerationalMap<string, Task>();

  /** Unsettled tasks, and calls whose answers may have to be sent again. */
  get size(): number {
    return this.#calls.size + this.#submitted.size;
  }

  get(id: string): Task | undefined {
    return this.#calls.get(id) ?? this.#submitted.get(id);
  }

  /** A task that was submitted, whatever calls there are. */
  submitted(id: string): Task | undefined {
    return this.#submitted.get(id);
  }

  add(task: Task): void {
    (task.isSubmitted ? this.#submitted : this.#calls).add(task.id, task);
  }

  /** Lets go of a task. */
  remove(task: Task): void {
    const tasks = task.isSubmitted ? this.#submitted : this.#calls;
    if (tasks.get(task.id) === task) tasks.delete(task.id);
  }

  /** The submitted ones. */
  *[Symbol.iterator](): Generator<Task> {
    for (const [, task] of this.#submitted) yield task;
  }
}
