// Times as they are written on a command line: no number without a unit, and no date that the calendar does not have.
import { OptionError, spanFromWords } from "zerotask-core";

/** A time to come: words, a date as ISO 8601 has it, or milliseconds since the epoch. @throws OptionError */
export function timeOption(option: string, text: string): Date | number | string {
  const time = timeOfClock(text);
  if (time !== undefined) return time;
  if (text.trim().toLowerCase() === "now" || spanFromWords(text) !== undefined) return text;
  throw new OptionError(
    option,
    `words with a unit, such as "2 hours 30 minutes", "now", ${clockForms}`,
    text,
  );
}

/** A time of the clock: a date as ISO 8601 has it, or milliseconds since the epoch. @throws OptionError */
export function clockOption(option: string, text: string): Date | number {
  const time = timeOfClock(text);
  if (time !== undefined) return time;
  throw new OptionError(option, clockForms, text);
}

/** How long something takes, in words. A number alone may be one that lost its unit to the shell. @throws OptionError */
export function wordsOption(option: string, text: string): string {
  if (spanFromWords(text) !== undefined) return text;
  throw new OptionError(option, 'words with a unit, in quotes, such as "5 minutes" or "250 ms"', text);
}

const clockForms =
  "an ISO date such as 2030-01-31 (UTC) or 2030-01-31T09:30 (local time), or milliseconds since the epoch (100000000000 or more)";

/** From here on a number can only mean a time since the epoch (March 1973). */
const leastEpoch = 100_000_000_000;
/** What a `Date` can hold. */
const mostEpoch = 8.64e15;

function timeOfClock(text: string): Date | number | undefined {
  if (!/^\d+$/.test(text)) return dateOf(text);
  const ms = Number(text);
  return ms >= leastEpoch && ms <= mostEpoch ? ms : undefined;
}

const isoDate = /^(\d{4})-(\d\d)-(\d\d)(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)?)?$/;

function dateOf(text: string): Date | undefined {
  const [, year, month, day] = isoDate.exec(text) ?? [];
  if (year === undefined) return undefined;
  // A day that its month does not have, V8 takes for one of the next month.
  const ofCalendar = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  if (ofCalendar.getUTCDate() !== Number(day) || ofCalendar.getUTCMonth() !== Number(month) - 1)
    return undefined;
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
