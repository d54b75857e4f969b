// What is run again and again: when a schedule's next run is due, and that its runs never overlap.
import {
  type Deadlines,
  ErrorCode,
  type ScheduleRule,
  type TaskStatus,
  type WireScheduleState,
} from "zerotask-core";
import { busy, Refusal } from "../commands/command.ts";
import type { Due } from "../due.ts";
import type { MethodTable } from "../order/method-table.ts";
import type { Storage } from "../storage/storage.ts";
import type { Storages } from "../storage/storages.ts";
import { bytesOf, type StoreSummary } from "../storage/stored-task.ts";
import type { Task } from "../tasks/task.ts";
import type { TaskLife } from "../tasks/task-life.ts";
import type { TaskTable } from "../tasks/task-table.ts";
import type { Turn } from "../turn.ts";
import { Schedule, schedulePrefix } from "./schedule.ts";

export interface ScheduleClock {
  /** What the clock on the wall says. */
  readonly wall: () => number;
  /** The first time after `after` that a cron expression names. @throws Error when it is none */
  readonly nextSlot: (cron: string, timeZone: string, after: number) => number | undefined;
  readonly newId: () => string;
  readonly maxSchedules: number;
}

export interface ScheduleParts {
  readonly turn: Turn;
  readonly deadlines: Deadlines<Due>;
  readonly storages: Storages;
  readonly tasks: TaskTable;
  readonly methods: MethodTable;
  readonly life: TaskLife;
  readonly clock: ScheduleClock;
}

const kind = "schedule";
/** How long a rule may be as JSON, and all of them together. */
const maxRuleLength = 64 * 1_024;
const maxRulesLength = 16 * 1_024 * 1_024;
/** A run that is later than this was missed. */
const lateMs = 60_000;
/** How far the clock on the wall may wander before it is asked anew when something is due. */
const wanderMs = 20;
/** How often it is made sure that the tasks of schedules are still there. */
const checkMs = 30_000;

export class Schedules {
  readonly #parts: ScheduleParts;
  readonly #schedules = new Map<string, Schedule>();
  /** Those whose runs go on, by their tasks. */
  readonly #running = new Map<string, Schedule>();
  /** How far the clock on the wall is before the broker's own. */
  #offset = 0;
  #nextCheck = Number.POSITIVE_INFINITY;
  #rulesLength = 0;
  #isDraining = false;

  constructor(parts: ScheduleParts) {
    this.#parts = parts;
  }

  /** What the store had when it was opened. */
  load(storage: Storage, { items }: StoreSummary): void {
    if (storage !== this.#storage) return;
    this.#look();
    for (const item of items) {
      if (item.kind !== kind) continue;
      const schedule = Schedule.load(item.value);
      this.#schedules.set(schedule.name, schedule);
      this.#rulesLength += schedule.length;
      this.#bringForward(schedule);
      if (schedule.isRunning && schedule.taskId !== undefined) this.#running.set(schedule.taskId, schedule);
    }
    this.#checkTasks();
    for (const schedule of this.#schedules.values()) this.#runIfDue(schedule, true);
  }

  /** Makes no more runs. */
  drain(): void {
    this.#isDraining = true;
  }

  /** @throws Refusal when there is none of this name */
  get(name: string): Schedule {
    const schedule = this.#schedules.get(name);
    if (schedule !== undefined) return schedule;
    throw new Refusal(ErrorCode.InvalidTaskId, `No schedule has the name ${JSON.stringify(name)}`);
  }

  *[Symbol.iterator](): Generator<Schedule> {
    yield* [...this.#schedules.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Makes a schedule, unless there is the same already. @throws Refusal */
  set(rule: ScheduleRule): Schedule {
    const { clock, turn } = this.#parts;
    const known = this.#schedules.get(rule.name);
    if (known !== undefined) {
      if (known.isSameAs(rule)) return known;
      const message = `There is another schedule named ${rule.name}, of ${known.rule.method} or with other arguments`;
      throw new Refusal(ErrorCode.Conflict, message);
    }
    if (this.#schedules.size >= clock.maxSchedules) throw busy("schedules", clock.maxSchedules);
    const schedule = new Schedule(rule, clock.newId().slice(0, 6));
    this.#checkLength(schedule.length);
    checkCron(schedule, clock);
    schedule.slotAt = schedule.timing.type === "cron" ? this.#slotAfter(schedule, clock.wall()) : turn.now;
    if (schedule.slotAt === undefined) {
      const message = `Expected \`cron\` to name a time that will come, got ${JSON.stringify(rule.cron)}`;
      throw new Refusal(ErrorCode.InvalidParams, message);
    }
    this.#schedules.set(schedule.name, schedule);
    this.#rulesLength += schedule.length;
    this.#save(schedule);
    this.#runIfDue(schedule, false);
    return schedule;
  }

  /** @returns whether there was one of this name; a run that goes on goes on */
  remove(name: string): boolean {
    const schedule = this.#schedules.get(name);
    if (schedule === undefined) return false;
    this.#schedules.delete(name);
    this.#rulesLength -= schedule.length;
    this.#disarm(schedule);
    if (schedule.taskId !== undefined) this.#running.delete(schedule.taskId);
    this.#storage.change({ type: "remove-item", kind, name });
    return true;
  }

  /** @throws Refusal when there is none of this name */
  pause(name: string): Schedule {
    const schedule = this.get(name);
    if (schedule.isPaused) return schedule;
    schedule.isPaused = true;
    this.#disarm(schedule);
    this.#save(schedule);
    return schedule;
  }

  /** What came while it was paused was not missed, but left out. @throws Refusal when there is none of this name */
  resume(name: string): Schedule {
    const schedule = this.get(name);
    if (!schedule.isPaused) return schedule;
    schedule.isPaused = false;
    const { timing, slotAt } = schedule;
    const { now } = this.#parts.turn;
    if (timing.type === "cron") schedule.slotAt = this.#slotAfter(schedule, this.#parts.clock.wall());
    else if (slotAt !== undefined && slotAt <= now) {
      schedule.slotAt = slotAt + Math.ceil((now - slotAt + 1) / timing.everyMs) * timing.everyMs;
    }
    this.#save(schedule);
    this.#runIfDue(schedule, false);
    return schedule;
  }

  /** Makes a run now, or after the one that goes on. @returns its task @throws Refusal when there is none of this name */
  run(name: string): string {
    const schedule = this.get(name);
    if (!schedule.isRunning) this.#run(schedule, false);
    else if (!schedule.isWanted) {
      schedule.isWanted = true;
      this.#save(schedule);
      return schedule.taskIdOf(schedule.runs + 1);
    }
    return schedule.taskIdOf(schedule.isWanted ? schedule.runs + 1 : schedule.runs);
  }

  /** What clients are told of a schedule. */
  describe(schedule: Schedule): WireScheduleState {
    const { isPaused, isRunning, slotAt, taskId = "", timing } = schedule;
    const isKnown = slotAt !== undefined && !isPaused && !(isRunning && timing.type === "interval");
    // Intervals go by the broker's clock, and people by the one on the wall.
    const offset = timing.type === "cron" ? 0 : this.#parts.clock.wall() - this.#parts.turn.now;
    const assignedAt = this.#parts.tasks.get(taskId)?.assignedAt;
    const startedAt = isRunning ? assignedAt || undefined : schedule.lastStart;
    return schedule.describe(isKnown ? slotAt + offset : undefined, startedAt);
  }

  /** Something is settled that may be a run. */
  onSettled(task: Task): void {
    if (!task.id.startsWith(schedulePrefix)) return;
    const schedule = this.#running.get(task.id);
    if (schedule !== undefined) this.#end(schedule, task.status, task.assignedAt || task.createdAt);
  }

  onDue(schedule: Schedule): void {
    schedule.deadline = undefined;
    this.#runIfDue(schedule, false);
  }

  /** Time went by: the clock on the wall may have jumped. */
  look(): void {
    if (this.#look()) {
      for (const schedule of this.#schedules.values()) {
        if (schedule.timing.type !== "cron") continue;
        this.#bringForward(schedule);
        this.#runIfDue(schedule, false);
      }
    }
    if (this.#nextCheck <= this.#parts.turn.now) this.#checkTasks();
  }

  get #storage(): Storage {
    return this.#parts.storages.best;
  }

  /** @returns whether the clock on the wall has jumped */
  #look(): boolean {
    const offset = this.#parts.clock.wall() - this.#parts.turn.now;
    if (Math.abs(offset - this.#offset) < wanderMs) return false;
    this.#offset = offset;
    return true;
  }

  /** @param isCatchingUp nothing could be run for a while */
  #runIfDue(schedule: Schedule, isCatchingUp: boolean): void {
    this.#disarm(schedule);
    if (schedule.isRunning || this.#isDraining) return;
    if (schedule.isWanted) this.#run(schedule, false);
    else if (schedule.isPaused) return;
    else if (schedule.timing.type === "cron") this.#runByClock(schedule, isCatchingUp);
    else this.#runByInterval(schedule, isCatchingUp);
  }

  #runByClock(schedule: Schedule, isCatchingUp: boolean): void {
    const { slotAt, missed } = schedule;
    const wall = this.#parts.clock.wall();
    if (slotAt === undefined) return;
    if (slotAt > wall) {
      this.#arm(schedule, this.#parts.turn.now + slotAt - wall);
      return;
    }
    const isMissed = isCatchingUp || wall - slotAt > lateMs;
    schedule.lastSlotAt = slotAt;
    schedule.slotAt = this.#slotAfter(schedule, missed === "all" ? slotAt : Math.max(slotAt, wall));
    if (!isMissed || missed !== "skip") {
      this.#run(schedule, true);
      return;
    }
    this.#save(schedule);
    this.#runIfDue(schedule, false);
  }

  #runByInterval(schedule: Schedule, isCatchingUp: boolean): void {
    const { now } = this.#parts.turn;
    const { slotAt = now, timing, missed } = schedule;
    if (
      slotAt <= now &&
      isCatchingUp &&
      missed === "skip" &&
      timing.type === "interval" &&
      schedule.runs > 0
    ) {
      schedule.slotAt = now + timing.everyMs;
      this.#save(schedule);
    }
    if ((schedule.slotAt ?? now) > now) this.#arm(schedule, schedule.slotAt ?? now);
    else this.#run(schedule, true);
  }

  /** A clock that had jumped ahead went back: what is due after the last slot comes, whatever was thought then. */
  #bringForward(schedule: Schedule): void {
    const { slotAt, lastSlotAt = Number.NEGATIVE_INFINITY, timing } = schedule;
    const wall = this.#parts.clock.wall();
    if (timing.type !== "cron" || slotAt === undefined || slotAt <= wall) return;
    const next = this.#slotAfter(schedule, Math.max(wall, lastSlotAt));
    if (next !== undefined && next < slotAt) schedule.slotAt = next;
  }

  /** @param isPlanned it is the run of a slot */
  #run(schedule: Schedule, isPlanned: boolean): void {
    const { life, methods, turn } = this.#parts;
    const { rule, params } = schedule;
    const { level } = this.#storage;
    schedule.runs++;
    schedule.isRunning = true;
    schedule.isWanted = false;
    schedule.isPlanned = isPlanned;
    schedule.lastStart = turn.now;
    schedule.taskId = schedule.taskIdOf(schedule.runs);
    this.#disarm(schedule);
    this.#running.set(schedule.taskId, schedule);
    const text = JSON.stringify(params);
    const lane = methods.lane(rule.method, rule.group ?? "");
    const priority = rule.priority ?? lane.method.description?.priority ?? 0;
    const task = {
      ...{ id: schedule.taskId, ownerId: schedulePrefix, caller: undefined, addressee: undefined },
      ...{ requestId: null, level, params, options: {}, bytes: bytesOf(text), priority },
      ...{ createdAt: turn.now, dueAt: turn.now, expiresAt: undefined },
      // Also what is retried by hand runs beside no other run.
      instance: `${schedulePrefix}${schedule.name}`,
    };
    life.submit(task, lane, text, () => undefined);
    this.#save(schedule);
  }

  /** A run has ended, or its task is gone. */
  #end(schedule: Schedule, status: TaskStatus | undefined, startedAt: number): void {
    const { now } = this.#parts.turn;
    if (schedule.taskId !== undefined) this.#running.delete(schedule.taskId);
    const { timing, slotAt, missed } = schedule;
    schedule.isRunning = false;
    schedule.lastStatus = status;
    schedule.lastStart = startedAt;
    schedule.lastEnd = now;
    if (timing.type === "interval") {
      const { everyMs } = timing;
      if (!timing.fromStart) schedule.slotAt = now + everyMs;
      else if (missed !== "all") schedule.slotAt = startedAt + everyMs;
      else if (schedule.isPlanned) schedule.slotAt = (slotAt ?? startedAt) + everyMs;
    }
    this.#save(schedule);
    this.#runIfDue(schedule, true);
  }

  /** A schedule whose task was lost, or removed, goes on as if it had ended. */
  #checkTasks(): void {
    const { tasks, turn } = this.#parts;
    this.#nextCheck = turn.now + checkMs;
    const ids = [...this.#running.keys()].filter((id) => tasks.get(id) === undefined);
    if (ids.length === 0) return;
    this.#storage.get(ids, (found, failure) => {
      if (failure !== undefined) return;
      const open = new Set(
        (found ?? []).filter(({ settledAt }) => settledAt === undefined).map(({ id }) => id),
      );
      for (const id of ids) {
        const schedule = this.#running.get(id);
        if (schedule === undefined || open.has(id) || tasks.get(id) !== undefined) continue;
        this.#end(schedule, undefined, schedule.lastStart ?? turn.now);
      }
    });
  }

  /** Nothing where what was a time zone is none any more, as with other data of the machine. */
  #slotAfter({ rule: { cron = "", timeZone = "UTC" } }: Schedule, after: number): number | undefined {
    try {
      return this.#parts.clock.nextSlot(cron, timeZone, after);
    } catch {
      return undefined;
    }
  }

  /** @throws Refusal when a rule, or all of them, would be too long */
  #checkLength(length: number): void {
    if (length > maxRuleLength) {
      const message = `Expected a schedule of at most ${maxRuleLength} characters, got ${length}`;
      throw new Refusal(ErrorCode.TooLarge, message);
    }
    if (this.#rulesLength + length > maxRulesLength) throw busy("characters of schedules", maxRulesLength);
  }

  #save(schedule: Schedule): void {
    this.#storage.change({ type: "save-item", kind, name: schedule.name, value: schedule.store() });
  }

  #arm(schedule: Schedule, at: number): void {
    schedule.deadline = this.#parts.deadlines.add(at, { type: "schedule", schedule });
  }

  #disarm(schedule: Schedule): void {
    if (schedule.deadline === undefined) return;
    this.#parts.deadlines.delete(schedule.deadline);
    schedule.deadline = undefined;
  }
}

/** @throws Refusal for what is no cron expression, or no time zone */
function checkCron({ rule: { cron, timeZone = "UTC" } }: Schedule, { nextSlot, wall }: ScheduleClock): void {
  if (cron === undefined) return;
  try {
    nextSlot(cron, timeZone, wall());
  } catch (error) {
    const expected = 'Expected a cron expression like "0 3 * * *" and an IANA time zone';
    const got = `got ${JSON.stringify(cron)} and ${JSON.stringify(timeZone)}`;
    throw new Refusal(ErrorCode.InvalidParams, `${expected}, ${got}: ${(error as Error).message}`);
  }
}
