// How a store in memory holds a task: one object, whose place in an order never changes.
import { bytesOf, isFailed, type StoredTask } from "../state/storage/stored-task.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** The only object of a task. */
export interface Entry extends Mutable<StoredTask> {
  readonly seq: number;
  /** Of its params; of a record, all that it takes. */
  bytes: number;
  isClaimed: boolean;
  /** Removed, or replaced by another object. */
  isGone: boolean;
  /** Greater for what failed later. */
  failedSeq: number;
}

export function isClaimable(entry: Entry): boolean {
  return !entry.isClaimed && !entry.isGone && entry.settledAt === undefined;
}

export function isFailedRecord(entry: Entry): boolean {
  return !entry.isGone && isFailed(entry);
}

/** By a time or rank, and of equal ones by age. */
export function byNumber(numberOf: (entry: Entry) => number): (a: Entry, b: Entry) => boolean {
  return (a, b) => {
    const difference = numberOf(a) - numberOf(b);
    return difference < 0 || (difference === 0 && a.seq < b.seq);
  };
}

export function entryOf(task: StoredTask, seq: number, isClaimed: boolean): Entry {
  return {
    id: task.id,
    ownerId: task.ownerId,
    method: task.method,
    group: task.group,
    priority: task.priority,
    rank: task.rank,
    instance: task.instance,
    params: task.params,
    options: task.options,
    status: task.status,
    attempt: task.attempt,
    losses: task.losses,
    failures: task.failures,
    reruns: task.reruns,
    createdAt: task.createdAt,
    dueAt: task.dueAt,
    expiresAt: task.expiresAt,
    outcome: task.outcome,
    settledAt: task.settledAt,
    forgetAt: task.forgetAt,
    seq,
    bytes: bytesOf(task.params),
    isClaimed,
    isGone: false,
    failedSeq: 0,
  };
}

/** A copy: what was answered doesn't change any more. */
export function taskOf(entry: Entry): StoredTask {
  return {
    id: entry.id,
    ownerId: entry.ownerId,
    method: entry.method,
    group: entry.group,
    priority: entry.priority,
    rank: entry.rank,
    instance: entry.instance,
    params: entry.params,
    options: entry.options,
    status: entry.status,
    attempt: entry.attempt,
    losses: entry.losses,
    failures: entry.failures,
    reruns: entry.reruns,
    createdAt: entry.createdAt,
    dueAt: entry.dueAt,
    expiresAt: entry.expiresAt,
    outcome: entry.outcome,
    settledAt: entry.settledAt,
    forgetAt: entry.forgetAt,
  };
}
