// `client.$schedules`: what the broker is to run again and again, told and asked for.
import {
  BrokerMethod,
  knownOptions,
  type Missed,
  mostScheduleName,
  OptionError,
  type Params,
  type Span,
  scheduleNameOption,
  scheduleTable,
  spanOption,
} from "zerotask-core";
import type { Session } from "../session.ts";
import { checkStorable } from "../streams/inputs.ts";
import type { MethodName, ParamsOf } from "../typing.ts";
import { defaultName } from "./default-name.ts";
import { type Schedule, scheduleFromWire } from "./schedule.ts";

/** What schedules of both kinds can be told. */
export interface ScheduleOptions {
  /**
   * What the schedule is known by, in 1 to 200 characters. @default the method, with its params where it has any:
   * `add(5, 6)`
   */
  readonly name?: string;
  /** The priority of its runs, from -100 to 100. @default 0 */
  readonly priority?: number;
  /** The group of its runs. @default none */
  readonly group?: string;
  /**
   * What becomes of runs whose time went by while they could not be made, such as while the broker was down: none of
   * them is made, one for all of them, or each. @default "once"
   */
  readonly missed?: Missed;
}

/** The params of the method: to be left out only where it can do without. */
type WithParams<P> = [] extends P ? { readonly params?: P } : { readonly params: P };

export type IntervalOptions<P = Params> = ScheduleOptions &
  WithParams<P> & {
    /** How long after the end of a run the next one begins: milliseconds, or words like `"5 minutes"`. At least 1 ms. */
    readonly every: Span;
    /** Count from the start of a run. One that takes longer is followed at once: runs never overlap. @default false */
    readonly fromStart?: boolean;
  };

export type CronOptions<P = Params> = ScheduleOptions &
  WithParams<P> & {
    /** When: a cron expression of 5 fields, 6 (with seconds first) or 7 (with years last). `"0 3 * * *"` is each day at 3. */
    readonly cron: string;
    /** The IANA zone whose clock it goes by, such as `"Europe/Berlin"`. @default "UTC" */
    readonly timeZone?: string;
  };

/**
 * Schedules are kept by the broker, as safely as it can, and go on without the client. All of this rejects with
 * `BrokerUnavailableError` when no broker is there, with `OptionError` for what can't be right, and with
 * `InvalidParamsError` for what only the broker can tell to be wrong: a cron expression, a time zone.
 */
export interface Schedules<Methods = unknown> {
  /**
   * Runs a method at once, and again each interval after the end of the last run. The same again does nothing; the same
   * name with anything else rejects with `ConflictError`.
   */
  interval<Name extends MethodName<Methods>>(
    method: Name,
    options: IntervalOptions<ParamsOf<Methods, Name>>,
  ): Promise<Schedule>;
  /** Runs a method whenever a clock shows the time. The same again does nothing, as with `interval`. */
  cron<Name extends MethodName<Methods>>(
    method: Name,
    options: CronOptions<ParamsOf<Methods, Name>>,
  ): Promise<Schedule>;
  /** Whether there was one of that name. A run that has begun goes on. */
  remove(name: string): Promise<boolean>;
  list(): Promise<Schedule[]>;
  /** Makes no more runs, until `resume`. Rejects with `UnknownTaskError` where none has that name. */
  pause(name: string): Promise<Schedule>;
  /** Rejects with `UnknownTaskError` where none has that name. */
  resume(name: string): Promise<Schedule>;
  /**
   * Makes a run now, or brings forward the one that waits. Rejects with `UnknownTaskError` where none has that name.
   * @returns the id of the run's task: `later.$handle(id)` waits for it
   */
  runNow(name: string): Promise<string>;
}

const commonNames = ["name", "params", "priority", "group", "missed"];
const intervalNames = ["every", "fromStart", ...commonNames];
const cronNames = ["cron", "timeZone", ...commonNames];

/** What the two kinds have in common, whatever the types of the method's params. */
interface AnyOptions extends ScheduleOptions {
  readonly params?: Params;
}

export function schedulesOf(session: Session): Schedules {
  const ask = (method: string, params: Params): Promise<unknown> => session.request(method, params);
  const askByName = async (method: string, name: string): Promise<unknown> => {
    scheduleNameOption("name", name);
    return ask(method, { name });
  };
  const set = async (method: string, options: AnyOptions, timing: object): Promise<Schedule> => {
    if (options.params !== undefined) checkStorable(options.params);
    const { name = nameFor(method, options.params), ...others } = options;
    const rule = { method, name, ...others, ...timing };
    scheduleTable.check(rule);
    return scheduleFromWire(await ask(BrokerMethod.ScheduleSet, scheduleTable.toWire(rule)));
  };
  return {
    interval: async (method, options) => {
      knownOptions("interval", options, intervalNames);
      return set(method, options, { everyMs: everyOption(options.every) });
    },
    cron: async (method, options) => {
      knownOptions("cron", options, cronNames);
      if (options.cron === undefined) throw new OptionError("cron", "a cron expression", options.cron);
      return set(method, options, {});
    },
    remove: async (name) => (await askByName(BrokerMethod.ScheduleRemove, name)) as boolean,
    list: async () => ((await ask(BrokerMethod.ScheduleList, {})) as unknown[]).map(scheduleFromWire),
    pause: async (name) => scheduleFromWire(await askByName(BrokerMethod.SchedulePause, name)),
    resume: async (name) => scheduleFromWire(await askByName(BrokerMethod.ScheduleResume, name)),
    runNow: async (name) => (await askByName(BrokerMethod.ScheduleRun, name)) as string,
  };
}

function everyOption(every: unknown): number {
  const ms = Math.round(spanOption("every", every));
  if (ms < 1) throw new OptionError("every", "1 ms or longer", every);
  return ms;
}

function nameFor(method: string, params: Params | undefined): string {
  const name = defaultName(method, params);
  if (name.length <= mostScheduleName) return name;
  const expected = `given, as method and params have more than ${mostScheduleName} characters`;
  throw new OptionError("name", expected, undefined);
}
