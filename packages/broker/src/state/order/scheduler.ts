// Which node gets which task, and when: a task never waits while a node that serves it has room and no limit says so.

import { Announcement, isBrokerTask, type MethodDescription, TaskStatus } from "zerotask-core";
import type { NodeSession } from "../peers/node-session.ts";
import type { Task } from "../tasks/task.ts";
import type { Turn } from "../turn.ts";
import { assignmentOf } from "./assignment.ts";
import type { Lane } from "./lane.ts";
import type { MethodQueue } from "./method-queue.ts";
import type { MethodTable } from "./method-table.ts";
import { chooseNode } from "./node-choice.ts";
import { isBefore } from "./order.ts";
import type { Patience } from "./patience.ts";
import { runTimeoutOf } from "./timing.ts";

export interface SchedulerHandlers {
  /** A task was taken off a group's queue. */
  onTaken(lane: Lane): void;
  /** Somebody came who serves the method. */
  onServed(method: MethodQueue): void;
  /** The task has this status from now on. */
  setStatus(task: Task, status: TaskStatus): void;
  /** A task was picked. @returns whether it can begin, or else it was put elsewhere */
  onPicked(task: Task): boolean;
}

const quietHeartbeats = 3;

export class Scheduler {
  readonly #turn: Turn;
  readonly #methods: MethodTable;
  readonly #patience: Patience;
  readonly #quietMs: number;
  readonly #handlers: SchedulerHandlers;
  /** Methods of which something may wait. */
  readonly #waiting = new Set<MethodQueue>();
  /** Nodes that may have got room in this turn. */
  readonly #freed = new Set<NodeSession>();
  #isDraining = false;

  constructor(
    turn: Turn,
    methods: MethodTable,
    patience: Patience,
    heartbeatMs: number,
    handlers: SchedulerHandlers,
  ) {
    this.#turn = turn;
    this.#methods = methods;
    this.#patience = patience;
    this.#quietMs = quietHeartbeats * heartbeatMs;
    this.#handlers = handlers;
  }

  /** Hands a new task to a node with room, or lets it wait for one. */
  enqueue(task: Task): void {
    const { method, lane } = task;
    const isFirst = lane.length === 0 && this.#methods.next(method) === undefined;
    if (!isFirst || !this.#hasRoom(method)) this.#add(task);
    else if (!this.#methods.isOpen(task)) {
      this.#add(task);
      // There is room, and no node will be freed: from here on it is waited for the limit.
      this.#methods.next(method);
    } else if (this.#handlers.onPicked(task)) this.#assign(task);
  }

  /** Lets a task that a node gave back, or was lost with, go on at its old place. */
  putBack(task: Task): void {
    this.unassign(task);
    this.#handlers.setStatus(task, TaskStatus.Queued);
    this.#add(task);
    this.offerRoomTo(task.method);
  }

  /** Whether the limits let the task begin now. */
  mayBegin(task: Task): boolean {
    return this.#methods.isOpen(task);
  }

  /** The node gets this task; one without a protocol asked for it. */
  claim(task: Task, node: NodeSession): void {
    const { method, lane } = task;
    this.takeOut(task);
    method.gate.start(this.#turn.now);
    lane.gate.start(this.#turn.now);
    method.lastServed = lane;
    this.#hand(task, node, task.attempt + 1);
    this.#handlers.setStatus(task, TaskStatus.Assigned);
  }

  /** The node has this task already, from an earlier run of the broker. */
  adopt(task: Task, node: NodeSession, attempt: number): void {
    this.takeOut(task);
    task.method.gate.adopt();
    task.lane.gate.adopt();
    this.#hand(task, node, attempt);
    this.#handlers.setStatus(task, TaskStatus.Running);
  }

  /** A task that waits was settled. */
  drop(task: Task): void {
    task.method.drop(task);
  }

  /** A task that may wait goes elsewhere. */
  takeOut(task: Task): void {
    if (task.inQueue) task.method.delete(task);
  }

  /** Takes a task off its node; the room is filled at the end of the turn. */
  unassign(task: Task): void {
    const { node, method, lane } = task;
    if (node === undefined) return;
    task.node = undefined;
    this.#patience.disarm(task);
    node.release(task);
    this.offerRoom(node);
    const wasFull = method.gate.isFull || lane.gate.isFull;
    method.gate.end();
    lane.gate.end();
    if (!wasFull) return;
    method.lineUp(lane);
    this.offerRoomTo(method);
  }

  /** The node may have room now. */
  offerRoom(node: NodeSession): void {
    this.#freed.add(node);
  }

  /** More of a method may be able to begin now. */
  offerRoomTo(method: MethodQueue): void {
    if (method.length > 0) for (const node of method.nodes) this.#freed.add(node);
  }

  /** A rate lets more of a method, or of one of its groups, begin. */
  onGateDue(method: MethodQueue, lane: Lane | undefined): void {
    (lane ?? method).gate.deadline = undefined;
    if (lane !== undefined) {
      method.lineUp(lane);
      this.#methods.releaseLane(lane);
    }
    this.offerRoomTo(method);
    this.release(method);
  }

  /** Takes note of what a node serves from now on. */
  serve(node: NodeSession, descriptions: readonly MethodDescription[]): void {
    this.#withdraw(node);
    node.descriptions = descriptions;
    for (const description of descriptions) {
      const method = this.#methods.method(description.name);
      method.description = description;
      method.nodes.add(node);
      node.methods.add(method);
      this.#handlers.onServed(method);
      // What holds for it may have changed for all.
      this.offerRoomTo(method);
    }
    this.offerRoom(node);
  }

  /** A node that asks for tasks came (+1) or went (−1): while there is one, any method may be served. */
  countAskingNodes(change: number): void {
    if (this.#patience.countAskingNodes(change) > 0) {
      if (change > 0) for (const method of this.#methods) this.#handlers.onServed(method);
      return;
    }
    for (const method of this.#waiting) {
      if (method.nodes.size === 0) method.unservedSince = this.#turn.now;
      this.#patience.beginGrace(method);
    }
  }

  /** The node takes no more tasks. */
  remove(node: NodeSession): void {
    this.#withdraw(node);
    this.#freed.delete(node);
  }

  /** Whether anybody could run tasks of this method. */
  isServed(method: MethodQueue): boolean {
    return !this.#isDraining && this.#patience.hasServer(method);
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
      if (this.#methods.next(method) !== undefined && this.#hasRoom(method)) count++;
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
    if (this.#methods.release(method)) this.#waiting.delete(method);
  }

  /** Hands out nothing more. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Everything that became possible in this turn: the first tasks first, to whoever got room. */
  fillRoom(): void {
    if (this.#isDraining) this.#freed.clear();
    for (const node of this.#freed) {
      while (node.hasRoom) {
        const task = this.#firstFor(node);
        if (task === undefined) break;
        task.method.take();
        // Another node of this method may have more room than the one that was freed.
        if (this.#handlers.onPicked(task)) this.#assign(task);
        this.#handlers.onTaken(task.lane);
      }
    }
    this.#freed.clear();
  }

  /** Of the tasks that are next in the methods which the node serves: the first in order. */
  #firstFor(node: NodeSession): Task | undefined {
    let first: Task | undefined;
    const candidates = node.methods.size < this.#waiting.size ? node.methods : this.#waiting;
    for (const method of candidates) {
      if (method.length === 0) this.#waiting.delete(method);
      if (!method.nodes.has(node) || !node.roomOf(method.name).isFree) continue;
      const next = this.#methods.next(method);
      if (next !== undefined && (first === undefined || isBefore(next, first))) first = next;
    }
    return first;
  }

  #hasRoom({ nodes, name }: MethodQueue): boolean {
    if (this.#isDraining) return false;
    for (const node of nodes) if (node.roomOf(name).isFree) return true;
    return false;
  }

  #add(task: Task): void {
    const { method } = task;
    method.add(task);
    this.#waiting.add(method);
    if (!isBrokerTask(method.name)) this.announceReady(task);
    this.#patience.begin(task);
  }

  #hand(task: Task, node: NodeSession, attempt: number): void {
    task.node = node;
    task.isTakenBack = false;
    task.mayRunElsewhere = false;
    task.attempt = attempt;
    task.assignedAt = this.#turn.now;
    node.hold(task);
    this.#patience.disarm(task);
    const timeoutMs = runTimeoutOf(task, this.#turn.now);
    if (timeoutMs !== undefined) this.#patience.arm(task, this.#turn.now + timeoutMs);
  }

  /** To be called when a node has room. */
  #assign(task: Task): void {
    const { method } = task;
    const node = chooseNode(method, this.#turn.now, this.#turn.now - this.#quietMs);
    if (node === undefined) {
      this.#add(task);
      return;
    }
    this.claim(task, node);
    const { peer } = node;
    if (peer !== undefined) this.#turn.send(peer, assignmentOf(task, this.#turn.now));
  }

  #withdraw(node: NodeSession): void {
    for (const method of node.methods) {
      method.nodes.delete(node);
      if (method.nodes.size === 0) {
        method.unservedSince = this.#turn.now;
        this.#patience.beginGrace(method);
      }
      this.release(method);
    }
    node.methods.clear();
  }
}
