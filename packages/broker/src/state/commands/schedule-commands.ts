// What clients ask about schedules: answered once what they changed is stored.
import {
  BrokerMethod,
  describe,
  ErrorCode,
  isReservedMethod,
  OptionError,
  respond,
  type ScheduleRule,
  scheduleNameOption,
  scheduleTable,
} from "zerotask-core";
import type { Schedule } from "../schedules/schedule.ts";
import type { Schedules } from "../schedules/schedules.ts";
import type { Storages } from "../storage/storages.ts";
import { type Command, type CommandHandler, type ParamReader, Refusal } from "./command.ts";

export interface ScheduleCommandParts {
  readonly schedules: Schedules;
  readonly storages: Storages;
}

const members = [
  ...["name", "method", "params", "every_ms", "from_start", "cron", "time_zone"],
  ...["priority", "group", "missed"],
];

export class ScheduleCommands {
  readonly #parts: ScheduleCommandParts;

  constructor(parts: ScheduleCommandParts) {
    this.#parts = parts;
  }

  /** Each command with the names of its params, in order. */
  table(): [string, readonly string[], CommandHandler][] {
    const { schedules } = this.#parts;
    const named =
      (change: (name: string) => unknown): CommandHandler =>
      (command, read) =>
        this.#answer(command, change(nameOf(read)));
    const told = (schedule: Schedule): object => schedules.describe(schedule);
    return [
      [
        BrokerMethod.ScheduleSet,
        members,
        (command, read) => this.#answer(command, told(schedules.set(readRule(read)))),
      ],
      [BrokerMethod.ScheduleRemove, ["name"], named((name) => schedules.remove(name))],
      [BrokerMethod.SchedulePause, ["name"], named((name) => told(schedules.pause(name)))],
      [BrokerMethod.ScheduleResume, ["name"], named((name) => told(schedules.resume(name)))],
      [BrokerMethod.ScheduleRun, ["name"], named((name) => schedules.run(name))],
      [BrokerMethod.ScheduleList, [], () => ({ result: [...schedules].map(told) })],
    ];
  }

  #answer({ addressee, requestId }: Command, result: unknown): undefined {
    this.#parts.storages.best.whenStored((failure) => {
      addressee.deliver(respond(requestId, failure === undefined ? { result } : { error: failure }));
    });
    return undefined;
  }
}

function nameOf(read: ParamReader): string {
  const name = read.value("name");
  checked(() => scheduleNameOption("name", name));
  return name as string;
}

function readRule(read: ParamReader): ScheduleRule {
  const wire = Object.fromEntries(members.map((name) => [name, read.value(name)]));
  const rule = checked(() => scheduleTable.fromWire(wire));
  for (const name of ["name", "method"] as const) {
    if (rule[name] === undefined) throw invalid(`Expected \`${name}\` to be a string, got undefined`);
  }
  if (isReservedMethod(rule.method)) {
    throw invalid(`Expected a method outside of rpc.* and zerotask.*, got ${describe(rule.method)}`);
  }
  if ((rule.everyMs === undefined) === (rule.cron === undefined)) {
    const got = rule.cron === undefined ? "neither" : "both";
    throw invalid(`Expected either \`every_ms\` or \`cron\`, got ${got}`);
  }
  if (rule.cron !== undefined && rule.fromStart !== undefined) {
    throw invalid("Expected `from_start` with `every_ms`, got it with `cron`");
  }
  if (rule.cron === undefined && rule.timeZone !== undefined) {
    throw invalid("Expected `time_zone` with `cron`, got it with `every_ms`");
  }
  return rule;
}

function checked<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof OptionError) throw invalid(error.message);
    throw error;
  }
}

function invalid(message: string): Refusal {
  return new Refusal(ErrorCode.InvalidParams, message);
}
