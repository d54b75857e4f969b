import { expect, it } from "vitest";
import { OptionError } from "zerotask-client";
import { clockOption, timeOption, wordsOption } from "../../packages/client/src/command-line/times.ts";

it.each<[string, unknown]>([
  ["2030-01-31", new Date("2030-01-31T00:00:00Z")],
  ["2030-01-31T09:30", new Date(2030, 0, 31, 9, 30)],
  ["2030-01-31 09:30:15", new Date(2030, 0, 31, 9, 30, 15)],
  ["2030-01-31T09:30:15.250Z", new Date("2030-01-31T09:30:15.250Z")],
  ["2030-01-31T09:30+02:00", new Date("2030-01-31T07:30:00Z")],
  ["2028-02-29", new Date("2028-02-29")],
  ["100000000000", 100_000_000_000],
])("reads %s as a time of the clock", (text, time) => {
  expect(timeOption("--at", text)).toEqual(time);
  expect(clockOption("--from", text)).toEqual(time);
});

it.each([
  "2030-02-31",
  "2029-02-29",
  "2030-13-01",
  "2030-00-10",
  "2030-01-00",
  "2030-01-31T25:00",
  "2030-01-31T9:30",
  "2030-01-31 or so",
  "20300101",
  "10",
  "99999999999",
  "9999999999999999999",
  "-5",
  "tomorrow",
  "",
])("takes %j for no time, and tells what there is", (text) => {
  expect(() => clockOption("--from", text)).toThrow(OptionError);
  expect(() => timeOption("--at", text)).toThrow(
    'Expected `--at` to be words with a unit, such as "2 hours 30 minutes", "now", an ISO date such as 2030-01-31 (UTC)',
  );
});

it("takes words for a time to come, or for a span, but no number that may have lost its unit", () => {
  expect(timeOption("--at", "2 hours 30 minutes")).toBe("2 hours 30 minutes");
  expect(timeOption("--at", "Now")).toBe("Now");
  expect(() => clockOption("--from", "2 hours")).toThrow(OptionError);
  expect(wordsOption("every", "250 ms")).toBe("250 ms");
  for (const wrong of ["5", "5000", "now", "soon"]) {
    expect(() => wordsOption("every", wrong)).toThrow(
      'Expected `every` to be words with a unit, in quotes, such as "5 minutes" or "250 ms", got ',
    );
  }
});
