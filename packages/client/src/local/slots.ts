// Which tasks of this process wait for a slot, and in which order they get one.
import { OrderedQueue, TaskStatus } from "zerotask-core";
import type { LocalRun } from "./local-run.ts";
import type { LocalTask } from "./local-task.ts";

// The genuine one, also where a test has put its own clock in place of the timers.
const defer = setImmediate;

export class Slots {
  readonly #count: number;
  readonly #start: (task: LocalTask) => void;
  readonly #queue = new OrderedQueue<LocalTask>(
    (a, b) => a.rank < b.rank,
    (task) => task.state === TaskStatus.Queued,
  );
  #taken = 0;
  #isPumping = false;
  #isClosed = false;

  /** @param start begins a run of a task, which takes up a slot until `leave` */
  constructor(count: number, start: (task: LocalTask) => void) {
    this.#count = count;
    this.#start = start;
  }

  /** It is QUEUED, at the place of its rank. */
  add(task: LocalTask): void {
    this.#queue.add(task);
    this.#pump();
  }

  /** One that was QUEUED is so no more. */
  drop(): void {
    this.#queue.drop();
  }

  /** How many would begin before this one. */
  aheadOf(task: LocalTask): number {
    if (task.state !== TaskStatus.Queued) return 0;
    let count = 0;
    for (const other of this.#queue) if (other !== task && other.rank < task.rank) count++;
    return count;
  }

  /** A run waits for a call of its own (+1), or has it (−1): meanwhile others may run in its place. */
  onWaiting(run: LocalRun, change: 1 | -1): void {
    if (run.hasEnded) return;
    run.hasSlot = change === -1;
    this.#taken -= change;
    this.#pump();
  }

  /** A run has ended. */
  leave(run: LocalRun): void {
    if (run.hasSlot) this.#taken--;
    run.hasEnded = true;
    this.#pump();
  }

  /** Nothing begins any more. */
  close(): void {
    this.#isClosed = true;
  }

  /** What one turn asks for begins in the next, in the order of its priorities. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    defer(() => {
      this.#isPumping = false;
      while (this.#taken < this.#count) {
        const task = this.#isClosed ? undefined : this.#queue.shift();
        if (task === undefined) break;
        this.#taken++;
        this.#start(task);
      }
    });
  }
}
