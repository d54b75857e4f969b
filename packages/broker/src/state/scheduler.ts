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
  /** Runs `broker.*` tasks. */
  readonly local: NodeSession;
}

export class Scheduler {
  readonly #turn: Turn;
  readonly #deadlines: Deadlines<Due>;
  readonly #options: SchedulerOptions;
  readonly #methods = new Map<string, MethodQueue>();
  /** Methods in whose queue something may wait. */
  readonly #waiting = new Set<MethodQueue>();
  /** Nodes that may have got room in this turn. */
  readonly #freed = new Set<NodeSession>();
  #askingNodes = 0;

  constructor(turn: Turn, deadlines: Deadlines<Due>, options: SchedulerOptions) {
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
    const node = method.head() === undefined ? pickNode(method.nodes) : undefined;
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

  /** A node without a protocol asked for this task, and gets it. */
  claim(task: Task, node: NodeSession): void {
    task.status = TaskStatus.Assigned;
    task.node = node;
    task.attempt++;
    node.tasks.add(task);
  }

  /** Takes a task off its node; the room is filled at the end of the turn. */
  unassign(task: Task): void {
    const { node } = task;
    if (node === undefined) return;
    task.node = undefined;
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
    for (const { name } of descriptions) {
      const method = this.method(name);
      method.nodes.add(node);
      node.methods.add(method);
    }
    this.offerRoom(node);
  }

  /** A node that asks for tasks came (+1) or went (−1): while there is one, any method may be served. */
  countAskingNodes(change: number): void {
    this.#askingNodes += change;
    if (this.#askingNodes > 0) return;
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

  /** A call's grace is over: tells whether no node served its method all that time. */
  endGrace(task: Task): boolean {
    task.hasGrace = false;
    const { method, createdAt } = task;
    if (method.nodes.size > 0 || this.#askingNodes > 0) return false;
    if (Math.max(method.unservedSince, createdAt) + this.#options.graceMs <= this.#turn.now) return true;
    this.#armGraceOf(task);
    return false;
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
    if (method.unsettled > 0 || method.nodes.size > (isBrokerTask(method.name) ? 1 : 0)) return;
    this.#methods.delete(method.name);
    this.#waiting.delete(method);
  }

  /** Everything that became possible in this turn: the oldest tasks first, to whoever got room. */
  fillRoom(): void {
    for (const node of this.#freed) {
      while (node.hasRoom) {
        const method = this.#oldestFor(node);
        const task = method?.head();
        if (method === undefined || task === undefined) break;
        method.take();
        if (method.head() === undefined) this.#waiting.delete(method);
        // Another node of this method may have more room than the one that was freed.
        this.#assign(task, pickNode(method.nodes) ?? node);
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

  #assign(task: Task, node: NodeSession): void {
    this.claim(task, node);
    const { peer } = node;
    if (peer !== undefined) this.#turn.send(peer, request(task.method.name, task.params, task.attemptId));
  }

  #wait(task: Task): void {
    const { method } = task;
    this.#waiting.add(method);
    if (isBrokerTask(method.name)) return;
    this.#turn.announce(Announcement.TaskReady, { method: method.name, task_id: task.id });
    if (method.nodes.size === 0 && this.#askingNodes === 0) this.#armGraceOf(task);
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
    if (method.nodes.size > 0 || this.#askingNodes > 0) return;
    for (const task of method) this.#armGraceOf(task);
  }

  #armGraceOf(task: Task): void {
    // One deadline for each task: should nodes come and go meanwhile, it is set anew when it is due.
    if (task.isSubmitted || task.hasGrace) return;
    task.hasGrace = true;
    const since = Math.max(task.method.unservedSince, task.createdAt);
    this.#deadlines.add(since + this.#options.graceMs, { type: "unserved", task });
  }
}

/** The node with most free slots; where none has any, with most room left. */
function pickNode(nodes: Iterable<NodeSession>): NodeSession | undefined {
  let best: NodeSession | undefined;
  for (const node of nodes) {
    if (node.hasRoom && (best === undefined || node.freeSlots > best.freeSlots)) best = node;
  }
  return best;
}
