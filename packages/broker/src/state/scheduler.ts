// Which node gets which task, and when: a task never waits while a node that serves it has room.

import {
  Announcement,
  type Deadlines,
  isBrokerTask,
  type MethodDescription,
  request,
  TaskStatus,
} from "zerotask-core";
import type { Due } from "./due.ts";
import { MethodQueue } from "./method-queue.ts";
import type { NodeSession } from "./node-session.ts";
import type { Task } from "./task.ts";
import type { Turn } from "./turn.ts";

export interface SchedulerOptions {
  readonly graceMs: number;
  readonly heartbeatMs: number;
  /** Runs `broker.*` tasks. */
  readonly local: NodeSession;
}

const quietHeartbeats = 3;

export class Scheduler {
  readonly #turn: Turn;
  readonly #deadlines: Deadlines<Due>;
  readonly #options: SchedulerOptions;
  readonly #methods = new Map<string, MethodQueue>();
  /** Methods in whose queue something may wait. */
  readonly #waiting = new Set<MethodQueue>();
  /** Called when a task was taken off a method's queue, or somebody came who serves it. */
  readonly #onTaken: (method: MethodQueue) => void;
  /** Nodes that may have got room in this turn. */
  readonly #freed = new Set<NodeSession>();
  #askingNodes = 0;
  #isDraining = false;

  constructor(
    turn: Turn,
    deadlines: Deadlines<Due>,
    options: SchedulerOptions,
    onTaken: (method: MethodQueue) => void,
  ) {
    this.#onTaken = onTaken;
    this.#turn = turn;
    this.#deadlines = deadlines;
    this.#options = options;
  }

  /** The method of this name, made if need be. Names are interned by it: a million tasks share one string. */
  method(name: string): MethodQueue {
    let method = this.#methods.get(name);
    if (method === undefined) {
      method = new MethodQueue(name, this.#turn.now);
      if (isBrokerTask(name)) method.nodes.add(this.#options.local);
      this.#methods.set(name, method);
    }
    return method;
  }

  /** Hands a new task to a node with room, or lets it wait for one. */
  enqueue(task: Task): void {
    const { method } = task;
    const node = method.head() === undefined ? this.#pickNode(method) : undefined;
    if (node !== undefined) {
      this.#assign(task, node);
      return;
    }
    method.push(task);
    this.#wait(task);
  }

  /** Lets a task that a node gave back, or was lost with, go on at its old place. */
  putBack(task: Task): void {
    this.unassign(task);
    task.status = TaskStatus.Queued;
    task.method.putBack(task);
    this.#wait(task);
    for (const node of task.method.nodes) this.offerRoom(node);
  }

  /** The node gets this task; one without a protocol asked for it. */
  claim(task: Task, node: NodeSession): void {
    this.#hand(task, node, task.attempt + 1);
    task.status = TaskStatus.Assigned;
  }

  /** The node has this task already, from an earlier run of the broker. */
  adopt(task: Task, node: NodeSession, attempt: number): void {
    this.#hand(task, node, attempt);
    task.status = TaskStatus.Running;
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

  /** Takes a task off its node; the room is filled at the end of the turn. */
  unassign(task: Task): void {
    const { node } = task;
    if (node === undefined) return;
    task.node = undefined;
    this.disarm(task);
    node.tasks.delete(task);
    this.offerRoom(node);
  }

  /** The node may have room now. */
  offerRoom(node: NodeSession): void {
    this.#freed.add(node);
  }

  /** Takes note of what a node serves from now on. */
  serve(node: NodeSession, descriptions: readonly MethodDescription[]): void {
    this.#withdraw(node);
    node.descriptions = descriptions;
    for (const description of descriptions) {
      const method = this.method(description.name);
      method.description = description;
      method.nodes.add(node);
      node.methods.add(method);
      this.#onTaken(method);
    }
    this.offerRoom(node);
  }

  /** A node that asks for tasks came (+1) or went (−1): while there is one, any method may be served. */
  countAskingNodes(change: number): void {
    this.#askingNodes += change;
    if (this.#askingNodes > 0) {
      if (change > 0) for (const method of this.#methods.values()) this.#onTaken(method);
      return;
    }
    for (const method of this.#waiting) {
      if (method.nodes.size === 0) method.unservedSince = this.#turn.now;
      this.#armGrace(method);
    }
  }

  /** The node takes no more tasks. */
  remove(node: NodeSession): void {
    this.#withdraw(node);
    this.#freed.delete(node);
  }

  /** Whether anybody could run tasks of this method. */
  isServed(method: MethodQueue): boolean {
    return !this.#isDraining && this.#hasServer(method);
  }

  #hasServer(method: MethodQueue): boolean {
    return method.nodes.size > 0 || this.#askingNodes > 0;
  }

  /** Why a task has waited too long, if so: for its first run, or as a call for anybody who serves its method. */
  waitedTooLong(task: Task): "expired" | "unserved" | undefined {
    const { now } = this.#turn;
    if (expiryOf(task) <= now) return "expired";
    if (this.#graceEnd(task) <= now) return "unserved";
    this.#armWait(task);
    return undefined;
  }

  /** A task waits that no node could take at once. */
  announceReady({ id, method }: Task): void {
    this.#turn.announce(Announcement.TaskReady, { method: method.name, task_id: id });
  }

  /** Methods of which a task waits while a node that serves it has room. */
  get assignable(): number {
    let count = 0;
    if (this.#isDraining) return count;
    for (const method of this.#waiting) {
      if (method.head() !== undefined && [...method.nodes].some((node) => node.hasRoom)) count++;
    }
    return count;
  }

  /** Tasks that wait, for nodes that have to be told again. */
  *oldestWaiting(most: number): Generator<Task> {
    let count = 0;
    for (const method of this.#waiting) {
      if (isBrokerTask(method.name)) continue;
      for (const task of method) {
        if (count++ >= most) return;
        yield task;
      }
    }
  }

  /** Whether the method is of no more use. */
  release(method: MethodQueue): void {
    if (!method.isEmpty || method.nodes.size > (isBrokerTask(method.name) ? 1 : 0)) return;
    if (method.backlogDeadline !== undefined) this.#deadlines.delete(method.backlogDeadline);
    this.#methods.delete(method.name);
    this.#waiting.delete(method);
  }

  /** Hands out nothing more. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Everything that became possible in this turn: the oldest tasks first, to whoever got room. */
  fillRoom(): void {
    if (this.#isDraining) this.#freed.clear();
    for (const node of this.#freed) {
      while (node.hasRoom) {
        const method = this.#oldestFor(node);
        const task = method?.head();
        if (method === undefined || task === undefined) break;
        method.take();
        if (method.head() === undefined) this.#waiting.delete(method);
        // Another node of this method may have more room than the one that was freed.
        this.#assign(task, this.#pickNode(method) ?? node);
        this.#onTaken(method);
      }
    }
    this.#freed.clear();
  }

  #oldestFor(node: NodeSession): MethodQueue | undefined {
    let oldest: MethodQueue | undefined;
    let sequence = Number.POSITIVE_INFINITY;
    const candidates = node.methods.size < this.#waiting.size ? node.methods : this.#waiting;
    for (const method of candidates) {
      if (!method.nodes.has(node)) continue;
      const head = method.head();
      if (head !== undefined && head.sequence < sequence) {
        oldest = method;
        sequence = head.sequence;
      }
    }
    return oldest;
  }

  #hand(task: Task, node: NodeSession, attempt: number): void {
    task.node = node;
    task.isTakenBack = false;
    task.attempt = attempt;
    node.tasks.add(task);
    this.disarm(task);
    const timeoutMs = task.options.timeoutMs ?? task.method.description?.timeoutMs;
    if (timeoutMs !== undefined) this.arm(task, this.#turn.now + timeoutMs);
  }

  #assign(task: Task, node: NodeSession): void {
    this.claim(task, node);
    const { peer } = node;
    if (peer !== undefined) this.#turn.send(peer, request(task.method.name, task.params, task.attemptId));
  }

  #wait(task: Task): void {
    const { method } = task;
    this.#waiting.add(method);
    if (isBrokerTask(method.name)) return;
    this.announceReady(task);
    this.#armWait(task);
  }

  #withdraw(node: NodeSession): void {
    for (const method of node.methods) {
      method.nodes.delete(node);
      if (method.nodes.size === 0) {
        method.unservedSince = this.#turn.now;
        this.#armGrace(method);
      }
      this.release(method);
    }
    node.methods.clear();
  }

  #armGrace(method: MethodQueue): void {
    if (!this.#hasServer(method)) for (const task of method) this.#armWait(task);
  }

  #armWait(task: Task): void {
    const at = Math.min(expiryOf(task), this.#graceEnd(task));
    if (at < Number.POSITIVE_INFINITY) this.arm(task, at);
  }

  #graceEnd({ isSubmitted, method, createdAt }: Task): number {
    if (isSubmitted || this.#hasServer(method)) return Number.POSITIVE_INFINITY;
    return Math.max(method.unservedSince, createdAt) + this.#options.graceMs;
  }

  /**
   * The node with most free slots; where none has any, with most room left. One that has not said anything for
   * some heartbeats, because it is busy or stuck, comes after all others.
   */
  #pickNode(method: MethodQueue): NodeSession | undefined {
    if (this.#isDraining) return undefined;
    const quietSince = this.#turn.now - quietHeartbeats * this.#options.heartbeatMs;
    let best: NodeSession | undefined;
    for (const node of method.nodes) {
      if (!node.hasRoom) continue;
      if (best === undefined || isBetter(node, best, quietSince)) best = node;
    }
    return best;
  }
}

function isBetter(node: NodeSession, best: NodeSession, quietSince: number): boolean {
  const isQuiet = node.lastSeen < quietSince;
  return isQuiet === best.lastSeen < quietSince ? node.freeSlots > best.freeSlots : !isQuiet;
}

/** When a task has waited too long for its first run. */
function expiryOf({ expiresAt, hasBegun }: Task): number {
  return expiresAt !== undefined && !hasBegun ? expiresAt : Number.POSITIVE_INFINITY;
}
