// The tasks of one method that wait for a node, in order of submission, and the nodes that serve it.
import { Deque, TaskStatus } from "zerotask-core";
import type { NodeSession } from "./node-session.ts";
import type { Task } from "./task.ts";

const minCompaction = 1_024;

export class MethodQueue {
  readonly name: string;
  readonly nodes: Set<NodeSession> = new Set();
  /** Tasks of this method that are not settled. */
  unsettled = 0;
  /** Since when no node serves it. */
  unservedSince: number;
  readonly #waiting = new Deque<Task>();
  /** Tasks that came back from nodes; they are older than all that wait. The oldest is last. */
  readonly #returned: Task[] = [];

  constructor(name: string, now: number) {
    this.name = name;
    this.unservedSince = now;
  }

  push(task: Task): void {
    // Entries of settled tasks are passed over at the head; behind a head that waits they must not pile up.
    if (this.#waiting.size > minCompaction && this.#waiting.size > this.unsettled * 2) this.#compact();
    task.inQueue = true;
    this.#waiting.push(task);
  }

  /** Puts back a task that had been taken, at its old place. */
  putBack(task: Task): void {
    // An entry that was only passed over still stands in its place.
    if (task.inQueue) return;
    task.inQueue = true;
    let index = this.#returned.length;
    while (index > 0 && (this.#returned[index - 1] as Task).sequence < task.sequence) index--;
    this.#returned.splice(index, 0, task);
  }

  /** The oldest task that waits. */
  head(): Task | undefined {
    for (let task = this.#first(); task !== undefined; task = this.#first()) {
      if (task.status === TaskStatus.Queued) return task;
      this.#removeFirst();
    }
    return undefined;
  }

  /** Takes out the task that `head` returned. */
  take(): void {
    this.#removeFirst();
  }

  /** Every task that waits, in no particular order. */
  *[Symbol.iterator](): Generator<Task> {
    for (const tasks of [this.#returned, this.#waiting]) {
      for (const task of tasks) if (task.status === TaskStatus.Queued) yield task;
    }
  }

  #compact(): void {
    this.#waiting.retain((task) => {
      task.inQueue = task.status === TaskStatus.Queued;
      return task.inQueue;
    });
  }

  #first(): Task | undefined {
    return this.#returned.at(-1) ?? this.#waiting.peek();
  }

  #removeFirst(): void {
    const task = this.#returned.pop() ?? this.#waiting.shift();
    if (task !== undefined) task.inQueue = false;
  }
}
