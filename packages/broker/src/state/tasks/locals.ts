// Tasks that a node runs for itself: they are given to it alone, and again when they fail, for as long as it is there.
import { ErrorCode, type ErrorObject, errorObject, type Params, TaskStatus } from "zerotask-core";
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
  adopted: number | undefined;
}

export class Locals {
  readonly #parts: LocalParts;

  constructor(parts: LocalParts) {
    this.#parts = parts;
  }

  /** The node wants to run this task. What it runs already, or is about to run again, stays as it is. */
  run(node: NodeSession, { id, method, params, bytes, attempt }: LocalTask): void {
    const { life, methods, sessions, tasks, turn } = this.#parts;
    if (tasks.get(id) !== undefined) return;
    const lane = methods.lane(method, "");
    const task = {
      ...{ id, params, bytes, ownerId: sessions.anonymous.id, caller: undefined, level: undefined },
      ...{ options: noOptions, addressee: undefined, requestId: null, createdAt: turn.now, dueAt: turn.now },
      ...{ expiresAt: undefined, priority: 0, instance: undefined },
      pin: { nodeId: node.id, adopted: attempt },
    };
    life.call(task, lane);
  }

  /** Gives the task to its node. */
  place(task: Task, pin: Pin): void {
    const { scheduler, sessions, turn } = this.#parts;
    const node = sessions.nodes.get(pin.nodeId);
    if (node === undefined) {
      this.lose(task);
      return;
    }
    const { adopted } = pin;
    pin.adopted = undefined;
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
}
