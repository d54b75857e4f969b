// How long tasks wait: for their first run until they expire, and as calls for anybody who serves their method.
import { type Deadlines, isBrokerTask } from "zerotask-core";
import type { Due } from "../due.ts";
import type { Task } from "../tasks/task.ts";
import type { Turn } from "../turn.ts";
import type { MethodQueue } from "./method-queue.ts";

export class Patience {
  readonly #turn: Turn;
  readonly #deadlines: Deadlines<Due>;
  readonly #graceMs: number;
  #askingNodes = 0;

  constructor(turn: Turn, deadlines: Deadlines<Due>, graceMs: number) {
    this.#turn = turn;
    this.#deadlines = deadlines;
    this.#graceMs = graceMs;
  }

  /** A node that asks for tasks came (+1) or went (−1): while there is one, any method may be served. */
  countAskingNodes(change: number): number {
    this.#askingNodes += change;
    return this.#askingNodes;
  }

  /** Whether anybody could run tasks of this method. */
  hasServer(method: MethodQueue): boolean {
    return method.nodes.size > 0 || this.#askingNodes > 0;
  }

  /** Why a task has waited too long, if so. */
  waitedTooLong(task: Task): "expired" | "unserved" | undefined {
    if (this.hasExpired(task)) return "expired";
    if (this.#graceEnd(task) <= this.#turn.now) return "unserved";
    this.begin(task);
    return undefined;
  }

  /** Whether a task has waited too long for its next run. */
  hasExpired(task: Task): boolean {
    return expiryOf(task) <= this.#turn.now;
  }

  /** A task waits until it is due. */
  delay(task: Task): void {
    this.arm(task, Math.min(task.dueAt, expiryOf(task)));
  }

  /** A task waits. */
  begin(task: Task): void {
    if (isBrokerTask(task.method.name)) return;
    const at = Math.min(expiryOf(task), this.#graceEnd(task));
    if (at < Number.POSITIVE_INFINITY) this.arm(task, at);
  }

  /** Nobody serves the method any more. */
  beginGrace(method: MethodQueue): void {
    if (this.hasServer(method)) return;
    for (const lane of method.lanes.values()) {
      for (const task of lane) this.begin(task);
      for (const task of lane.parked) this.begin(task);
    }
  }

  /** Sets when something is to be done about this task, instead of what was set before. */
  arm(task: Task, at: number): void {
    this.disarm(task);
    task.deadline = this.#deadlines.add(at, { type: "task", task });
  }

  disarm(task: Task): void {
    if (task.deadline === undefined) return;
    this.#deadlines.delete(task.deadline);
    task.deadline = undefined;
  }

  #graceEnd({ isSubmitted, method, dueAt }: Task): number {
    if (isSubmitted || this.hasServer(method)) return Number.POSITIVE_INFINITY;
    return Math.max(method.unservedSince, dueAt) + this.#graceMs;
  }
}

/** When a task has waited too long: for its first run, or for another one, or a shared one, that would end in time. */
export function expiryOf({ endsAt, expiresAt, hasBegun, shared }: Task): number {
  const isRunning = shared !== undefined && (shared.node !== undefined || shared.hasBegun);
  return (hasBegun || isRunning ? endsAt : expiresAt) ?? Number.POSITIVE_INFINITY;
}
