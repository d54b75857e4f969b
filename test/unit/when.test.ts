import { expect, it } from "vitest";
import { OptionError, rateOption, spanFromWords, spanOption, whenOption } from "zerotask-core";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const year = 365.25 * day;

it.each<[string, number]>([
  ["10s", 10 * second],
  ["10 S", 10 * second],
  ["1 day", day],
  ["2 hours 30 minutes", 2 * hour + 30 * minute],
  ["2 hours, 30 minutes", 2 * hour + 30 * minute],
  ["2 hours and 30 minutes", 2 * hour + 30 * minute],
  ["1h30m", hour + 30 * minute],
  ["1.5 hours", 1.5 * hour],
  ["  250 ms ", 250],
  ["1 week", 7 * day],
  ["0s", 0],
  ["100 years", 100 * year],
])("reads %j as %d ms", (words, ms) => {
  expect(spanFromWords(words)).toBe(ms);
});

it.each([
  "",
  " ",
  "soon",
  "10",
  "s",
  "-5s",
  "5s ago",
  "10s nonsense",
  "nonsense 10s",
  "10 parsecs",
  "1e3s",
  "1..5s",
  "10s,",
  "and",
  "101 years",
  "1s".repeat(51),
  "__proto__",
  "5 constructor",
])("finds no span in %j", (words) => {
  expect(spanFromWords(words)).toBeUndefined();
});

it("takes spans as milliseconds, too, up to a hundred years", () => {
  expect([spanOption("delay", 0), spanOption("delay", 1.5), spanOption("delay", "2 min")]).toEqual([
    0,
    1.5,
    2 * minute,
  ]);
  for (const wrong of [
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    100 * year + 1,
    "now",
    null,
    undefined,
    {},
    5n,
  ]) {
    expect(() => spanOption("delay", wrong)).toThrow(OptionError);
  }
});

it.each<[string, unknown, object]>([
  ["a Date as that time", new Date(17), { at: 17 }],
  ["a Date before 1970 as the past", new Date(-5), { at: 0 }],
  ["now as no delay", "now", { delayMs: 0 }],
  ["now in any case", " NOW ", { delayMs: 0 }],
  ["words as a delay", "2 hours 30 minutes", { delayMs: 2.5 * hour }],
  ["a small number as a delay", 99_999_999_999, { delayMs: 99_999_999_999 }],
  ["a large number as a time", 100_000_000_000, { at: 100_000_000_000 }],
  ["the last time of a Date", 8.64e15, { at: 8.64e15 }],
])("takes %s", (_what, when, wire) => {
  expect(whenOption("at", when)).toEqual(wire);
});

it.each([
  -1,
  8.64e15 + 1_000,
  Number.NaN,
  new Date(Number.NaN),
  "tomorrow",
  "",
  null,
  undefined,
  true,
  {},
  5n,
])("takes %o for no time", (when) => {
  expect(() => whenOption("at", when)).toThrow(
    'Expected `at` to be a Date, milliseconds, or words like "2 hours 30 minutes", "10s" or "now", got ',
  );
});

it("names the longest span where it is exceeded", () => {
  for (const long of ["101 years", 100 * year + 1, Number.POSITIVE_INFINITY]) {
    expect(() => spanOption("every", long)).toThrow("Expected `every` to be at most 100 years, got ");
  }
  expect(() => whenOption("at", "50 years and 51 years")).toThrow(
    "Expected `at` to be at most 100 years, got '50 years and 51 years'",
  );
});

it.each<[string, number, number]>([
  ["100/min", 100, minute],
  ["5 / 10 seconds", 5, 10 * second],
  ["1/s", 1, second],
  [" 7/hour ", 7, hour],
  ["999999999/ms", 999_999_999, 1],
])("reads the rate %j", (text, count, perMs) => {
  expect(rateOption("rate", text)).toEqual({ count, perMs });
});

it.each([
  "0/min",
  "-1/min",
  "1.5/min",
  "100",
  "100/",
  "/min",
  "100/0s",
  "100/fortnight",
  "9999999999/s",
  "100/min/2",
  100,
  null,
])("takes %j for no rate", (text) => {
  expect(() => rateOption("rate", text)).toThrow('Expected `rate` to be a rate like "100/min", got ');
});
