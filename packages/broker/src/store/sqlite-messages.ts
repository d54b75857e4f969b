// What goes between the broker's thread and the one that writes to disk. Changes and tasks travel as one flat
// array of primitives each: cloning an object per task would cost the broker more than all else it does for it.
import type { FailedPlace } from "../state/storage/failed-place.ts";
import {
  bytesOf,
  type Claim,
  type FailedFilter,
  type StoreChange,
  type StoredTask,
  type StoreSummary,
} from "../state/storage/stored-task.ts";
import type { TaskCount, TaskFilter } from "./store.ts";

export type Primitive = string | number | null;

export type Request =
  | { readonly type: "open"; readonly folder: string; readonly maxBytes: number | undefined }
  /** `changes` as of `flattenChanges`. */
  | { readonly type: "commit"; readonly changes: readonly Primitive[] }
  | { readonly type: "claim"; readonly claim: Claim }
  | { readonly type: "claimDue"; readonly now: number; readonly limit: number }
  | { readonly type: "claimExpired"; readonly now: number; readonly limit: number }
  | { readonly type: "take"; readonly ids: readonly string[] }
  | { readonly type: "takeInstance"; readonly instance: string }
  | { readonly type: "get"; readonly ids: readonly string[] }
  | { readonly type: "countBefore"; readonly id: string }
  /** `error` as it stands in JSON. */
  | {
      readonly type: "failed";
      readonly filter: Omit<FailedFilter, "after">;
      readonly before: FailedPlace;
    }
  | { readonly type: "list"; readonly filter: Omit<TaskFilter, "after">; readonly after: number }
  | { readonly type: "counts" }
  | { readonly type: "close" };

/** What each request is answered with; tasks are `FlatTasks`. */
export interface Answers {
  open: StoreSummary;
  commit: { readonly known: FlatTasks; readonly revived: readonly string[]; readonly expireMore: boolean };
  claim: { readonly tasks: FlatTasks; readonly left: readonly (readonly [string, number])[] };
  claimDue: { readonly tasks: FlatTasks; readonly nextAt: number | undefined };
  claimExpired: Answers["claimDue"];
  take: { readonly tasks: FlatTasks; readonly isTaken: readonly boolean[] };
  takeInstance: Answers["take"];
  get: FlatTasks;
  countBefore: number;
  failed: { readonly tasks: FlatTasks; readonly next: FailedPlace | undefined };
  list: { readonly tasks: FlatTasks; readonly next: number | undefined };
  counts: readonly TaskCount[];
  close: undefined;
}

export type Response =
  | { readonly value: Answers[keyof Answers] }
  | { readonly error: { readonly message: string; readonly cause: unknown } };

/** Begins a name that is kept as JSON. */
const escapeMark = "\u0001";
const halfOfPair = /\p{Surrogate}/u;

/**
 * A name as the file can keep it: any string may be one, but SQLite's strings end at a NUL, and UTF-8 has no half
 * of a surrogate pair. JSON texts have neither.
 */
export function encodeName(name: string): string {
  const isFit = !name.startsWith(escapeMark) && !name.includes("\0") && !halfOfPair.test(name);
  return isFit ? name : escapeMark + JSON.stringify(name);
}

export function decodeName(name: string): string {
  return name.startsWith(escapeMark) ? JSON.parse(name.slice(1)) : name;
}

/** The first of each change's values. Then come its fields, in the order in which `flattenChanges` puts them. */
export const ChangeCode = {
  Add: 0,
  Settle: 1,
  Reschedule: 2,
  Remove: 3,
  SaveSession: 4,
  RemoveSession: 5,
  Expire: 6,
  Revive: 7,
  SaveItem: 8,
  RemoveItem: 9,
  SetParams: 10,
} as const;

export function flattenChanges(changes: readonly StoreChange[]): Primitive[] {
  const flat: Primitive[] = [];
  for (const change of changes) {
    switch (change.type) {
      case "add":
        flat.push(ChangeCode.Add, change.isClaimed ? 1 : 0);
        flattenTask(flat, change.task);
        break;
      case "settle": {
        const { status, attempt, outcome, settledAt, forgetAt } = change;
        flat.push(ChangeCode.Settle, encodeName(change.id), status, attempt);
        flat.push(outcome ?? null, settledAt, forgetAt);
        break;
      }
      case "reschedule": {
        const { status, attempt, losses, failures, reruns, priority, rank, dueAt, expiresAt } = change;
        flat.push(ChangeCode.Reschedule, encodeName(change.id), status, attempt, losses, failures, reruns);
        flat.push(priority, rank, dueAt, expiresAt ?? null, change.isClaimed ? 1 : 0);
        break;
      }
      case "revive":
        flat.push(ChangeCode.Revive, encodeName(change.id), change.dueAt, change.rank);
        break;
      case "set-params":
        flat.push(ChangeCode.SetParams, encodeName(change.id), change.params, bytesOf(change.params));
        break;
      case "remove":
        flat.push(ChangeCode.Remove, encodeName(change.id), change.onlySettled === true ? 1 : 0);
        break;
      case "save-session":
        flat.push(ChangeCode.SaveSession, encodeName(change.id), encodeName(change.token));
        break;
      case "remove-session":
        flat.push(ChangeCode.RemoveSession, encodeName(change.id));
        break;
      case "save-item":
        flat.push(ChangeCode.SaveItem, change.kind, encodeName(change.name), encodeName(change.value));
        break;
      case "remove-item":
        flat.push(ChangeCode.RemoveItem, change.kind, encodeName(change.name));
        break;
      case "expire":
        flat.push(ChangeCode.Expire, change.now, change.maxRecords, change.maxRecordBytes);
    }
  }
  return flat;
}

/** Tasks one after the other, each as the values of `taskColumns`. */
export type FlatTasks = readonly Primitive[];

/** The columns of a task, in the order of the fields of `StoredTask`. */
export const taskColumns: readonly string[] = [
  "id",
  "owner",
  "method",
  "grp",
  "priority",
  "rank",
  "instance",
  "params",
  "options",
  "status",
  "attempt",
  "losses",
  "failures",
  "reruns",
  "created_at",
  "due_at",
  "expires_at",
  "outcome",
  "settled_at",
  "forget_at",
];

function flattenTask(flat: Primitive[], task: StoredTask): void {
  flat.push(
    encodeName(task.id),
    encodeName(task.ownerId),
    encodeName(task.method),
    encodeName(task.group),
    task.priority,
    task.rank,
    task.instance === undefined ? null : encodeName(task.instance),
    task.params ?? null,
    task.options ?? null,
    task.status,
    task.attempt,
    task.losses,
    task.failures,
    task.reruns,
    task.createdAt,
    task.dueAt,
    task.expiresAt ?? null,
    task.outcome ?? null,
    task.settledAt ?? null,
    task.forgetAt ?? null,
  );
}

export function unflattenTasks(flat: FlatTasks): StoredTask[] {
  const tasks: StoredTask[] = [];
  for (let i = 0; i < flat.length; i += taskColumns.length) {
    const instance = flat[i + 6] as string | null;
    tasks.push({
      id: decodeName(flat[i] as string),
      ownerId: decodeName(flat[i + 1] as string),
      method: decodeName(flat[i + 2] as string),
      group: decodeName(flat[i + 3] as string),
      priority: flat[i + 4] as number,
      rank: flat[i + 5] as number,
      instance: instance === null ? undefined : decodeName(instance),
      params: (flat[i + 7] as string | null) ?? undefined,
      options: (flat[i + 8] as string | null) ?? undefined,
      status: flat[i + 9] as StoredTask["status"],
      attempt: flat[i + 10] as number,
      losses: flat[i + 11] as number,
      failures: flat[i + 12] as number,
      reruns: flat[i + 13] as number,
      createdAt: flat[i + 14] as number,
      dueAt: flat[i + 15] as number,
      expiresAt: (flat[i + 16] as number | null) ?? undefined,
      outcome: (flat[i + 17] as string | null) ?? undefined,
      settledAt: (flat[i + 18] as number | null) ?? undefined,
      forgetAt: (flat[i + 19] as number | null) ?? undefined,
    });
  }
  return tasks;
}
