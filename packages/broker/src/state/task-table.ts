// Every task that is known: unsettled ones, and the records of settled ones for as long as they are kept.
import { Deque } from "./deque.ts";
import type { Task } from "./task.ts";

export interface RetentionBounds {
  readonly resultTtlMs: number;
  readonly maxResults: number;
  readonly maxResultBytes: number;
}

export class TaskTable {
  readonly #tasks = new Map<string, Task>();
  /** Records kept for `resultTtlMs`, the oldest first; some may have been removed since. */
  readonly #results = new Deque<Task>();
  readonly #bounds: RetentionBounds;
  #resultCount = 0;
  #resultBytes = 0;

  constructor(bounds: RetentionBounds) {
    this.#bounds = bounds;
  }

  /** Unsettled tasks and kept records. */
  get size(): number {
    return this.#tasks.size;
  }

  get(id: string): Task | undefined {
    return this.#tasks.get(id);
  }

  add(task: Task): void {
    this.#tasks.set(task.id, task);
  }

  /** Forgets a task and its record. */
  remove(task: Task): void {
    if (this.#tasks.get(task.id) !== task) return;
    this.#tasks.delete(task.id);
    if (task.retention !== "record" || task.settled === undefined) return;
    this.#resultCount--;
    this.#resultBytes -= task.settled.bytes;
    if (this.#results.size > 1_024 && this.#results.size > this.#resultCount * 2) {
      this.#results.retain((kept) => this.#tasks.get(kept.id) === kept);
    }
  }

  /** Keeps the record of a submitted task that was just settled. */
  keepResult(task: Task): void {
    this.#results.push(task);
    this.#resultCount++;
    this.#resultBytes += task.settled?.bytes ?? 0;
  }

  /** Removes records that are too old or too many. */
  expire(now: number): void {
    const { resultTtlMs, maxResults, maxResultBytes } = this.#bounds;
    for (let task = this.#results.peek(); task !== undefined; task = this.#results.peek()) {
      const isKept = this.#tasks.get(task.id) === task;
      const isDue = (task.settled?.at ?? 0) + resultTtlMs <= now;
      const isOver = this.#resultCount > maxResults || this.#resultBytes > maxResultBytes;
      if (isKept && !isDue && !isOver) return;
      this.#results.shift();
      this.remove(task);
    }
  }
}
