// The life of a task: submit, assign, start, settle. Every change of status is made here or in the scheduler.
import {
  ErrorCode,
  type ErrorObject,
  errorObject,
  isSettled,
  notification,
  type Outcome,
  Push,
  TaskStatus,
  type WireOptions,
} from "zerotask-core";
import type { Backlog } from "./backlog.ts";
import type { Load } from "./load.ts";
import type { MethodQueue } from "./method-queue.ts";
import { mayBeRetried, retryDelay } from "./retry.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Sessions } from "./sessions.ts";
import type { Settlement } from "./settlement.ts";
import type { Storage } from "./storage.ts";
import type { Storages } from "./storages.ts";
import type { Durability, StoredTask } from "./stored-task.ts";
import { type NewTask, Task } from "./task.ts";
import { restored, toStore } from "./task-record.ts";
import type { TaskTable } from "./task-table.ts";
import type { Turn } from "./turn.ts";

export interface LifeBounds {
  /** How often a task may lose its node before it fails. */
  readonly redeliveries: number;
  /** A random number from 0 to 1. */
  readonly random: () => number;
}

export interface LifeParts {
  readonly turn: Turn;
  readonly tasks: TaskTable;
  readonly scheduler: Scheduler;
  readonly storages: Storages;
  readonly backlog: Backlog;
  readonly sessions: Sessions;
  readonly load: Load;
  readonly settlement: Settlement;
  readonly bounds: LifeBounds;
}

const postponeMs = 1_000;

export class TaskLife {
  readonly #parts: LifeParts;
  #sequence = 0;

  constructor(parts: LifeParts) {
    this.#parts = parts;
  }

  /** The number of the task that comes next; no other task of this broker has it. */
  nextNumber(): number {
    return this.#sequence + 1;
  }

  /** Takes a call, which is in memory only. */
  call(task: NewTask, methodName: string): void {
    const { load, scheduler } = this.#parts;
    const record = this.#create(task, scheduler.method(methodName));
    record.caller?.calls.add(record);
    load.add(record.caller, undefined, record.bytes);
    scheduler.enqueue(record);
  }

  /**
   * Stores a task; it can run from then on.
   * @param params its params, as JSON
   * @param then called when it is stored; with what was there before under its id, if so, or why it can't be stored
   */
  submit(
    task: NewTask & { readonly level: Durability },
    methodName: string,
    params: string | undefined,
    then: (known: StoredTask | undefined, failure: ErrorObject | undefined) => void,
  ): void {
    const { backlog, load, scheduler, sessions, storages } = this.#parts;
    const method = scheduler.method(methodName);
    const isClaimed = backlog.hasRoomFor(method, task.level, task.bytes);
    const record = this.#create(task, method);
    record.isArriving = true;
    const owner = sessions.clients.get(task.ownerId);
    if (isClaimed) method.arriving++;
    backlog.hold(record.bytes);
    load.add(owner, task.level, task.bytes);
    const storage = storages.for(task.level);
    storage.change({ type: "add", task: toStore(record, methodName, params), isClaimed });
    storage.whenStored((failure) => {
      record.isArriving = false;
      if (isClaimed) method.arriving--;
      const known = storage.knownBefore(task.id);
      then(known, failure);
      // Somebody may have stopped it meanwhile.
      if (record.settled !== undefined) return;
      if (known !== undefined || failure !== undefined) {
        load.remove(owner, task.level, task.bytes);
        this.#letGo(record);
      } else if (isClaimed) this.#enqueue(record);
      else this.#leave(record, record.createdAt);
    });
  }

  /** Holds a stored task that was claimed, and lets it wait for a node. */
  admit(stored: StoredTask, level: Durability): void {
    const held = this.#parts.tasks.get(stored.id);
    // One that was stopped while it was being stored is settled before long.
    if (held?.level === level && held.settled !== undefined) return;
    if (held !== undefined && held.level !== level) this.#postpone(stored, level);
    else this.#enqueue(this.#hold(stored, level));
  }

  /** A client used one id for two things: the other comes first, or their answers could not be told apart. */
  #postpone({ id, method, attempt, losses, failures }: StoredTask, level: Durability): void {
    const { backlog, scheduler, storages, turn } = this.#parts;
    const storage = storages.for(level);
    const dueAt = turn.now + postponeMs;
    const status = TaskStatus.Queued;
    storage.change({ type: "reschedule", id, status, attempt, losses, failures, dueAt, isClaimed: false });
    storage.whenStored((failure) => {
      if (failure === undefined) backlog.leave(scheduler.method(method), level, dueAt, undefined);
    });
  }

  /**
   * Claims what the stores have under these ids and nobody holds, and lets `use` decide about it: what it leaves
   * as it is waits for a node again.
   * @param use gets all that the stores know under these ids, or why one of them can't be asked
   */
  take(
    ids: readonly string[],
    use: (known: readonly StoredTask[], failure: ErrorObject | undefined) => void,
  ): void {
    const known: StoredTask[] = [];
    const held: Task[] = [];
    const ask = ([storage, ...others]: readonly Storage[], problem: ErrorObject | undefined): void => {
      if (storage === undefined) {
        use(known, problem);
        for (const task of held) if (task.isTakenBack && task.settled === undefined) this.#requeue(task);
        return;
      }
      storage.take(ids, (taken, failure) => {
        for (const { task, isTaken } of taken ?? []) {
          known.push(task);
          const other = this.#parts.tasks.get(task.id);
          if (isTaken && other !== undefined && other.level !== storage.level) {
            this.#postpone(task, storage.level);
          } else if (isTaken) held.push(this.#takeBack(task, storage.level));
        }
        ask(others, failure ?? problem);
      });
    };
    if (ids.length === 0) use(known, undefined);
    else ask([...this.#parts.storages], undefined);
  }

  #takeBack(stored: StoredTask, level: Durability): Task {
    const held = this.#parts.tasks.submitted(stored.id);
    if (held?.settled !== undefined) return held;
    const task = this.#hold(stored, level);
    this.#parts.backlog.taken(task.method, level);
    task.isTakenBack = true;
    return task;
  }

  #requeue(task: Task): void {
    task.isTakenBack = false;
    this.#enqueue(task);
  }

  /** A node says that the task has been running for a while. */
  start(task: Task): void {
    task.status = TaskStatus.Running;
  }

  /** A run ended. It may not have been the last. */
  end(task: Task, status: TaskStatus, outcome: Outcome, bytes: number): void {
    if (task.settled !== undefined) return;
    const { retries = task.method.description?.retries ?? 0 } = task.options;
    if (task.failures >= retries || !mayBeRetried(outcome)) {
      this.#parts.settlement.settle(task, status, outcome, bytes);
      return;
    }
    const { turn, scheduler, bounds } = this.#parts;
    scheduler.unassign(task);
    task.failures++;
    task.hasBegun = true;
    task.status = TaskStatus.Scheduled;
    const dueAt = turn.now + retryDelay(task.failures, backoffOf(task), bounds.random());
    if (task.level === undefined) {
      scheduler.arm(task, dueAt);
      return;
    }
    const storage = this.#parts.storages.for(task.level);
    storage.change({ ...progressOf(task), type: "reschedule", dueAt, isClaimed: false });
    storage.whenStored((failure) => {
      if (failure === undefined && task.settled === undefined) this.#leave(task, dueAt);
    });
  }

  /** The node that had the task is gone. */
  lose(task: Task): void {
    task.losses++;
    if (task.losses <= this.#parts.bounds.redeliveries) {
      this.putBack(task);
      if (task.level === undefined) return;
      const dueAt = this.#parts.turn.now;
      this.#parts.storages
        .for(task.level)
        .change({ ...progressOf(task), type: "reschedule", dueAt, isClaimed: true });
      return;
    }
    const message = `Its node was lost ${task.losses} times`;
    this.#parts.settlement.settle(
      task,
      TaskStatus.Failed,
      { error: errorObject(ErrorCode.NodeLost, message) },
      message.length,
    );
  }

  /** A node that may have begun the task has it no more: it goes on with its next attempt. */
  putBack(task: Task): void {
    task.hasBegun = true;
    this.handBack(task);
  }

  /** A node has not begun the task, and gives it back. */
  handBack(task: Task): void {
    const { scheduler, storages } = this.#parts;
    if (task.level === undefined || storages.for(task.level).failure === undefined) {
      scheduler.putBack(task);
      return;
    }
    scheduler.unassign(task);
    this.#letGo(task);
  }

  /** Ends the task. A node that has it is told to give it up. */
  stop(task: Task): void {
    this.#cut(task, TaskStatus.Stopped, errorObject(ErrorCode.TaskStopped, "The task was stopped"));
  }

  /** Something was to be done about this task now. */
  onDue(task: Task): void {
    task.deadline = undefined;
    switch (task.status) {
      case TaskStatus.Scheduled:
        this.#parts.scheduler.putBack(task);
        break;
      case TaskStatus.Queued: {
        const reason = this.#parts.scheduler.waitedTooLong(task);
        if (reason === "expired") this.#expire(task);
        else if (reason === "unserved") this.#failUnserved(task);
        break;
      }
      case TaskStatus.Assigned:
      case TaskStatus.Running:
        this.#overrun(task);
        break;
    }
  }

  /** A store failed: what is in it can neither be run nor settled any more by this broker. */
  abandon(level: Durability): void {
    for (const task of this.#parts.tasks) {
      if (task.level !== level || task.settled !== undefined || task.node !== undefined) continue;
      task.status = TaskStatus.Scheduled;
      this.#parts.scheduler.disarm(task);
      this.#letGo(task);
    }
  }

  #hold(stored: StoredTask, level: Durability): Task {
    const { backlog, scheduler } = this.#parts;
    const method = scheduler.method(stored.method);
    const task = restored(stored, level, method, ++this.#sequence);
    // It was submitted again just now: that will turn out to be this task.
    const again = this.#parts.tasks.submitted(stored.id);
    if (again !== undefined) this.#parts.tasks.remove(again);
    this.#register(task);
    backlog.hold(task.bytes);
    return task;
  }

  #create(task: NewTask, method: MethodQueue): Task {
    const record = new Task(task, method, ++this.#sequence);
    this.#register(record);
    return record;
  }

  #register(task: Task): void {
    task.method.unsettled++;
    this.#parts.tasks.add(task);
  }

  #enqueue(task: Task): void {
    task.status = TaskStatus.Queued;
    if (this.#parts.scheduler.waitedTooLong(task) === "expired") this.#expire(task);
    else this.#parts.scheduler.enqueue(task);
  }

  /** Leaves a task to its store, from where it will be claimed again. */
  #leave(task: Task, dueAt: number): void {
    if (task.level === undefined) return;
    const { backlog, scheduler } = this.#parts;
    backlog.leave(task.method, task.level, dueAt, task.hasBegun ? undefined : task.expiresAt);
    this.#letGo(task);
    if (dueAt <= this.#parts.turn.now) scheduler.announceReady(task);
  }

  #letGo(task: Task): void {
    const { backlog, scheduler, tasks } = this.#parts;
    tasks.remove(task);
    backlog.release(task.bytes);
    task.method.unsettled--;
    scheduler.release(task.method);
  }

  #overrun(task: Task): void {
    const timeoutMs = task.options.timeoutMs ?? task.method.description?.timeoutMs;
    const error = errorObject(ErrorCode.TaskExpired, `The task ran for more than ${timeoutMs} ms`);
    this.#abort(task);
    this.end(task, TaskStatus.Expired, { error }, 0);
  }

  #expire(task: Task): void {
    const waited = Math.round((task.expiresAt ?? 0) - task.createdAt);
    const error = errorObject(ErrorCode.TaskExpired, `The task waited for more than ${waited} ms`);
    this.#parts.settlement.settle(task, TaskStatus.Expired, { error }, 0);
  }

  #failUnserved(task: Task): void {
    const method = task.method.name;
    const error = errorObject(ErrorCode.MethodNotFound, `Method not found: ${method}`, { method });
    this.#parts.settlement.settle(task, TaskStatus.Failed, { error }, 0);
  }

  #cut(task: Task, status: TaskStatus, error: ErrorObject): void {
    if (isSettled(task.status)) return;
    this.#abort(task);
    this.#parts.settlement.settle(task, status, { error }, 0);
  }

  /** Tells the node that has the task to give it up. */
  #abort({ node, attemptId }: Task): void {
    if (node?.peer !== undefined)
      this.#parts.turn.send(node.peer, notification(Push.TaskAbort, { id: attemptId }));
  }
}

function backoffOf({ method, options }: Task): WireOptions["backoff"] {
  return options.backoff ?? method.description?.backoff;
}

function progressOf({
  id,
  status,
  attempt,
  losses,
  failures,
}: Task): Pick<Task, "id" | "status" | "attempt" | "losses" | "failures"> {
  return { id, status, attempt, losses, failures };
}
