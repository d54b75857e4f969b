// In which order the tasks of one group run: by priority, but so that nothing waits for ever.

/** One level of priority counts as much as having waited so much longer. */
export const agingMs = 60_000;

/**
 * The place of a task in the order of its group: smaller runs first. It never changes while the task waits, for all
 * that wait grow older alike.
 */
export function rankOf(dueAt: number, priority: number): number {
  return dueAt - priority * agingMs;
}

interface Ranked {
  readonly rank: number;
  /** Greater for what came later. */
  readonly sequence: number;
}

export function isBefore(a: Ranked, b: Ranked): boolean {
  return a.rank < b.rank || (a.rank === b.rank && a.sequence < b.sequence);
}
