// The tasks of one group of a method: those that wait here in order, and how many more a store has.
import { OrderedQueue } from "zerotask-core";
import type { Durability } from "../storage/stored-task.ts";
import type { Task } from "../tasks/task.ts";
import { Gate, type GateLimits } from "./gate.ts";
import type { MethodQueue } from "./method-queue.ts";
import { isBefore } from "./order.ts";

/** What one store has of this group that was not claimed, as far as is known. */
export interface Behind {
  count: number;
  /** The first of their ranks. */
  rank: number;
  isClaiming: boolean;
}

export class Lane {
  readonly method: MethodQueue;
  readonly group: string;
  readonly gate: Gate;
  /** Tasks of this group in memory that are not settled. */
  unsettled = 0;
  /** Those of them that are being stored, and will then wait here. */
  arriving = 0;
  /** Those of them that are stored, and wait for a node. */
  #storedWaiting = 0;
  /** Whether it stands in line with the other groups of its method. */
  isInLine = false;
  // Groups come and go with each task that runs at once: most need none of these.
  #waiting: OrderedQueue<Task> | undefined;
  #parked: Set<Task> | undefined;
  #behind: { readonly [level in Durability]: Behind } | undefined;

  constructor(method: MethodQueue, group: string, limits: GateLimits) {
    this.method = method;
    this.group = group;
    this.gate = new Gate(limits);
  }

  get behind(): { readonly [level in Durability]: Behind } {
    this.#behind ??= { memory: nothing(), disk: nothing() };
    return this.#behind;
  }

  /** How many tasks wait for a node. */
  get length(): number {
    return this.#waiting?.size ?? 0;
  }

  /** How many tasks in memory have still to come to a node. */
  get held(): number {
    return this.length + this.arriving + (this.#parked?.size ?? 0);
  }

  /** How many stored tasks are held for this group that could come to a node: the window. */
  get window(): number {
    return this.#storedWaiting + this.arriving;
  }

  get parkedCount(): number {
    return this.#parked?.size ?? 0;
  }

  /** Those that wait for something else than a node: another task's end, or their instance's name. */
  get parked(): Iterable<Task> {
    return this.#parked ?? [];
  }

  park(task: Task): void {
    task.isParked = true;
    this.#parked ??= new Set();
    this.#parked.add(task);
  }

  unpark(task: Task): void {
    task.isParked = false;
    this.#parked?.delete(task);
  }

  /** Whether a store has any of it that was not claimed. */
  get isBehind(): boolean {
    if (this.#behind === undefined) return false;
    return this.#behind.memory.count > 0 || this.#behind.disk.count > 0;
  }

  /** Whether nothing of it is left anywhere. */
  get isEmpty(): boolean {
    if (this.unsettled > 0 || this.isBehind) return false;
    return this.#behind === undefined || !(this.#behind.memory.isClaiming || this.#behind.disk.isClaiming);
  }

  /** Whether something of it waits that is due, here or in a store. */
  get hasQueued(): boolean {
    if (this.held > 0 || this.isBehind) return true;
    return this.#behind !== undefined && (this.#behind.memory.isClaiming || this.#behind.disk.isClaiming);
  }

  /** The task that is next. */
  get head(): Task | undefined {
    return this.#waiting?.peek();
  }

  /** Whether a task with this rank would not be the last of those that wait here. */
  isOvertaking(rank: number): boolean {
    const last = this.#waiting?.last;
    return last !== undefined && rank < last.rank;
  }

  /** Whether a store has a task that comes before all that wait here. */
  get isOvertaken(): boolean {
    if (this.#behind === undefined) return false;
    const { memory, disk } = this.#behind;
    const first = this.head;
    return first !== undefined && Math.min(memory.rank, disk.rank) < first.rank;
  }

  add(task: Task): void {
    task.inQueue = true;
    if (task.level !== undefined) this.#storedWaiting++;
    this.#waiting ??= new OrderedQueue<Task>(isBefore, ({ inQueue }) => inQueue);
    this.#waiting.add(task);
  }

  shift(): Task | undefined {
    const task = this.#waiting?.shift();
    if (task !== undefined) this.#left(task);
    return task;
  }

  /** A task that waits was settled. */
  drop(task: Task): void {
    this.#left(task);
    this.#waiting?.drop();
  }

  /** A task that waits goes elsewhere, and may come back. */
  delete(task: Task): void {
    // Most that is taken out is what comes next.
    if (this.#waiting?.peek() === task) this.#waiting.shift();
    else this.#waiting?.delete(task);
    this.#left(task);
  }

  #left(task: Task): void {
    task.inQueue = false;
    if (task.level !== undefined) this.#storedWaiting--;
  }

  /** Every task that waits, in no particular order. */
  *[Symbol.iterator](): Generator<Task> {
    if (this.#waiting !== undefined) yield* this.#waiting;
  }
}

function nothing(): Behind {
  return { count: 0, rank: Number.POSITIVE_INFINITY, isClaiming: false };
}
