// What is stored of a task, and how it comes back from there.
import {
  ErrorCode,
  errorObject,
  type Outcome,
  type Params,
  TaskStatus,
  type WireOptions,
} from "zerotask-core";
import type { Lane } from "../order/lane.ts";
import { rankOf } from "../order/order.ts";
import { bytesOf, type Durability, type StoreChange, type StoredTask } from "../storage/stored-task.ts";
import { Task } from "./task.ts";

/** What most tasks have: the same text for all of them. */
const notifyOnly = '{"notify":true}';
const notifyOptions: WireOptions = { notify: true };
/** The options of what was asked for without any. */
export const noOptions: WireOptions = {};

const codes: ReadonlyMap<TaskStatus, number> = new Map([
  [TaskStatus.Stopped, ErrorCode.TaskStopped],
  [TaskStatus.Expired, ErrorCode.TaskExpired],
]);

/** What can be told of a task, wherever it is kept. */
export interface TaskView {
  readonly id: string;
  readonly ownerId: string;
  readonly method: string;
  readonly params: Params | undefined;
  readonly status: TaskStatus;
  /** Where it is stored; a call is not. */
  readonly level: Durability | undefined;
  readonly attempt: number;
  readonly failures: number;
  readonly priority: number;
  readonly group: string;
  readonly dueAt: number;
  readonly nodeId: string | undefined;
  readonly createdAt: number;
  readonly outcome: Outcome | undefined;
  readonly settledAt: number | undefined;
}

/** A new task with these params as JSON, as it is stored. */
export function toStore(task: Task, params: string | undefined): StoredTask {
  return {
    id: task.id,
    ownerId: task.ownerId,
    method: task.method.name,
    group: task.lane.group,
    priority: task.priority,
    rank: task.rank,
    instance: task.instance,
    params,
    options: encodeOptions(task.options),
    status: task.status,
    attempt: 0,
    losses: 0,
    failures: 0,
    reruns: 0,
    createdAt: task.createdAt,
    dueAt: task.dueAt,
    expiresAt: task.expiresAt,
    outcome: undefined,
    settledAt: undefined,
    forgetAt: undefined,
  };
}

/** The change by which a task goes on as it is now. What a broker has claimed is as good as queued for the next one. */
export function rescheduled(task: Task, isClaimed: boolean): StoreChange {
  const { id, attempt, losses, failures, reruns, priority, rank, dueAt } = task;
  const status = task.status === TaskStatus.Scheduled ? TaskStatus.Scheduled : TaskStatus.Queued;
  return {
    ...{ type: "reschedule", id, status, attempt, losses, failures, reruns, priority, rank, dueAt },
    expiresAt: task.hasBegun ? task.endsAt : task.expiresAt,
    isClaimed,
  };
}

/** The change by which a task that nobody holds is due at another time. */
export function postponed(stored: StoredTask, dueAt: number): StoreChange {
  const { id, attempt, losses, failures, reruns, priority, expiresAt } = stored;
  return {
    ...{ type: "reschedule", status: TaskStatus.Scheduled, isClaimed: false },
    ...{ id, attempt, losses, failures, reruns, priority, expiresAt, dueAt },
    rank: rankOf(dueAt, priority),
  };
}

/** A task that was claimed, as it is held in memory. */
export function restored(stored: StoredTask, level: Durability, lane: Lane, sequence: number): Task {
  const { id, ownerId, createdAt, dueAt, expiresAt, params, priority, instance } = stored;
  const task = new Task(
    {
      id,
      ownerId,
      caller: undefined,
      level,
      params: params === undefined ? undefined : JSON.parse(params),
      options: decodeOptions(stored.options),
      addressee: undefined,
      requestId: null,
      bytes: bytesOf(params),
      createdAt,
      dueAt,
      expiresAt,
      priority,
      instance,
    },
    lane,
    sequence,
  );
  task.status = TaskStatus.Scheduled;
  task.toldStatus = stored.status;
  task.attempt = stored.attempt;
  task.losses = stored.losses;
  task.failures = stored.failures;
  task.reruns = stored.reruns;
  // Whoever began the task once more, after it had been settled, waits for it as long as it takes.
  if (expiresAt === undefined) task.endsAt = undefined;
  // One that has begun may wait for another run until its deadline, if it has one.
  task.hasBegun = stored.attempt > 0 && (expiresAt === undefined || expiresAt === task.endsAt);
  return task;
}

export function viewOfHeld(task: Task): TaskView {
  const { id, ownerId, params, attempt, failures, priority, dueAt, createdAt, settled, shared } = task;
  return {
    id,
    ownerId,
    method: task.method.name,
    params,
    status: shared?.status ?? task.status,
    level: task.level,
    attempt,
    failures,
    priority,
    group: task.lane.group,
    dueAt,
    nodeId: (shared ?? task).node?.id,
    createdAt,
    outcome: settled?.outcome,
    settledAt: settled?.at,
  };
}

export function viewOfStored(stored: StoredTask, level: Durability): TaskView {
  const { id, ownerId, method, params, status, attempt, failures, createdAt, settledAt } = stored;
  const { priority, group, dueAt } = stored;
  return {
    id,
    ownerId,
    method,
    params: params === undefined ? undefined : JSON.parse(params),
    status,
    level,
    attempt,
    failures,
    priority,
    group,
    dueAt,
    nodeId: undefined,
    createdAt,
    outcome: settledAt === undefined ? undefined : outcomeOfStored(stored),
    settledAt,
  };
}

/** Of a task whose outcome nobody wanted, only the status was kept. */
export function outcomeOfStored({ status, outcome }: StoredTask): Outcome {
  if (outcome !== undefined) return JSON.parse(outcome);
  if (status === TaskStatus.Finished) return { result: null };
  const code = codes.get(status) ?? ErrorCode.TaskFailed;
  return { error: errorObject(code, `The task is ${status}; its outcome was not kept`) };
}

export function decodeOptions(text: string | undefined): WireOptions {
  if (text === undefined) return noOptions;
  return text === notifyOnly ? notifyOptions : JSON.parse(text);
}

function encodeOptions(options: WireOptions): string | undefined {
  // What was decided with it is in other members, or done with.
  const { durability, idempotencyKey, expiresMs, at, delayMs, priority, group, batch, ...kept } = options;
  const names = Object.keys(kept);
  if (names.length === 0) return undefined;
  return names.length === 1 && kept.notify === true ? notifyOnly : JSON.stringify(kept);
}
