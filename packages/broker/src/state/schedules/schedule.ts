// One schedule: its rule, when its next run is due, and how the last ones went; and how it is stored.
import {
  canonicalJson,
  type Deadline,
  type Missed,
  type Params,
  type ScheduleRule,
  type TaskStatus,
  type WireScheduleState,
} from "zerotask-core";
import type { Due } from "../due.ts";

/** When something is due by the clock on the wall is for that to say; intervals go by the broker's own clock. */
export type Timing =
  | { readonly type: "interval"; readonly everyMs: number; readonly fromStart: boolean }
  | { readonly type: "cron"; readonly cron: string; readonly timeZone: string };

interface Progress {
  /** Tells the runs of this schedule from those of an earlier one of its name. */
  readonly key: string;
  readonly isPaused: boolean;
  /** When the next run is due, by the clock that the timing goes by; nothing until the run that goes on has ended. */
  readonly slotAt: number | undefined;
  /** The slot that the last run was made for, by the clock on the wall. */
  readonly lastSlotAt: number | undefined;
  /** Whether the last run was made because it was due, or because somebody asked for it. */
  readonly isPlanned: boolean;
  readonly runs: number;
  readonly taskId: string | undefined;
  readonly isRunning: boolean;
  /** Somebody asked for a run that has to wait for the end of this one. */
  readonly isWanted: boolean;
  readonly lastStatus: TaskStatus | undefined;
  readonly lastStart: number | undefined;
  readonly lastEnd: number | undefined;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

export class Schedule implements Mutable<Progress> {
  readonly rule: ScheduleRule;
  readonly key: string;
  deadline: Deadline<Due> | undefined = undefined;
  isPaused = false;
  slotAt: number | undefined = undefined;
  lastSlotAt: number | undefined = undefined;
  isPlanned = true;
  runs = 0;
  taskId: string | undefined = undefined;
  isRunning = false;
  isWanted = false;
  lastStatus: TaskStatus | undefined = undefined;
  lastStart: number | undefined = undefined;
  lastEnd: number | undefined = undefined;

  constructor(rule: ScheduleRule, key: string) {
    this.rule = rule;
    this.key = key;
  }

  /** What `store` made. */
  static load(value: string): Schedule {
    const { rule, key, ...progress } = JSON.parse(value) as Progress & { readonly rule: ScheduleRule };
    return Object.assign(new Schedule(rule, key), progress);
  }

  store(): string {
    const { deadline, ...stored } = this;
    return JSON.stringify(stored);
  }

  get name(): string {
    return this.rule.name;
  }

  get timing(): Timing {
    const { cron, timeZone = "UTC", everyMs = 0, fromStart = false } = this.rule;
    return cron === undefined ? { type: "interval", everyMs, fromStart } : { type: "cron", cron, timeZone };
  }

  get params(): Params {
    return this.rule.params ?? [];
  }

  get missed(): Missed {
    return this.rule.missed ?? "once";
  }

  /** The task of the run that comes after `runs` of them. */
  taskIdOf(run: number): string {
    return `${schedulePrefix}${this.name}:${this.key}:${run}`;
  }

  /** Whether it is to do the same. */
  isSameAs(rule: ScheduleRule): boolean {
    return canonical(rule) === canonical(this.rule);
  }

  /** How long its rule is as JSON, in characters. */
  get length(): number {
    return JSON.stringify(this.rule).length;
  }

  /**
   * What clients are told.
   * @param nextAt when the next run is due, if that is known
   * @param startedAt when a node got the task of the last run, if one did
   */
  describe(nextAt: number | undefined, startedAt: number | undefined): WireScheduleState {
    const { name, method, everyMs, fromStart, cron, timeZone, priority, group } = this.rule;
    return {
      name,
      method,
      params: this.params,
      ...(everyMs !== undefined && { every_ms: everyMs, from_start: fromStart ?? false }),
      ...(cron !== undefined && { cron, time_zone: timeZone ?? "UTC" }),
      priority: priority ?? 0,
      ...(group !== undefined && { group }),
      missed: this.missed,
      paused: this.isPaused,
      next_at: nextAt === undefined ? null : Math.round(nextAt),
      runs: this.runs,
      task_id: this.taskId ?? null,
      running: this.isRunning,
      last_status: this.lastStatus ?? null,
      last_start: rounded(startedAt),
      last_end: rounded(this.lastEnd),
    };
  }
}

/** Begins the ids of tasks that schedules made, and of nothing else. */
export const schedulePrefix = "schedule:";

function canonical(rule: ScheduleRule): string {
  const { method, everyMs, cron, group } = rule;
  const { params = [], fromStart = false, timeZone = "UTC", priority = 0, missed = "once" } = rule;
  const timing = cron === undefined ? [everyMs, fromStart] : [cron, timeZone];
  return canonicalJson([method, params, timing, priority, group ?? null, missed]);
}

function rounded(time: number | undefined): number | null {
  return time === undefined ? null : Math.round(time);
}
