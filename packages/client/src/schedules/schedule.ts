// One schedule as users see it, and how it comes over the wire.
import type { Missed, Params, TaskStatus, WireScheduleState } from "zerotask-core";

/** What is run again and again, and how that goes. */
export interface Schedule {
  readonly name: string;
  readonly method: string;
  readonly params: Params;
  /** How long after the end of a run the next one begins, in milliseconds. Not there where it goes by `cron`. */
  readonly every?: number;
  /** Whether `every` counts from the start of a run. */
  readonly fromStart?: boolean;
  readonly cron?: string;
  /** The IANA zone whose clock `cron` goes by. */
  readonly timeZone?: string;
  readonly priority: number;
  readonly group?: string;
  /** What becomes of runs whose time went by while they could not be made. */
  readonly missed: Missed;
  readonly paused: boolean;
  /** When the next run is due; `null` while that is not known: paused, or while an interval's run goes on. */
  readonly nextAt: Date | null;
  /** How many runs were made. */
  readonly runs: number;
  /** The task of the last run, or `null` before the first one. */
  readonly taskId: string | null;
  /** Whether that task is still to be settled. */
  readonly running: boolean;
  readonly lastStatus: TaskStatus | null;
  /** When a node got that task; `null` before. */
  readonly lastStart: Date | null;
  readonly lastEnd: Date | null;
}

export function scheduleFromWire(answer: unknown): Schedule {
  const wire = answer as WireScheduleState;
  return {
    name: wire.name,
    method: wire.method,
    params: wire.params ?? [],
    ...(isSet(wire.every_ms) && { every: wire.every_ms, fromStart: wire.from_start ?? false }),
    ...(isSet(wire.cron) && { cron: wire.cron, timeZone: wire.time_zone ?? "UTC" }),
    priority: wire.priority ?? 0,
    ...(isSet(wire.group) && { group: wire.group }),
    missed: wire.missed ?? "once",
    paused: wire.paused,
    nextAt: dateOf(wire.next_at),
    runs: wire.runs,
    taskId: wire.task_id,
    running: wire.running,
    lastStatus: wire.last_status as TaskStatus | null,
    lastStart: dateOf(wire.last_start),
    lastEnd: dateOf(wire.last_end),
  };
}

/** What is not set comes as `null`, or not at all. */
function isSet<T>(value: T | null | undefined): value is T {
  return value !== undefined && value !== null;
}

function dateOf(ms: number | null | undefined): Date | null {
  return isSet(ms) ? new Date(ms) : null;
}
