// The seam under the broker: where submitted tasks and their records are kept.
//
// The state machine holds a window of tasks in memory, over a backlog here that may be larger than memory. What
// it holds is claimed; the rest can be claimed page by page. A store may serve several brokers: no answer may
// assume that all tasks are this broker's, and a claim is what keeps two of them from having the same task.
import type { TaskStatus } from "zerotask-core";
import type {
  Claim,
  Claimed,
  ClaimedByTime,
  CommitResult,
  Durability,
  FailedFilter,
  StoreChange,
  StoredTask,
  StoreSummary,
  Taken,
  TaskPage,
} from "../state/storage/stored-task.ts";

export interface TaskFilter {
  readonly status?: TaskStatus;
  readonly method?: string;
  /** Submitted at this time or later, and before that one. */
  readonly from?: number;
  readonly to?: number;
  /** Go on after the last page: its `next`. */
  readonly after?: string;
  /** At most so many tasks of a page. */
  readonly limit: number;
}

export interface TaskCount {
  readonly method: string;
  readonly status: TaskStatus;
  readonly count: number;
}

/**
 * Requests are answered in the order in which they were made, each as if it were alone. After a rejected
 * `commit` nothing of that batch is in the store; whether it can go on is not known, so the broker stops using it.
 */
export interface Store {
  /** What is true of a change once its `commit` has resolved. */
  readonly durability: Durability;
  /** For people: where it is, such as a path. */
  readonly location: string;
  /**
   * Makes it ready, and gives up what an earlier run of this broker had claimed.
   * @throws StoreError when it is in use by another broker, can't be read, or is of a newer version
   */
  open(): Promise<StoreSummary>;
  /** Makes all of these changes, in order, or none. */
  commit(changes: readonly StoreChange[]): Promise<CommitResult>;
  /** Claims tasks of one method that are QUEUED and that nobody has claimed. */
  claim(claim: Claim): Promise<Claimed>;
  /** Claims tasks of any method that are SCHEDULED, and whose `dueAt` has come; the earliest first. */
  claimDue(now: number, limit: number): Promise<ClaimedByTime>;
  /** Claims tasks of any method that nobody has claimed, and whose `expiresAt` has come. */
  claimExpired(now: number, limit: number): Promise<ClaimedByTime>;
  /** Claims these tasks, as far as they are unsettled and nobody has claimed them. Ids that are unknown are left out. */
  take(ids: readonly string[]): Promise<readonly Taken[]>;
  /** The same of the unsettled tasks of one instance. */
  takeInstance(instance: string): Promise<readonly Taken[]>;
  /** What is known under these ids; ids that are unknown are left out. */
  get(ids: readonly string[]): Promise<readonly StoredTask[]>;
  /** How many tasks that can be claimed come before this one in its group: at most `maxCounted`. */
  countBefore(id: string): Promise<number>;
  /** Tasks that are FAILED or EXPIRED, what was settled last first. */
  failed(filter: FailedFilter): Promise<TaskPage>;
  /** In order of submission. */
  list(filter: TaskFilter): Promise<TaskPage>;
  /** How many tasks there are of each method and status. Takes time in proportion to their number. */
  counts(): Promise<readonly TaskCount[]>;
  /** Ends when all that was asked before has been done. */
  close(): Promise<void>;
}

/** A store can't do what it should. */
export class StoreError extends Error {
  override readonly name = "StoreError";
}
