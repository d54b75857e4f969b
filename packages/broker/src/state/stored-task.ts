// What a store keeps of a task, and the changes it is told of. Plain data: it goes to other threads, and to disk.
import type { TaskStatus } from "zerotask-core";

/** How safe something is: gone with the broker's process, or on its disk before it is acknowledged. */
export type Durability = "memory" | "disk";

export interface StoredTask {
  readonly id: string;
  /** The client that submitted it. */
  readonly ownerId: string;
  readonly method: string;
  /** JSON; kept after the task is settled, too. */
  readonly params: string | undefined;
  /** JSON that only the broker's state machine reads. */
  readonly options: string | undefined;
  readonly status: TaskStatus;
  /** Number of the last assignment that is known to have come to nothing; 0 before. */
  readonly attempt: number;
  /** How many nodes were lost with it, and how many of its runs failed. */
  readonly losses: number;
  readonly failures: number;
  /** All times are milliseconds since the Unix epoch. */
  readonly createdAt: number;
  /** From when on it can be claimed. Of one method, what was due first is claimed first. */
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
  /**
   * It goes on with another attempt, and its `expiresAt` does not count any more. Where not `isClaimed`, it goes back to
   * those that can be claimed from `dueAt` on.
   */
  | {
      readonly type: "reschedule";
      readonly id: string;
      readonly status: TaskStatus;
      readonly attempt: number;
      readonly losses: number;
      readonly failures: number;
      readonly dueAt: number;
      readonly isClaimed: boolean;
    }
  /** Forget a task and its record, settled or not. */
  | { readonly type: "remove"; readonly id: string }
  /** A client that may come back after a restart, and the proof that it is the same. */
  | { readonly type: "save-session"; readonly id: string; readonly token: string }
  | { readonly type: "remove-session"; readonly id: string }
  /** Remove some records of settled tasks that are over their time, or over a number or a size; the oldest first. */
  | {
      readonly type: "expire";
      readonly now: number;
      readonly maxRecords: number;
      readonly maxRecordBytes: number;
    };

export interface CommitResult {
  /** For each added task whose id was there before: what is there. Nothing was changed for it. */
  readonly known: readonly StoredTask[];
  /** Whether an `expire` left some that it should have removed. */
  readonly expireMore: boolean;
}

export interface Claim {
  readonly method: string;
  readonly now: number;
  /** At most so many tasks, and no more once they have so many bytes of params; but at least one. */
  readonly limit: number;
  readonly maxBytes: number;
}

export interface Claimed {
  readonly tasks: readonly StoredTask[];
  /** When the next of what can be claimed is due: at `now` or before if more is due already. */
  readonly nextAt: number | undefined;
}

/** What `take` found under an id. */
export interface Taken {
  readonly task: StoredTask;
  /** Whether it could be claimed, and now is. */
  readonly isTaken: boolean;
}

/** What there is when a store is opened. */
export interface StoreSummary {
  /** For each method with tasks that can be claimed. */
  readonly backlog: readonly { readonly method: string; readonly count: number; readonly nextAt: number }[];
  /** Unsettled tasks, and the bytes of their params. */
  readonly unsettled: number;
  readonly unsettledBytes: number;
  /** When the first of them has waited too long. */
  readonly nextExpiry: number | undefined;
  readonly sessions: readonly { readonly id: string; readonly token: string }[];
  /** The latest time that it knows of: the clock must not begin before. */
  readonly time: number;
}
