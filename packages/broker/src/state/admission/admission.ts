// Which of the tasks that are due may wait for a node: of what there is one at a time, and of equal ones, one does.
import { ErrorCode, type ErrorObject, errorObject, TaskStatus } from "zerotask-core";
import type { MethodQueue } from "../order/method-queue.ts";
import type { NodeSession } from "../peers/node-session.ts";
import type { Task } from "../tasks/task.ts";
import type { Turn } from "../turn.ts";
import { Instances } from "./instances.ts";
import { type NameHere, Naming } from "./naming.ts";
import type { SharedRuns } from "./shared-runs.ts";

export interface AdmissionHandlers {
  /** The task may be admitted now. */
  enqueue(task: Task): void;
  /** The task ends without having run. */
  end(task: Task, status: TaskStatus, error: ErrorObject): void;
  /** The task is no more one of those that wait for a node. */
  takeOut(task: Task): void;
  /** The task is not to run now after all: its node is told so, and it waits again. */
  takeBack(task: Task): void;
  /** More of the method may begin now. */
  onOpened(method: MethodQueue): void;
  /** Nobody takes part in a shared run any more. */
  stop(run: Task): void;
  /** The task waits for something else than a node. */
  onParked(task: Task): void;
}

export class Admission {
  readonly naming: Naming;
  readonly #shared: SharedRuns;
  readonly #handlers: AdmissionHandlers;
  /** Batches and schedules; and singletons. A task may be of one of each, and waits for the first before the second. */
  readonly #instances = new Instances(({ instance }) => instance);
  readonly #singletons = new Instances(({ singleton }) => singleton);
  /** Those whose turn it has become. */
  readonly #next: Task[] = [];
  #isGoingOn = false;
  /** Tasks that were running when a node brought them back, until their names are known. */
  readonly #unnamed = new Set<Task>();
  /** Those of them that nobody was asked about yet. */
  #unasked: Task[] = [];

  constructor(turn: Turn, shared: SharedRuns, nameHere: NameHere, handlers: AdmissionHandlers) {
    this.#shared = shared;
    this.#handlers = handlers;
    this.naming = new Naming(turn, nameHere, (task, name, error) => this.#onNamed(task, name, error));
  }

  /** Whether the task may wait for a node now. If not, it was taken care of, and comes again if need be. */
  admit(task: Task): boolean {
    if (task.members !== undefined) return true;
    const { singleton, coalesce } = task.method.description ?? {};
    if (this.#needsName(task)) return !this.#name(task);
    if (!this.#instances.enter(task)) return this.#park(task, this.#instances);
    if (!this.#singletons.enter(task)) {
      if (singleton?.mode === "queue") return this.#park(task, this.#singletons);
      this.#handlers.end(task, TaskStatus.Stopped, taken(task));
      return false;
    }
    // Each stream has a consumer of its own.
    if (coalesce !== true || task.method.nodes.size === 0 || task.options.stream !== undefined) return true;
    this.#shared.join(task);
    this.#handlers.onParked(task);
    return false;
  }

  /** A node brought the task back, and runs it. @returns false where another one of its instance runs already */
  adopt(task: Task): boolean {
    if (!this.#needsName(task)) return this.#takeTurns(task);
    this.keep(task);
    return true;
  }

  /** A node goes on with a task on another connection. */
  keep(task: Task): void {
    if (!this.#needsName(task)) return;
    // Whichever it is, nothing of its method begins until that is known.
    if (!this.#unnamed.has(task)) task.method.unnamed++;
    this.#unnamed.add(task);
    this.#unasked.push(task);
  }

  /** The nodes that brought tasks back can be asked now. */
  askNames(): void {
    const unasked = this.#unasked;
    this.#unasked = [];
    for (const task of unasked) if (!this.naming.ask(task)) this.#onNamed(task, undefined, undefined);
  }

  /**
   * The task is settled, or waits elsewhere: what waited for it goes on.
   * @param isGone it will not come back, as this object
   */
  leave(task: Task, isGone: boolean): void {
    if (task.shared !== undefined) {
      const empty = this.#shared.leave(task);
      if (empty !== undefined) this.#handlers.stop(empty);
    }
    const next = [this.#instances.leave(task, isGone), this.#singletons.leave(task, isGone)];
    // It may have been waiting for its name.
    task.lane.unpark(task);
    for (const other of next) if (other !== undefined) this.#goOn(other);
  }

  /** A node that asks for its tasks wants this one. @returns whether it is its turn, which it then has */
  claim(task: Task): boolean {
    return this.#instances.enter(task) && this.#singletons.enter(task);
  }

  /** The node is gone, and names nothing more. */
  lose(node: NodeSession): void {
    this.naming.lose(node);
  }

  /** Whether only a node can tell which instance of a singleton the task is. */
  #needsName(task: Task): boolean {
    const { method } = task;
    const { singleton } = method.description ?? {};
    if (singleton === undefined || task.members !== undefined || task.singleton !== undefined) return false;
    if (singleton.by === "params") return true;
    task.singleton = method.name;
    return false;
  }

  /** What runs already comes before what has not begun. @returns false where another one runs, too */
  #takeTurns(task: Task): boolean {
    const displace = (before: Task): void => {
      this.#handlers.takeOut(before);
      const empty = this.#shared.leave(before);
      if (empty !== undefined) this.#handlers.stop(empty);
      this.#handlers.enqueue(before);
    };
    return this.#instances.takeOver(task, displace) && this.#singletons.takeOver(task, displace);
  }

  #onAdoptedNamed(task: Task, name: string | undefined): void {
    const { method } = task;
    method.unnamed--;
    if (name !== undefined && task.node !== undefined && task.singleton === undefined) {
      task.singleton = instanceOf(task, name);
      if (!this.#takeTurns(task)) this.#handlers.takeBack(task);
    }
    if (method.unnamed === 0) this.#handlers.onOpened(method);
  }

  /** @returns whether the task waits for its name; where nobody can tell it, it waits for a node */
  #name(task: Task): boolean {
    task.lane.park(task);
    this.#handlers.onParked(task);
    if (this.naming.ask(task)) return true;
    task.lane.unpark(task);
    return false;
  }

  /** The task waits for its turn. */
  #park(task: Task, turns: Instances): false {
    turns.wait(task);
    this.#handlers.onParked(task);
    return false;
  }

  #onNamed(task: Task, name: string | undefined, error: ErrorObject | undefined): void {
    if (this.#unnamed.delete(task)) {
      this.#onAdoptedNamed(task, name);
      return;
    }
    // It may have a name by now, and wait for its turn.
    if (!task.isParked || task.singleton !== undefined || task.settled !== undefined) return;
    task.lane.unpark(task);
    if (error !== undefined) {
      this.#handlers.end(task, TaskStatus.Failed, error);
      return;
    }
    if (name !== undefined) task.singleton = instanceOf(task, name);
    this.#handlers.enqueue(task);
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
  return `${method.name}:${name}`;
}

function taken({ method }: Task): ErrorObject {
  return errorObject(ErrorCode.TaskStopped, `Another task of ${method.name} is queued or running`, {
    reason: "singleton",
    how: "never-started",
  });
}
