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

  /** Whether it is this task's turn, or nobody's: then it is its from now on. */
  enter(task: Task): boolean {
    const { instance } = task;
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
    if (this.enter(task) || task.instance === undefined) return true;
    const turns = this.#turns.get(task.instance);
    if (turns === undefined || (turns.active.shared ?? turns.active).node !== undefined) return false;
    const before = turns.active;
    turns.active = task;
    displace(before);
    return true;
  }

  /** The task waits for its turn. */
  wait(task: Task): void {
    const turns = task.instance === undefined ? undefined : this.#turns.get(task.instance);
    if (turns === undefined) return;
    task.lane.park(task);
    turns.waiting ??= new OrderedQueue<Task>(isBefore, ({ isParked }) => isParked);
    turns.waiting.add(task);
  }

  /** The task neither waits nor runs any more. @returns whose turn it is now, if it was this one's */
  leave(task: Task): Task | undefined {
    const { instance } = task;
    const turns = instance === undefined ? undefined : this.#turns.get(instance);
    if (instance === undefined || turns === undefined) return undefined;
    if (turns.active !== task) {
      if (!task.isParked) return undefined;
      // One that may come back must not stand there twice.
      if (task.settled === undefined) turns.waiting?.delete(task);
      task.lane.unpark(task);
      if (task.settled !== undefined) turns.waiting?.drop();
      return undefined;
    }
    const next = turns.waiting?.shift();
    if (next === undefined) {
      this.#turns.delete(instance);
      return undefined;
    }
    next.lane.unpark(next);
    turns.active = next;
    return next;
  }
}
