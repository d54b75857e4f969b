// The tasks of one method that wait for a node, in order of submission, and the nodes that serve it.
import { type Deadline, Deque, type MethodDescription, TaskStatus } from "zerotask-core";
import type { Due } from "./due.ts";
import type { NodeSession } from "./node-session.ts";
import type { Durability } from "./stored-task.ts";
import type { Task } from "./task.ts";

const minCompaction = 1_024;

/** What one store has of this method that was not claimed, as far as is known. */
export interface Behind {
  count: number;
  /** When the first of it is due. */
  nextAt: number;
  isClaiming: boolean;
}

export class MethodQueue {
  readonly name: string;
  readonly nodes: Set<NodeSession> = new Set();
  /** How the node that serves it wants it to be run. */
  description: MethodDescription | undefined = undefined;
  /** Tasks of this method in memory that are not settled. */
  unsettled = 0;
  /** Those of them that are being stored, and will then wait here. */
  arriving = 0;
  /** Since when no node serves it. */
  unservedSince: number;
  readonly behind: { readonly [level in Durability]: Behind } = { memory: nothing(), disk: nothing() };
  /** When more of what is behind is due. */
  backlogDeadline: Deadline<Due> | undefined = undefined;
  readonly #waiting = new Deque<Task>();
  /** Tasks that came back from nodes; they are older than all that wait. The oldest is last. */
  readonly #returned: Task[] = [];

  constructor(name: string, now: number) {
    this.name = name;
    this.unservedSince = now;
  }

  /** About how many tasks wait; a little more, where some were settled meanwhile. */
  get length(): number {
    return this.#waiting.size + this.#returned.length;
  }

  /** Whether a store has any of it that was not claimed. */
  get isBehind(): boolean {
    return this.behind.memory.count > 0 || this.behind.disk.count > 0;
  }

  /** Whether anything of it is left anywhere. */
  get isEmpty(): boolean {
    const { memory, disk } = this.behind;
    return this.unsettled === 0 && !this.isBehind && !memory.isClaiming && !disk.isClaiming;
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

function nothing(): Behind {
  return { count: 0, nextAt: Number.POSITIVE_INFINITY, isClaiming: false };
}
