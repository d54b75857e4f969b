// Times as people write them: "1 day", "2 hours 30 minutes", "10s", "now", a Date, or milliseconds.
import parse from "parse-duration";
import { OptionError } from "../options.ts";

/**
 * When a task is to run, at the earliest: a `Date`; words for how long from now (`"2 hours 30 minutes"`, `"10s"`,
 * `"now"`); or milliseconds: from now where they are fewer than 100,000,000,000 (three years), else since the epoch.
 */
export type When = Date | number | string;

/** How long something takes: milliseconds, or words such as `"2 hours 30 minutes"`. */
export type Span = number | string;

/** How a time is told on the wire: by the clock of the broker, or from when it hears of it. */
export type WireWhen = { readonly at: number } | { readonly delayMs: number };

/** From here on a number is a time since the epoch (March 1973). */
const leastEpoch = 100_000_000_000;
/** What a `Date` can hold (ECMA-262, section 21.4.1.1). */
const mostEpoch = 8.64e15;
/** A hundred years. */
export const mostSpanMs = 3_155_760_000_000;

const piece = /^\s*(?:,|and\b)?\s*(\d+(?:\.\d+)?\s*\p{L}+)/u;

/** Milliseconds of a span in words. @returns undefined when it is none, or more than a hundred years */
export function spanFromWords(words: string): number | undefined {
  const ms = readWords(words);
  return ms !== undefined && ms <= mostSpanMs ? ms : undefined;
}

function readWords(words: string): number | undefined {
  let ms = 0;
  let rest = words.trim().toLowerCase();
  if (rest === "" || rest.length > 100) return undefined;
  while (rest !== "") {
    const text = piece.exec(rest);
    // What the parser does not know it would pass over.
    const part = text === null ? null : parse(text[1] as string);
    if (text === null || part === null) return undefined;
    ms += part;
    rest = rest.slice(text[0].length).trim();
  }
  return ms;
}

/** @throws OptionError unless it is 0 to a hundred years */
export function spanOption(option: string, span: unknown): number {
  const ms = typeof span === "string" ? readWords(span) : span;
  if (typeof ms === "number" && ms >= 0 && ms <= mostSpanMs) return ms;
  if (isTooLong(ms)) throw new OptionError(option, mostSpan, span);
  throw new OptionError(option, 'milliseconds, or words like "2 hours 30 minutes"', span);
}

/** @throws OptionError when it is no time */
export function whenOption(option: string, when: unknown): WireWhen {
  // Before 1970 is past as well: brokers know no times below 0.
  if (when instanceof Date && !Number.isNaN(when.getTime())) return { at: Math.max(0, when.getTime()) };
  if (typeof when === "number" && when >= 0 && when <= mostEpoch) {
    return when < leastEpoch ? { delayMs: when } : { at: when };
  }
  const words = typeof when === "string" ? when.trim().toLowerCase() : undefined;
  const delayMs = words === "now" ? 0 : words === undefined ? undefined : readWords(words);
  if (delayMs !== undefined && delayMs <= mostSpanMs) return { delayMs };
  if (isTooLong(delayMs)) throw new OptionError(option, mostSpan, when);
  throw new OptionError(
    option,
    'a Date, milliseconds, or words like "2 hours 30 minutes", "10s" or "now"',
    when,
  );
}

const mostSpan = "at most 100 years";

function isTooLong(ms: unknown): boolean {
  return typeof ms === "number" && ms > mostSpanMs;
}

export interface Rate {
  /** At most so many within any such time. */
  readonly count: number;
  readonly perMs: number;
}

const ratePattern = /^\s*(\d{1,9})\s*\/\s*(.+)$/;

/** How many within how long, such as `"100/min"` or `"5 / 10 seconds"`. */
export type RateText = `${number}/${string}`;

/** A rate such as `"100/min"` or `"5 / 10 seconds"`. @throws OptionError */
export function rateOption(option: string, text: unknown): Rate {
  const [, count, per = ""] = (typeof text === "string" && ratePattern.exec(text)) || [];
  const perMs = spanFromWords(/^\d/.test(per) ? per : `1 ${per}`);
  if (Number(count) >= 1 && perMs !== undefined && perMs >= 1) return { count: Number(count), perMs };
  throw new OptionError(option, 'a rate like "100/min"', text);
}
