// Schedules as they are on the wire: what is run again and again, and how that goes.
import { OptionError } from "../options.ts";
import type { Params } from "./messages.ts";
import { booleanOption, nameOption, numberFrom, OptionTable, oneOf } from "./option-table.ts";
import { groupOption, priorityOption } from "./task-options.ts";
import { mostSpanMs } from "./when.ts";

/** What becomes of runs whose time went by while they could not be made. */
export type Missed = "skip" | "once" | "all";

/** What `schedule_set` takes: either `every_ms` or `cron`. */
export interface WireSchedule {
  readonly name: string;
  readonly method: string;
  readonly params?: Params;
  /** How long after the end of a run, or with `from_start` after its start, the next one begins. */
  readonly every_ms?: number;
  readonly from_start?: boolean;
  /** A cron expression of 5, 6 (with seconds) or 7 (with years) fields, and the IANA zone whose clock it goes by. */
  readonly cron?: string;
  /** @default "UTC" */
  readonly time_zone?: string;
  /** @default 0 */
  readonly priority?: number;
  readonly group?: string;
  /** @default "once" */
  readonly missed?: Missed;
}

/** What `schedule_list` tells of each. Times are milliseconds since the epoch. */
export interface WireScheduleState extends WireSchedule {
  readonly paused: boolean;
  /** When the next run is due; `null` while that is not known: paused, or while an interval's run goes on. */
  readonly next_at: number | null;
  /** How many runs were made, and the task of the last one. */
  readonly runs: number;
  readonly task_id: string | null;
  /** Whether that task is still to be settled. */
  readonly running: boolean;
  readonly last_status: string | null;
  /** When a node got that task; `null` before. */
  readonly last_start: number | null;
  readonly last_end: number | null;
}

/** A schedule as options: what is the same whether it goes by an interval or by a clock. */
export interface ScheduleRule {
  readonly name: string;
  readonly method: string;
  readonly params?: Params;
  readonly everyMs?: number;
  readonly fromStart?: boolean;
  readonly cron?: string;
  readonly timeZone?: string;
  readonly priority?: number;
  readonly group?: string;
  readonly missed?: Missed;
}

/** How long the name of a schedule may be, in characters. */
export const mostScheduleName = 200;

/** The name of a schedule. @throws OptionError */
export const scheduleNameOption: (option: string, value: unknown) => void = nameOption(mostScheduleName);

/** The members of a schedule, each checked by itself. Whether a cron expression is one, the broker knows. */
export const scheduleTable: OptionTable<ScheduleRule> = new OptionTable<ScheduleRule>(
  "option of a schedule",
  {
    name: scheduleNameOption,
    method: nameOption(1_000),
    params: checkParams,
    everyMs: numberFrom(1, mostSpanMs),
    fromStart: booleanOption,
    cron: nameOption(200),
    timeZone: nameOption(100),
    priority: priorityOption,
    group: groupOption,
    missed: oneOf("skip", "once", "all"),
  },
);

function checkParams(option: string, value: unknown): void {
  if (typeof value !== "object" || value === null)
    throw new OptionError(option, "an array or an object", value);
}
