// When a cron expression's time comes: croner knows calendars, and what a change of the clocks does is decided here.
import { Cron } from "croner";

/** Clocks are changed by no more: an island that went over the date line left out a day. */
const mostChange = 86_400_000;
/** So many zones' formatters are kept. */
const maxFormatters = 100;

const formatters = new Map<string, Intl.DateTimeFormat>();

/**
 * The first time after `after` (milliseconds since the epoch) that a cron expression of 5, 6 or 7 fields names on the
 * clocks of an IANA time zone. What has an hour comes once on each day: a time that the change to summer time leaves
 * out as much later as was left out, one that the change back brings twice the first time. What goes by `*` in the hours
 * comes in each hour that there is.
 * @returns undefined when there is none
 * @throws Error for what is no such expression or time zone
 */
export function nextSlot(cron: string, timeZone: string, after: number): number | undefined {
  if (!hasHours(cron)) return next(cron, timeZone, after);
  const clock = new Clock(timeZone);
  const slots = clock.startsAt(after).flatMap((start) => {
    const local = next(cron, "UTC", start);
    if (local === undefined) return [];
    const at = clock.instantOf(local);
    if (clock.localOf(at) === local) return [at];
    // What comes after those that were left out may come before they are made up for.
    const later = next(cron, "UTC", clock.endOfGap(at, local) - 1);
    return later === undefined ? [at] : [at, clock.instantOf(later)];
  });
  const first = Math.min(...slots.filter((at) => at > after));
  return Number.isFinite(first) ? first : undefined;
}

/** Whether an expression names hours, and so times of the day. */
function hasHours(cron: string): boolean {
  const fields = cron.trim().split(/\s+/);
  if (fields.length === 1) return cron.trim().startsWith("@") && !/^@hourly$/i.test(cron.trim());
  const hours = fields[fields.length > 5 ? 2 : 1];
  return hours !== undefined && !/[*?]/.test(hours);
}

function next(cron: string, timezone: string, after: number): number | undefined {
  return new Cron(cron, { timezone, paused: true }).nextRun(new Date(after))?.getTime();
}

/** The clocks of a time zone. A local time is written as the milliseconds since the epoch at which it is in UTC. */
class Clock {
  readonly #format: Intl.DateTimeFormat;

  /** @throws RangeError when there is no such zone */
  constructor(timeZone: string) {
    this.#format = formatter(timeZone);
  }

  localOf(at: number): number {
    return at + this.#offsetAt(at);
  }

  /** The first instant with this local time; where there is none, with one as much later as is left out. */
  instantOf(local: number): number {
    const before = local - this.#offsetAt(local - mostChange);
    const after = local - this.#offsetAt(local + mostChange);
    const [first, second] = before < after ? [before, after] : [after, before];
    if (this.localOf(first) === local) return first;
    return this.localOf(second) === local ? second : before;
  }

  /** Where, by local time, what comes after `after` is to be looked for. */
  startsAt(after: number): number[] {
    const local = this.localOf(after);
    const before = this.#offsetAt(after - mostChange);
    const change = local - after - before;
    if (change === 0) return [local];
    const changedAt = this.#changeIn(after - mostChange, after);
    if (after >= changedAt + Math.abs(change)) return [local];
    // What was left out is still being made up for; or what comes a second time has been.
    return change > 0 ? [after + before, local] : [changedAt + before - 1];
  }

  /** The first local time that there is after one that is left out, and for which `at` stands. */
  endOfGap(at: number, local: number): number {
    const length = this.localOf(at) - local;
    return this.localOf(this.#changeIn(at - length - 1, at));
  }

  /** When the clocks were changed, of two times with a change in between. */
  #changeIn(from: number, to: number): number {
    const before = this.#offsetAt(from);
    let [low, high] = [Math.floor(from / 1_000), Math.ceil(to / 1_000)];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.#offsetAt(middle * 1_000) === before) low = middle;
      else high = middle;
    }
    return high * 1_000;
  }

  #offsetAt(at: number): number {
    const second = Math.floor(at / 1_000) * 1_000;
    const [month = 0, day = 0, year = 0, hour = 0, minute = 0, seconds = 0] = this.#format
      .format(second)
      .split(/\D+/)
      .map(Number);
    return Date.UTC(year, month - 1, day, hour, minute, seconds) - second;
  }
}

function formatter(timeZone: string): Intl.DateTimeFormat {
  const known = formatters.get(timeZone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat("en-US-u-ca-gregory-nu-latn", {
    timeZone,
    hourCycle: "h23",
    ...{ year: "numeric", month: "numeric", day: "numeric" },
    ...{ hour: "numeric", minute: "numeric", second: "numeric" },
  });
  if (formatters.size >= maxFormatters) formatters.clear();
  formatters.set(timeZone, made);
  return made;
}
