// When cron expressions' times come, where clocks are changed.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nextSlot } from "../../packages/broker/src/cron.ts";

const hour = 3_600_000;
const day = 24 * hour;

function slots(cron: string, timeZone: string, from: number, to: number): number[] {
  const found: number[] = [];
  for (let at = nextSlot(cron, timeZone, from); at !== undefined && at < to; ) {
    found.push(at);
    const next = nextSlot(cron, timeZone, at);
    if (next !== undefined && next <= at) throw new Error(`${next} is not after ${at}`);
    at = next;
  }
  return found;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** What the clocks of a zone show, as if it were UTC. */
function shown(at: number, timeZone: string): Date {
  const format =
    formats.get(timeZone) ??
    new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "medium" });
  formats.set(timeZone, format);
  return new Date(`${format.format(at).replace(" ", "T")}Z`);
}

describe("cron expressions with hours", () => {
  const spring = [Date.UTC(2026, 2, 28, 23), Date.UTC(2026, 2, 29, 22)] as const;
  const autumn = [Date.UTC(2026, 9, 24, 22), Date.UTC(2026, 9, 25, 23)] as const;

  it.each([
    ["30 2 * * *", spring, ["03:30+2"]],
    ["30 2 * * *", autumn, ["02:30+2"]],
    ["0,30 2 * * *", spring, ["03:00+2", "03:30+2"]],
    ["0,30 2 * * *", autumn, ["02:00+2", "02:30+2"]],
    ["0 2,3 * * *", spring, ["03:00+2"]],
    ["0 2,3 * * *", autumn, ["02:00+2", "03:00+1"]],
    ["0 2-3 * * *", autumn, ["02:00+2", "03:00+1"]],
    ["15,45 2,3 * * *", spring, ["03:15+2", "03:45+2"]],
    ["*/30 1-4 * * *", spring, ["01:00+1", "01:30+1", "03:00+2", "03:30+2", "04:00+2", "04:30+2"]],
    [
      "*/30 1-4 * * *",
      autumn,
      ["01:00+2", "01:30+2", "02:00+2", "02:30+2", "03:00+1", "03:30+1", "04:00+1", "04:30+1"],
    ],
    ["0 30 2 * * *", spring, ["03:30+2"]],
    ["0 30 2 * * * 2026", autumn, ["02:30+2"]],
    ["@daily", spring, ["00:00+1"]],
  ])("%s comes once on each day", (cron, [from, to], expected) => {
    const found = slots(cron, "Europe/Berlin", from - 1, to - 1).map((at) => {
      const local = shown(at, "Europe/Berlin");
      return `${local.toISOString().slice(11, 16)}+${(local.getTime() - at) / hour}`;
    });
    expect(found).toEqual(expected);
  });

  it.each(["0 * * * *", "0 */1 * * *", "0 ? * * *", "0 0 * * * *", "@hourly", " @HOURLY "])(
    "%s has none: it comes in each hour that there is",
    (cron) => {
      expect(slots(cron, "Europe/Berlin", spring[0] - 1, spring[1] - 1)).toHaveLength(23);
      expect(slots(cron, "Europe/Berlin", autumn[0] - 1, autumn[1] - 1)).toHaveLength(25);
    },
  );

  it("keep their order where what was left out meets what comes after it", () => {
    // On Lord Howe Island, 30 minutes are left out from 02:00 on.
    const from = Date.UTC(2026, 9, 3, 13);
    const found = slots("10,35,50 2 * * *", "Australia/Lord_Howe", from, from + day);
    expect(found.map((at) => shown(at, "Australia/Lord_Howe").toISOString().slice(11, 16))).toEqual([
      "02:35",
      "02:40",
      "02:50",
    ]);
  });

  it("are made up for on the next day where a whole one was left out", () => {
    const from = Date.UTC(2011, 11, 29, 12);
    const found = slots("0 12 * * *", "Pacific/Apia", from, from + 3 * day);
    const days = found.map((at) => shown(at, "Pacific/Apia").toISOString().slice(5, 13));
    expect(days).toEqual(["12-29T12", "12-31T12", "01-01T12"]);
  });

  it("are found at once, with seconds and in the hours around a change, too", () => {
    const begin = performance.now();
    for (let i = 0; i < 200; i++) nextSlot("* * 2,3 * * *", "Europe/Berlin", autumn[0] + i * 120_000);
    for (let i = 0; i < 200; i++) nextSlot("* * 2,3 * * *", "Europe/Berlin", spring[0] + i * 120_000);
    expect((performance.now() - begin) / 400).toBeLessThan(5);
  });

  it("are no such expressions, or of no such zone", () => {
    for (const cron of ["0 3 * *", "61 3 * * *", "0 25 * * *", "nonsense", "@sometimes", ""]) {
      expect(() => nextSlot(cron, "Europe/Berlin", 0)).toThrow(Error);
    }
    expect(() => nextSlot("0 3 * * *", "Europe/Atlantis", 0)).toThrow(Error);
    expect(() => nextSlot("0 * * * *", "Europe/Atlantis", 0)).toThrow(Error);
    expect(nextSlot("0 3 30 2 *", "Europe/Berlin", 0)).toBeUndefined();
    expect(nextSlot("0 0 3 * * * 2020", "Europe/Berlin", Date.UTC(2026, 0))).toBeUndefined();
  });

  const zones = [
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Havana",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "America/Santiago",
    "Pacific/Chatham",
    "UTC",
  ];

  it("have each slot of each day exactly once, in any zone", () => {
    const some = (max: number, maxLength: number) =>
      fc.uniqueArray(fc.integer({ min: 0, max }), { minLength: 1, maxLength });
    const check = (zone: string, minutes: number[], hours: number[], start: number): void => {
      const to = start + 5 * day;
      const found = slots(`${minutes.join()} ${hours.join()} * * *`, zone, start - 1, to);
      // Slots whose own time is not left out, by what clocks show.
      const byTime = new Map<string, number[]>();
      for (const at of found) {
        const text = shown(at, zone).toISOString();
        byTime.set(text, [...(byTime.get(text) ?? []), at]);
      }
      expect([...byTime.values()].filter((times) => times.length > 1)).toEqual([]);
      const expected = new Set<number>();
      const seen = new Set<number>();
      let last = shown(start - 2 * day, zone).getTime();
      const isNamed = (local: number): boolean => {
        const date = new Date(local);
        return minutes.includes(date.getUTCMinutes()) && hours.includes(date.getUTCHours());
      };
      // Minute by minute: what clocks show for the first time, and what they jump over.
      for (let at = start - 2 * day; at <= to; at += 60_000) {
        const local = shown(at, zone).getTime();
        for (let gone = last + 60_000; gone < local; gone += 60_000) {
          const madeUpAt = at + (gone - last - 60_000);
          if (isNamed(gone) && madeUpAt >= start && madeUpAt < to) expected.add(madeUpAt);
        }
        if (isNamed(local) && !seen.has(local) && at >= start && at < to) expected.add(at);
        seen.add(local);
        last = local;
      }
      expect(found).toEqual([...expected].sort((a, b) => a - b));
    };
    // Around changes of the clocks, and at any time.
    const changes = zones.flatMap((zone) => {
      const found: [string, number][] = [];
      for (let at = Date.UTC(2024, 0); at < Date.UTC(2027, 0); at += hour) {
        const offset = shown(at, zone).getTime() - at;
        if (offset !== shown(at + hour, zone).getTime() - at - hour) found.push([zone, at]);
      }
      return found;
    });
    expect(changes.length).toBeGreaterThan(40);
    const aroundChange = fc
      .tuple(fc.constantFrom(...changes), fc.integer({ min: 0, max: 4 * 1_440 }))
      .map(([[zone, at], minutes]): [string, number] => [zone, at - minutes * 60_000]);
    const anyTime = fc.tuple(
      fc.constantFrom(...zones),
      fc.integer({ min: 0, max: 50 * 366 * 1_440 }).map((minutes) => minutes * 60_000),
    );
    const hoursAround = fc.oneof(
      some(23, 3),
      fc.uniqueArray(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 4 }),
    );
    fc.assert(
      fc.property(
        fc.oneof({ weight: 3, arbitrary: aroundChange }, { weight: 1, arbitrary: anyTime }),
        some(59, 4),
        hoursAround,
        ([zone, start], minutes, hours) => check(zone, minutes, hours, start),
      ),
      { numRuns: 60 },
    );
  }, 60_000);
});
