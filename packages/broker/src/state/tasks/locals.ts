// Tasks that a node runs for itself: they are given to it alone, and again when they fail, for as long as it is there.
import {
  ErrorCode,
  type ErrorObject,
  errorObject,
  notification,
  type Params,
  Push,
  TaskStatus,
} from "zerotask-core";
import { busy, Refusal } from "../commands/command.ts";
import type { Tally } from "../load.ts";
import { assignmentOf } from "../order/assignment.ts";
import type { MethodTable } from "../order/method-table.ts";
import type { Scheduler } from "../order/scheduler.ts";
import type { NodeSession } from "../peers/node-session.ts";
import type { Sessions } from "../peers/sessions.ts";
import type { Turn } from "../turn.ts";
import type { Settlement } from "./settlement.ts";
import type { Task } from "./task.ts";
import type { TaskLife } from "./task-life.ts";
import { noOptions } from "./task-record.ts";
import type { TaskTable } from "./task-table.ts";

/** Begins the ids of such tasks, and of nothing else. */
export const localPrefix = "local:";

export interface LocalParts {
  readonly turn: Turn;
  readonly tasks: TaskTable;
  readonly sessions: Sessions;
  readonly methods: MethodTable;
  readonly scheduler: Scheduler;
  readonly settlement: Settlement;
  readonly life: TaskLife;
}

export interface LocalTask {
  readonly id: string;
  readonly method: string;
  readonly params: Params | undefined;
  readonly bytes: number;
  /** The attempt that the node runs already, from an earlier run of the broker. */
  readonly attempt: number | undefined;
}

/** The node that a task is for, and the attempt by which it runs it already. */
export interface Pin {
  readonly nodeId: string;
  /** Tells the process of the node from another one of its name. */
  readonly token: string | undefined;
  /** The last attempt of what was stopped, and begins again with the next one. */
  readonly after: number;
  /** What its node was charged with for it. */
  readonly bytes: number;
  adopted: number | undefined;
}

/**
 * How many unsettled ones a node may have, and the bytes of their params, however much else there is: it asks once, and
 * its broker can't put it off.
 */
const mostOfNode = 1_000;
const mostBytesOfNode = 16_777_216;

/** How many are remembered that are settled, and the bytes of their params and outcomes: they may begin again. */
const mostSettled = 10_000;
const mostSettledBytes = 16_777_216;

export class Locals {
  readonly #parts: LocalParts;
  /** Unsettled ones, by their nodes' ids. */
  readonly #loads = new Map<string, Tally>();
  readonly #settled = new Set<Task>();
  #settledBytes = 0;

  constructor(parts: LocalParts) {
    this.#parts = parts;
  }

  /**
   * The node wants to run this task. What it runs already, or is about to run again, stays as it is; and so does what
   * was stopped while it was away. What another process of its name ran is over.
   * @throws Refusal when there is no room for it
   */
  run(node: NodeSession, wanted: LocalTask): void {
    const known = this.#parts.tasks.get(wanted.id);
    const isStopped = known?.settled !== undefined && known.status === TaskStatus.Stopped;
    if (
      known !== undefined &&
      known.pin?.token === node.token &&
      (known.settled === undefined || isStopped)
    ) {
      if (isStopped) this.#abortStopped(known, node, wanted.attempt);
      return;
    }
    if (known !== undefined && known.settled === undefined) this.lose(known);
    this.#checkRoom(node, wanted.bytes);
    if (known !== undefined) this.#forget(known);
    this.#begin(node, wanted, 0);
  }

  /**
   * Begins one again that is settled.
   * @throws Refusal when its node is not there, or there is no room for it
   */
  start(task: Task, pin: Pin, params: Params | undefined, bytes: number): void {
    const node = this.#parts.sessions.nodes.get(pin.nodeId);
    if (node === undefined || node.token !== pin.token) {
      throw new Refusal(ErrorCode.NodeLost, `The node that ran ${task.id} for itself is gone`);
    }
    this.#checkRoom(node, bytes);
    this.#forget(task);
    const { id, method, attempt } = task;
    this.#begin(node, { id, method: method.name, params, bytes, attempt: undefined }, attempt);
  }

  /** One has its outcome. @returns whether its record is kept: it can be looked at, and started again */
  end(task: Task, { nodeId, bytes }: Pin): boolean {
    const load = this.#loads.get(nodeId);
    if (load !== undefined) {
      load.tasks--;
      load.bytes -= bytes;
      if (load.tasks === 0) this.#loads.delete(nodeId);
    }
    // Its node may be back in a moment, with its run.
    if (isLost(task)) return false;
    this.#settled.add(task);
    this.#settledBytes += bytesOfSettled(task);
    for (const oldest of this.#settled) {
      if (this.#settled.size <= mostSettled && this.#settledBytes <= mostSettledBytes) break;
      this.#forget(oldest);
    }
    return this.#settled.has(task);
  }

  #begin(node: NodeSession, { id, method, params, bytes, attempt }: LocalTask, after: number): void {
    const { life, methods, sessions, turn } = this.#parts;
    const load = this.#loads.get(node.id) ?? { tasks: 0, bytes: 0 };
    load.tasks++;
    load.bytes += bytes;
    this.#loads.set(node.id, load);
    const lane = methods.lane(method, "");
    const task = {
      ...{ id, params, bytes, ownerId: sessions.anonymous.id, caller: undefined, level: undefined },
      ...{ options: noOptions, addressee: undefined, requestId: null, createdAt: turn.now, dueAt: turn.now },
      ...{ expiresAt: undefined, priority: 0, instance: undefined },
      pin: { nodeId: node.id, token: node.token, after, bytes, adopted: attempt },
    };
    life.call(task, lane);
  }

  /** Gives the task to its node. */
  place(task: Task, pin: Pin): void {
    const { scheduler, sessions, turn } = this.#parts;
    const node = sessions.nodes.get(pin.nodeId);
    if (node === undefined || node.token !== pin.token) {
      this.lose(task);
      return;
    }
    const { adopted } = pin;
    pin.adopted = undefined;
    task.attempt = Math.max(task.attempt, pin.after);
    if (adopted !== undefined) {
      scheduler.adopt(task, node, adopted);
      return;
    }
    scheduler.claim(task, node);
    if (node.peer !== undefined) turn.send(node.peer, assignmentOf(task, turn.now));
  }

  /** Its node is gone, or gives it back: no other can run it. */
  lose(task: Task): void {
    const error: ErrorObject = errorObject(ErrorCode.NodeLost, "The node that ran it for itself is gone");
    this.#parts.settlement.settle(task, TaskStatus.Failed, { error }, 0);
  }

  #checkRoom(node: NodeSession, bytes: number): void {
    const load = this.#loads.get(node.id);
    if (load === undefined) return;
    if (load.tasks >= mostOfNode) throw busy("tasks of this node's own", mostOfNode);
    if (load.bytes + bytes > mostBytesOfNode)
      throw busy("bytes of tasks of this node's own", mostBytesOfNode);
  }

  /** The node still runs what was stopped while it was away. */
  #abortStopped(known: Task, node: NodeSession, attempt: number | undefined): void {
    if (attempt === undefined || node.peer === undefined) return;
    this.#parts.turn.send(node.peer, notification(Push.TaskAbort, { id: `${known.id}#${attempt}` }));
  }

  #forget(task: Task): void {
    this.#parts.tasks.remove(task);
    if (this.#settled.delete(task)) this.#settledBytes -= bytesOfSettled(task);
  }
}

function bytesOfSettled({ bytes, settled }: Task): number {
  return bytes + (settled?.bytes ?? 0);
}

function isLost({ settled }: Task): boolean {
  const outcome = settled?.outcome;
  return outcome !== undefined && "error" in outcome && outcome.error.code === ErrorCode.NodeLost;
}
