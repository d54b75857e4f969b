// The statuses of a task, and which of them are final.

/**
 * `SCHEDULED` (not yet due) → `QUEUED` → `ASSIGNED` (a node has it) → `RUNNING` → one of the final four.
 * A retry goes back to `SCHEDULED` or `QUEUED`.
 */
export const TaskStatus = {
  Scheduled: "SCHEDULED",
  Queued: "QUEUED",
  Assigned: "ASSIGNED",
  Running: "RUNNING",
  Finished: "FINISHED",
  Failed: "FAILED",
  Stopped: "STOPPED",
  Expired: "EXPIRED",
} as const;

export type TaskStatus = (typeof TaskStatus)[keyof typeof TaskStatus];

const final: ReadonlySet<string> = new Set([
  TaskStatus.Finished,
  TaskStatus.Failed,
  TaskStatus.Stopped,
  TaskStatus.Expired,
]);

/** Whether a task in this status is settled: it has an outcome, and will not change any more. */
export function isSettled(status: TaskStatus): boolean {
  return final.has(status);
}
