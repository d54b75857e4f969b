// What a store keeps of a task, and the changes it is told of. Plain data: it goes to other threads, and to disk.
import type { TaskStatus } from "zerotask-core";

/** How safe something is: gone with the broker's process, or on its disk before it is acknowledged. */
export type Durability = "memory" | "disk";

export interface StoredTask {
  readonly id: string;
  /** The client that submitted it. */
  readonly ownerId: string;
  readonly method: string;
  /** Which of the method's groups it is in; empty where it is in none. */
  readonly group: string;
  readonly priority: number;
  /** Its place in the order in which the tasks of its group run, smaller first. */
  readonly rank: number;
  /** Names what there is to be one of at a time: a batch, or an instance of a singleton. */
  readonly instance: string | undefined;
  /** JSON; kept after the task is settled, too. */
  readonly params: string | undefined;
  /** JSON that only the broker's state machine reads. */
  readonly options: string | undefined;
  /** Of what is not settled: SCHEDULED until it is due, and QUEUED from then on, also while it runs. */
  readonly status: TaskStatus;
  /** Number of the last assignment that is known to have come to nothing; 0 before. */
  readonly attempt: number;
  /** How many nodes were lost with it, how many of its runs failed, and how many asked for another one. */
  readonly losses: number;
  readonly failures: number;
  readonly reruns: number;
  /** All times are milliseconds since the Unix epoch. */
  readonly createdAt: number;
  /** From when on it may run. */
  readonly dueAt: number;
  /** When it has waited too long for its first run. */
  readonly expiresAt: number | undefined;
  /** JSON of the outcome, where one was kept. */
  readonly outcome: string | undefined;
  readonly settledAt: number | undefined;
  /** When the record of a settled task may go. */
  readonly forgetAt: number | undefined;
}

/** One change. What names a task that is not there, or one that is settled, changes nothing. */
export type StoreChange =
  /** A new task; `isClaimed`: the broker holds it in memory, and nobody else may claim it. */
  | { readonly type: "add"; readonly task: StoredTask; readonly isClaimed: boolean }
  | {
      readonly type: "settle";
      readonly id: string;
      readonly status: TaskStatus;
      readonly attempt: number;
      readonly outcome: string | undefined;
      readonly settledAt: number;
      readonly forgetAt: number;
    }
  /** It goes on later, or in another place. Where not `isClaimed`, it goes back to those that can be claimed. */
  | {
      readonly type: "reschedule";
      readonly id: string;
      readonly status: typeof TaskStatus.Queued | typeof TaskStatus.Scheduled;
      readonly attempt: number;
      readonly losses: number;
      readonly failures: number;
      readonly reruns: number;
      readonly priority: number;
      readonly rank: number;
      readonly dueAt: number;
      readonly expiresAt: number | undefined;
      readonly isClaimed: boolean;
    }
  /** A settled task is QUEUED once more, as if nothing had failed yet; attempts go on being numbered. */
  | { readonly type: "revive"; readonly id: string; readonly dueAt: number; readonly rank: number }
  /** A task that is not settled runs with other params from now on: JSON. */
  | { readonly type: "set-params"; readonly id: string; readonly params: string }
  /** Forget a task and its record, settled or not; with `onlySettled` only what is settled. */
  | { readonly type: "remove"; readonly id: string; readonly onlySettled?: boolean }
  /** A client that may come back after a restart, and the proof that it is the same. */
  | { readonly type: "save-session"; readonly id: string; readonly token: string }
  | { readonly type: "remove-session"; readonly id: string }
  /** What the broker knows beside tasks, such as schedules: a text under a kind and a name. */
  | { readonly type: "save-item"; readonly kind: string; readonly name: string; readonly value: string }
  | { readonly type: "remove-item"; readonly kind: string; readonly name: string }
  /**
   * Remove some records of settled tasks that are over their time, or over a number or a size: those that may go
   * first, but what failed may take up only half of each, and then goes by when it was settled.
   */
  | {
      readonly type: "expire";
      readonly now: number;
      readonly maxRecords: number;
      readonly maxRecordBytes: number;
    };

export interface CommitResult {
  /** For each added task whose id was there before: what is there. Nothing was changed for it. */
  readonly known: readonly StoredTask[];
  /** The ids of the tasks that a `revive` has QUEUED once more. */
  readonly revived: readonly string[];
  /** Whether an `expire` left some that it should have removed. */
  readonly expireMore: boolean;
}

/** What is asked for of the tasks of one method that are QUEUED and not claimed. */
export interface Claim {
  readonly method: string;
  readonly groups: readonly string[];
  /** At most so many tasks of each group, in the order of their ranks. */
  readonly limit: number;
  /** No more once they have so many bytes of params in all; but at least one of the first group that has any. */
  readonly maxBytes: number;
}

export interface Claimed {
  readonly tasks: readonly StoredTask[];
  /** The groups that have more, each with the rank of its next task. */
  readonly left: readonly (readonly [group: string, rank: number])[];
}

/** Tasks that were claimed because their time has come. */
export interface ClaimedByTime {
  readonly tasks: readonly StoredTask[];
  /** When that of the next one comes: at `now` or before if it has come already. */
  readonly nextAt: number | undefined;
}

/** Which failed tasks are looked for. */
export interface FailedFilter {
  readonly method?: string;
  /** Settled at this time or later, and before that one. */
  readonly from?: number;
  readonly to?: number;
  /** Text that their error's JSON contains. */
  readonly error?: string;
  /** Go on after the last page: its `next`. */
  readonly after?: string;
  /** At most so many tasks of a page. */
  readonly limit: number;
}

/** Whether a task is one of those that can be retried by hand. */
export function isFailed({ status }: Pick<StoredTask, "status">): boolean {
  return status === "FAILED" || status === "EXPIRED";
}

export interface TaskPage {
  /** A page may hold fewer than its limit, or none, though there are more. */
  readonly tasks: readonly StoredTask[];
  /** Where the next page begins; `undefined` after the last. */
  readonly next: string | undefined;
}

/** What `take` found under an id. */
export interface Taken {
  readonly task: StoredTask;
  /** Whether it could be claimed, and now is. */
  readonly isTaken: boolean;
}

/** What there is when a store is opened. */
export interface StoreSummary {
  /** For each group of each method with tasks that are QUEUED, and the first of their ranks. */
  readonly backlog: readonly {
    readonly method: string;
    readonly group: string;
    readonly count: number;
    readonly rank: number;
  }[];
  /** When the first of those that are SCHEDULED is due. */
  readonly nextDue: number | undefined;
  /** Unsettled tasks, and the bytes of their params. */
  readonly unsettled: number;
  readonly unsettledBytes: number;
  /** When the first of them has waited too long. */
  readonly nextExpiry: number | undefined;
  readonly sessions: readonly { readonly id: string; readonly token: string }[];
  readonly items: readonly { readonly kind: string; readonly name: string; readonly value: string }[];
  /** The latest time that it knows of: the clock must not begin before. */
  readonly time: number;
}

/** How large a text counts as, where tasks and records are bounded by bytes: by the state machine and by every store. */
export function bytesOf(text: string | null | undefined): number {
  return text === undefined || text === null ? 0 : Buffer.byteLength(text);
}
