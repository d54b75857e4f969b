// Where a task is that does not run: being stored, waiting in memory, or left to its store.

import {
  ErrorCode,
  type ErrorObject,
  errorObject,
  isSettled,
  type StopOutcome,
  TaskStatus,
} from "zerotask-core";
import type { Admission } from "../admission/admission.ts";
import type { Statuses } from "../events/statuses.ts";
import type { Load } from "../load.ts";
import type { Lane } from "../order/lane.ts";
import type { MethodTable } from "../order/method-table.ts";
import { rankOf } from "../order/order.ts";
import { expiryOf, type Patience } from "../order/patience.ts";
import type { Scheduler } from "../order/scheduler.ts";
import type { Sessions } from "../peers/sessions.ts";
import type { Backlog } from "../storage/backlog.ts";
import type { Storage } from "../storage/storage.ts";
import type { Storages } from "../storage/storages.ts";
import type { Durability, StoredTask, Taken } from "../storage/stored-task.ts";
import type { Turn } from "../turn.ts";
import type { Locals } from "./locals.ts";
import type { Runs } from "./runs.ts";
import type { Settlement } from "./settlement.ts";
import { type NewTask, Task } from "./task.ts";
import { postponed, rescheduled, restored, toStore } from "./task-record.ts";
import type { TaskTable } from "./task-table.ts";

export interface LifeParts {
  readonly turn: Turn;
  readonly tasks: TaskTable;
  readonly methods: MethodTable;
  readonly patience: Patience;
  readonly scheduler: Scheduler;
  readonly storages: Storages;
  readonly backlog: Backlog;
  readonly sessions: Sessions;
  readonly load: Load;
  readonly settlement: Settlement;
  readonly admission: Admission;
  readonly statuses: Statuses;
  /** Made after this. */
  readonly runs: () => Runs;
  readonly locals: () => Locals;
}

/** Gets all that the stores know, or why one of them can't be asked. */
export type UseTaken = (known: readonly StoredTask[], failure: ErrorObject | undefined) => void;

const postponeMs = 1_000;

export class TaskLife {
  readonly #parts: LifeParts;
  #sequence = 0;

  constructor(parts: LifeParts) {
    this.#parts = parts;
  }

  /** A number that no other task of this broker has. */
  nextNumber(): number {
    return ++this.#sequence;
  }

  /** Takes a call, which is in memory only. */
  call(task: NewTask, lane: Lane): void {
    const record = this.#create(task, lane);
    record.caller?.calls.add(record);
    this.#parts.load.add(record.caller, undefined, record.bytes);
    this.#place(record);
  }

  /**
   * Stores a task; it can run from then on, if it is due.
   * @param params its params, as JSON
   * @param then called when it is stored; with what was there before under its id, if so, or why it can't be stored
   */
  submit(
    task: NewTask & { readonly level: Durability },
    lane: Lane,
    params: string | undefined,
    then: (known: StoredTask | undefined, failure: ErrorObject | undefined) => void,
  ): Task {
    const { backlog, load, sessions, storages, turn } = this.#parts;
    const record = this.#create(task, lane);
    const isDue = task.dueAt <= turn.now;
    const isClaimed = isDue && backlog.hasRoomFor(lane, task.level, record.rank, task.bytes);
    record.isArriving = true;
    record.status = isDue ? TaskStatus.Queued : TaskStatus.Scheduled;
    const owner = sessions.clients.get(task.ownerId);
    if (isClaimed) lane.arriving++;
    backlog.hold(record.bytes);
    load.add(owner, task.level, task.bytes);
    const storage = storages.for(task.level);
    storage.change({ type: "add", task: toStore(record, params), isClaimed });
    storage.whenStored((failure) => {
      record.isArriving = false;
      if (isClaimed) lane.arriving--;
      const known = storage.knownBefore(task.id);
      then(known, failure);
      // Somebody may have stopped it meanwhile.
      if (record.settled !== undefined) return;
      if (known !== undefined || failure !== undefined) {
        load.remove(owner, task.level, task.bytes);
        this.letGo(record);
        return;
      }
      this.#parts.statuses.tell(record);
      if (isClaimed) this.enqueue(record);
      else this.#leave(record);
    });
    return record;
  }

  /** Holds a stored task that was claimed, and lets it wait for a node. */
  admit(stored: StoredTask, level: Durability): void {
    const held = this.#parts.tasks.get(stored.id);
    // One that was stopped while it was being stored is settled before long.
    if (held?.level === level && held.settled !== undefined) return;
    if (held !== undefined && held.level !== level) {
      this.#postpone(stored, level);
      return;
    }
    if (isBack(held)) return;
    const task = this.#hold(stored, level);
    if (this.#parts.patience.hasExpired(task)) {
      this.#expire(task);
      return;
    }
    // What has become due may have to wait in the store for those before it.
    const isOver = stored.status === TaskStatus.Scheduled && !this.#hasRoom(task, level);
    if (isOver) this.#putAway(task, TaskStatus.Queued);
    else this.#place(task);
  }

  /**
   * Claims what the stores have under these ids and nobody holds, and lets `use` decide about it: what it leaves
   * as it is waits again.
   */
  take(ids: readonly string[], use: UseTaken): void {
    if (ids.length === 0) use([], undefined);
    else this.#takeBy([...this.#parts.storages], (storage, then) => storage.take(ids, then), use);
  }

  /** The same with the unsettled tasks of one instance, which are where tasks are safest. */
  takeInstance(instance: string, use: UseTaken): void {
    const { best } = this.#parts.storages;
    this.#takeBy([best], (storage, then) => storage.takeInstance(instance, then), use);
  }

  /** A task that does not run is due at another time, with the priority that it has now. */
  reschedule(task: Task, dueAt: number): void {
    const { level } = task;
    this.#parts.scheduler.takeOut(task);
    if (level !== undefined && this.#parts.storages.for(level).failure !== undefined) {
      this.letGo(task);
      return;
    }
    this.#parts.patience.disarm(task);
    this.#parts.admission.leave(task, false);
    task.moves++;
    task.isArriving = false;
    task.isTakenBack = false;
    task.dueAt = dueAt;
    task.rank = rankOf(dueAt, task.priority);
    if (level === undefined) this.#place(task);
    else if (dueAt > this.#parts.turn.now || !this.#hasRoom(task, level)) {
      this.#putAway(task, dueAt > this.#parts.turn.now ? TaskStatus.Scheduled : TaskStatus.Queued);
    } else {
      this.#parts.storages.for(level).change(rescheduled(task, true));
      this.#place(task);
    }
  }

  /** With other params it may be another one of its singletons. */
  rename(task: Task): void {
    this.#parts.admission.leave(task, false);
    task.singleton = undefined;
  }

  /** Lets a task that is due wait for a node, as far as nothing else comes before it. */
  enqueue(task: Task): void {
    const { admission, patience, scheduler, statuses } = this.#parts;
    statuses.set(task, TaskStatus.Queued);
    if (task.pin !== undefined) this.#parts.locals().place(task, task.pin);
    else if (patience.waitedTooLong(task) === "expired") this.#expire(task);
    else if (admission.admit(task)) scheduler.enqueue(task);
  }

  /** Ends the task; a node that has it is told to give it up. `how` its run ended, where that is known. */
  stop(task: Task, how?: StopOutcome): void {
    if (isSettled(task.status)) return;
    this.#parts.runs().abort(task);
    this.#parts.settlement.stop(task, how);
  }

  /** Something was to be done about this task now. */
  onDue(task: Task): void {
    task.deadline = undefined;
    switch (task.status) {
      case TaskStatus.Scheduled:
        this.#place(task);
        break;
      case TaskStatus.Queued: {
        const reason = this.#parts.patience.waitedTooLong(task);
        if (reason === "expired") this.#expire(task);
        else if (reason === "unserved") this.#failUnserved(task);
        break;
      }
      case TaskStatus.Assigned:
      case TaskStatus.Running:
        this.#parts.runs().overrun(task);
        break;
    }
  }

  /** A store failed: what is in it can neither be run nor settled any more by this broker. */
  abandon(level: Durability): void {
    const waiting = [...this.#parts.tasks].filter(
      (task) =>
        task.level === level && task.settled === undefined && (task.shared ?? task).node === undefined,
    );
    // Those first that wait for others: it must not become their turn.
    for (const isParked of [true, false]) {
      for (const task of waiting) {
        if (task.isParked !== isParked || this.#parts.tasks.submitted(task.id) !== task) continue;
        this.#parts.scheduler.drop(task);
        task.status = TaskStatus.Scheduled;
        this.letGo(task);
      }
    }
  }

  /** Holds a task no more that is not settled: its store has it, or nobody. */
  letGo(task: Task): void {
    const { admission, backlog, methods, patience, scheduler, tasks } = this.#parts;
    patience.disarm(task);
    tasks.remove(task);
    backlog.release(task.bytes);
    task.lane.unsettled--;
    admission.leave(task, true);
    methods.releaseLane(task.lane);
    scheduler.release(task.method);
  }

  /** A client used one id for two things: the other comes first, or their answers could not be told apart. */
  #postpone(stored: StoredTask, level: Durability): void {
    const { backlog, storages, turn } = this.#parts;
    const storage = storages.for(level);
    const dueAt = turn.now + postponeMs;
    storage.change(postponed(stored, dueAt));
    storage.whenStored((failure) => {
      if (failure === undefined) backlog.schedule(level, dueAt, stored.expiresAt);
    });
  }

  #takeBy(
    storages: readonly Storage[],
    ask: (
      storage: Storage,
      then: (taken: readonly Taken[] | undefined, e: ErrorObject | undefined) => void,
    ) => void,
    use: UseTaken,
  ): void {
    const known: StoredTask[] = [];
    const held: Task[] = [];
    const askAll = ([storage, ...others]: readonly Storage[], problem: ErrorObject | undefined): void => {
      if (storage === undefined) {
        use(known, problem);
        for (const task of held) if (task.isTakenBack && task.settled === undefined) this.#requeue(task);
        return;
      }
      ask(storage, (taken, failure) => {
        for (const { task, isTaken } of taken ?? []) {
          known.push(task);
          const other = this.#parts.tasks.get(task.id);
          if (isTaken && other !== undefined && other.level !== storage.level) {
            this.#postpone(task, storage.level);
          } else if (isTaken && !isBack(other)) held.push(this.#takeBack(task, storage.level));
        }
        askAll(others, failure ?? problem);
      });
    };
    askAll(storages, undefined);
  }

  #takeBack(stored: StoredTask, level: Durability): Task {
    const held = this.#parts.tasks.submitted(stored.id);
    if (held?.settled !== undefined) return held;
    const task = this.#hold(stored, level);
    if (stored.status === TaskStatus.Queued) this.#parts.backlog.taken(task.lane, level);
    task.isTakenBack = true;
    return task;
  }

  #requeue(task: Task): void {
    task.isTakenBack = false;
    if (task.dueAt > this.#parts.turn.now) this.#putAway(task, TaskStatus.Scheduled);
    else this.enqueue(task);
  }

  #hold(stored: StoredTask, level: Durability): Task {
    const { backlog, methods } = this.#parts;
    const task = restored(stored, level, methods.lane(stored.method, stored.group), this.nextNumber());
    task.mayRunElsewhere = backlog.isFromBefore(stored);
    // It was submitted again just now: that will turn out to be this task.
    const again = this.#parts.tasks.submitted(stored.id);
    if (again !== undefined) this.#parts.tasks.remove(again);
    this.#register(task);
    backlog.hold(task.bytes);
    return task;
  }

  #create(task: NewTask, lane: Lane): Task {
    const record = new Task(task, lane, this.nextNumber());
    this.#register(record);
    return record;
  }

  #register(task: Task): void {
    task.lane.unsettled++;
    this.#parts.tasks.add(task);
  }

  /** Lets a task wait until it is due, and then for a node. */
  #place(task: Task): void {
    const { patience, statuses, turn } = this.#parts;
    if (task.dueAt <= turn.now || patience.hasExpired(task)) this.enqueue(task);
    else {
      statuses.set(task, TaskStatus.Scheduled);
      patience.delay(task);
    }
  }

  #hasRoom({ lane, rank, bytes }: Task, level: Durability): boolean {
    return this.#parts.backlog.hasRoomFor(lane, level, rank, bytes);
  }

  /** Gives a task back to its store, from where it will be claimed again. */
  #putAway(task: Task, status: TaskStatus): void {
    if (task.level === undefined) return;
    this.#parts.statuses.set(task, status);
    const move = ++task.moves;
    task.isArriving = true;
    this.#parts.patience.disarm(task);
    const storage = this.#parts.storages.for(task.level);
    storage.change(rescheduled(task, false));
    storage.whenStored((failure) => {
      if (task.settled !== undefined || task.moves !== move) return;
      task.isArriving = false;
      if (failure === undefined) this.#leave(task);
      else this.letGo(task);
    });
  }

  /** The store has the task, and nobody has claimed it. */
  #leave(task: Task): void {
    const { backlog, scheduler } = this.#parts;
    const { lane, level, rank, dueAt, hasBegun, status } = task;
    if (level === undefined) return;
    const expiresAt = hasBegun ? task.endsAt : task.expiresAt;
    if (status === TaskStatus.Scheduled) backlog.schedule(level, dueAt, expiresAt);
    else backlog.leave(lane, level, rank, expiresAt);
    this.letGo(task);
    if (status !== TaskStatus.Scheduled) scheduler.announceReady(task);
  }

  #expire(task: Task): void {
    const waited = Math.round(expiryOf(task) - task.createdAt);
    const error = errorObject(ErrorCode.TaskExpired, `The task waited for more than ${waited} ms`);
    this.#parts.settlement.settle(task, TaskStatus.Expired, { error }, 0);
  }

  #failUnserved(task: Task): void {
    const { admission, settlement } = this.#parts;
    // What was submitted waits for a node as long as it takes.
    for (const member of task.members ?? []) {
      if (!member.isSubmitted) continue;
      admission.leave(member, false);
      this.enqueue(member);
    }
    if (task.settled !== undefined) return;
    const method = task.method.name;
    const error = errorObject(ErrorCode.MethodNotFound, `Method not found: ${method}`, { method });
    settlement.settle(task, TaskStatus.Failed, { error }, 0);
  }
}

/**
 * Whether a task that was on its way to its store was called back before it was claimed there: the store will be told
 * that it is held.
 */
function isBack(held: Task | undefined): boolean {
  return held !== undefined && held.settled === undefined && !held.isArriving;
}
