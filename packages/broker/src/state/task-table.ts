// Every task that is known: unsettled ones, and the records of settled ones for as long as they are kept.
import { Deque, GenerationalMap } from "zerotask-core";
import type { ClientSession } from "./client-session.ts";
import type { Task } from "./task.ts";

export interface RetentionBounds {
  readonly resultTtlMs: number;
  readonly maxResults: number;
  readonly maxResultBytes: number;
}

export class TaskTable {
  /** Calls come and go; submitted tasks may be millions, so that looking one up is slow. */
  readonly #calls = new GenerationalMap<string, Task>();
  readonly #submitted = new Map<string, Task>();
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
    return this.#calls.size + this.#submitted.size;
  }

  get(id: string): Task | undefined {
    return this.#calls.get(id) ?? this.#submitted.get(id);
  }

  /** The task that a call of this owner would be if it had been made before. */
  getFor(owner: ClientSession, id: string): Task | undefined {
    return owner.hasSubmitted ? this.get(id) : this.#calls.get(id);
  }

  add(task: Task): void {
    if (task.isSubmitted) this.#submitted.set(task.id, task);
    else this.#calls.add(task.id, task);
  }

  /** Forgets a task and its record. */
  remove(task: Task): void {
    if (!task.isSubmitted) {
      if (this.#calls.get(task.id) === task) this.#calls.delete(task.id);
      return;
    }
    if (!this.#isKept(task)) return;
    this.#submitted.delete(task.id);
    if (task.retention !== "record" || task.settled === undefined) return;
    this.#resultCount--;
    this.#resultBytes -= task.settled.bytes;
    if (this.#results.size > 1_024 && this.#results.size > this.#resultCount * 2) {
      this.#results.retain((result) => this.#isKept(result));
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
      const isDue = (task.settled?.at ?? 0) + resultTtlMs <= now;
      const isOver = this.#resultCount > maxResults || this.#resultBytes > maxResultBytes;
      if (this.#isKept(task) && !isDue && !isOver) return;
      this.#results.shift();
      this.remove(task);
    }
  }

  #isKept(task: Task): boolean {
    return this.#submitted.get(task.id) === task;
  }
}
