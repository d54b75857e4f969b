// Of what there is one at a time: which task has its turn, and which wait for it.
import { OrderedQueue } from "zerotask-core";
import { isBefore } from "../order/order.ts";
import type { Task } from "../tasks/task.ts";

interface Turns {
  /** Waits for a node, or runs. */
  active: Task;
  waiting: OrderedQueue<Task> | undefined;
}

export class Instances {
  readonly #turns = new Map<string, Turns>();
  readonly #keyOf: (task: Task) => string | undefined;
  readonly #waiting = new Set<Task>();

  /** @param keyOf what a task is an instance of, which must not change while it has, or waits for, its turn */
  constructor(keyOf: (task: Task) => string | undefined) {
    this.#keyOf = keyOf;
  }

  /** Whether it is this task's turn, or nobody's: then it is its from now on. */
  enter(task: Task): boolean {
    const instance = this.#keyOf(task);
    if (instance === undefined) return true;
    const turns = this.#turns.get(instance);
    if (turns === undefined) this.#turns.set(instance, { active: task, waiting: undefined });
    return turns === undefined || turns.active === task;
  }

  /**
   * The task runs already: it takes the turn of one that does not, which `displace` gets.
   * @returns false where that one runs, too
   */
  takeOver(task: Task, displace: (before: Task) => void): boolean {
    const instance = this.#keyOf(task);
    if (this.enter(task) || instance === undefined) return true;
    const turns = this.#turns.get(instance);
    if (turns === undefined || (turns.active.shared ?? turns.active).node !== undefined) return false;
    const before = turns.active;
    turns.active = task;
    displace(before);
    return true;
  }

  /** The task waits for its turn. */
  wait(task: Task): void {
    const instance = this.#keyOf(task);
    const turns = instance === undefined ? undefined : this.#turns.get(instance);
    if (turns === undefined) return;
    task.lane.park(task);
    this.#waiting.add(task);
    turns.waiting ??= new OrderedQueue<Task>(isBefore, (other) => this.#waiting.has(other));
    turns.waiting.add(task);
  }

  /**
   * The task neither waits nor runs any more.
   * @param isGone it will not come back, as this object
   * @returns whose turn it is now, if it was this one's
   */
  leave(task: Task, isGone: boolean): Task | undefined {
    const instance = this.#keyOf(task);
    const turns = instance === undefined ? undefined : this.#turns.get(instance);
    if (instance === undefined || turns === undefined) return undefined;
    if (turns.active !== task) {
      if (!this.#waiting.has(task)) return undefined;
      task.lane.unpark(task);
      // One that may come back must not stand there twice.
      if (!isGone) turns.waiting?.delete(task);
      this.#waiting.delete(task);
      if (isGone) turns.waiting?.drop();
      return undefined;
    }
    const next = turns.waiting?.shift();
    if (next === undefined) {
      this.#turns.delete(instance);
      return undefined;
    }
    this.#waiting.delete(next);
    next.lane.unpark(next);
    turns.active = next;
    return next;
  }
}
