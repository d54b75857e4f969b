// Which of the tasks that are due may wait for a node: of what there is one at a time, and of equal ones, one does.
import { ErrorCode, type ErrorObject, errorObject, isBrokerTask, TaskStatus } from "zerotask-core";
import { Instances } from "./instances.ts";
import { Naming } from "./naming.ts";
import type { NodeSession } from "./node-session.ts";
import type { SharedRuns } from "./shared-runs.ts";
import type { Task } from "./task.ts";
import type { Turn } from "./turn.ts";

export interface AdmissionHandlers {
  /** The task may be admitted now. */
  enqueue(task: Task): void;
  /** The task ends without having run. */
  end(task: Task, status: TaskStatus, error: ErrorObject): void;
  /** Nobody takes part in a shared run any more. */
  stop(run: Task): void;
  /** The task waits for something else than a node. */
  onParked(task: Task): void;
}

/** Begins the names of singletons; those of batches begin otherwise. */
const singletonPrefix = "one:";

export class Admission {
  readonly naming: Naming;
  readonly #shared: SharedRuns;
  readonly #handlers: AdmissionHandlers;
  readonly #instances = new Instances();
  /** Those whose turn it has become. */
  readonly #next: Task[] = [];
  #isGoingOn = false;

  constructor(turn: Turn, shared: SharedRuns, handlers: AdmissionHandlers) {
    this.#shared = shared;
    this.#handlers = handlers;
    this.naming = new Naming(turn, (task, name, error) => this.#onNamed(task, name, error));
  }

  /** Whether the task may wait for a node now. If not, it was taken care of, and comes again if need be. */
  admit(task: Task): boolean {
    if (task.members !== undefined) return true;
    const { singleton, coalesce } = task.method.description ?? {};
    if (singleton !== undefined && task.instance === undefined) {
      if (singleton.by === "params") return !this.#name(task);
      task.instance = `${singletonPrefix}${task.method.name}`;
    }
    if (!this.#instances.enter(task)) {
      const isSingleton = task.instance?.startsWith(singletonPrefix) === true;
      if (isSingleton && singleton?.mode !== "queue")
        this.#handlers.end(task, TaskStatus.Stopped, taken(task));
      else {
        this.#instances.wait(task);
        this.#handlers.onParked(task);
      }
      return false;
    }
    if (coalesce !== true || task.method.nodes.size === 0) return true;
    this.#shared.join(task);
    this.#handlers.onParked(task);
    return false;
  }

  /** The task is settled, or waits elsewhere: what waited for it goes on. */
  leave(task: Task): void {
    if (task.shared !== undefined) {
      const empty = this.#shared.leave(task);
      if (empty !== undefined) this.#handlers.stop(empty);
    }
    const next = this.#instances.leave(task);
    // It may have been waiting for its name.
    task.lane.unpark(task);
    if (next !== undefined) this.#goOn(next);
  }

  /** A node that asks for its tasks wants this one. @returns whether it is its turn, which it then has */
  claim(task: Task): boolean {
    return this.#instances.enter(task);
  }

  /** A node runs the task since before the broker knew of it: what has not begun has to wait for it. */
  adopt(task: Task): void {
    const { singleton } = task.method.description ?? {};
    if (task.members === undefined && task.instance === undefined && singleton !== undefined) {
      if (singleton.by === "params") {
        this.naming.ask(task);
        return;
      }
      task.instance = `${singletonPrefix}${task.method.name}`;
    }
    this.#takeOver(task);
  }

  /** The node is gone, and names nothing more. */
  lose(node: NodeSession): void {
    this.naming.lose(node);
  }

  /** @returns whether the task waits for its name; where nobody can tell it, it waits for a node */
  #name(task: Task): boolean {
    if (isBrokerTask(task.method.name) || !this.naming.ask(task)) return false;
    task.lane.park(task);
    this.#handlers.onParked(task);
    return true;
  }

  #onNamed(task: Task, name: string | undefined, error: ErrorObject | undefined): void {
    if (task.settled !== undefined) return;
    if (task.node !== undefined) {
      if (name === undefined || task.instance !== undefined) return;
      task.instance = instanceOf(task, name);
      this.#takeOver(task);
      return;
    }
    if (!task.isParked) return;
    task.lane.unpark(task);
    if (error !== undefined) {
      this.#handlers.end(task, TaskStatus.Failed, error);
      return;
    }
    if (name !== undefined) task.instance = instanceOf(task, name);
    this.#handlers.enqueue(task);
  }

  #takeOver(task: Task): void {
    const before = this.#instances.takeOver(task);
    if (before === undefined) return;
    before.method.delete(before);
    const empty = this.#shared.leave(before);
    if (empty !== undefined) this.#handlers.stop(empty);
    this.#handlers.enqueue(before);
  }

  /** One after the other: thousands may end as soon as it is their turn. */
  #goOn(next: Task): void {
    this.#next.push(next);
    if (this.#isGoingOn) return;
    this.#isGoingOn = true;
    try {
      for (let task = this.#next.shift(); task !== undefined; task = this.#next.shift()) {
        if (task.settled === undefined) this.#handlers.enqueue(task);
      }
    } finally {
      this.#isGoingOn = false;
    }
  }
}

function instanceOf({ method }: Task, name: string): string {
  return `${singletonPrefix}${method.name}:${name}`;
}

function taken({ method }: Task): ErrorObject {
  return errorObject(ErrorCode.TaskStopped, `Another task of ${method.name} is queued or running`, {
    reason: "singleton",
  });
}
