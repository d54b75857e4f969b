// Schedules on a clock that the test turns: when runs are due, that they never overlap, and what a restart makes of them.
import { describe, expect, it } from "vitest";
import { type MachineOptions, machine } from "../support/broker-machine.ts";
import { drive } from "../support/driven.ts";

const minute = 60_000;
const hour = 60 * minute;
/** Midnight in London, in winter. */
const midnight = Date.UTC(2026, 0, 15);

interface State {
  readonly name: string;
  readonly next_at: number | null;
  readonly running: boolean;
  readonly paused: boolean;
  readonly runs: number;
  readonly last_status: string | null;
  readonly task_id: string | null;
}

function setUp(options: MachineOptions = {}) {
  const driven = drive(machine({ startAt: midnight, hasDisk: true, stalledMs: 1e12, ...options }));
  const state = (name = "add"): State | undefined =>
    (driven.ask("schedule_list", {}) as State[]).find((one) => one.name === name);
  return { ...driven, state };
}

/** The time of each run within `ms`, each taking `runMs`. */
function runsWithin(driven: ReturnType<typeof setUp>, ms: number, runMs = 0, stepMs = minute): number[] {
  const times: number[] = [];
  for (let elapsed = 0; elapsed <= ms; elapsed += stepMs) {
    for (const attempt of driven.started()) {
      times.push(elapsed);
      if (runMs > 0) {
        driven.after(runMs);
        elapsed += runMs;
      }
      driven.finish(attempt);
    }
    if (elapsed < ms) driven.after(stepMs);
  }
  return times;
}

const every = { name: "add", method: "add", params: [1, 2], every_ms: 5 * minute };
const daily = { name: "add", method: "add", cron: "0 3 * * *" };

describe("an interval", () => {
  it("runs at once, and each interval after the end of the last run", () => {
    const driven = setUp();
    driven.node();
    driven.ask("schedule_set", every);
    expect(runsWithin(driven, 20 * minute, 2 * minute)).toEqual([0, 7 * minute, 14 * minute]);
  });

  it("runs each interval after the start of the last run, if asked to", () => {
    const driven = setUp();
    driven.node();
    driven.ask("schedule_set", { ...every, from_start: true });
    expect(runsWithin(driven, 20 * minute, 2 * minute)).toEqual([0, 5, 10, 15, 20].map((n) => n * minute));
  });

  it("never lets runs overlap, but makes the next one when a long one has ended", () => {
    const driven = setUp();
    driven.node();
    driven.ask("schedule_set", { ...every, from_start: true });
    const [first = ""] = driven.started();
    driven.after(12 * minute);
    expect(driven.started()).toEqual([]);
    expect(driven.state()).toMatchObject({ running: true, runs: 1 });
    driven.finish(first);
    expect(driven.started()).toHaveLength(1);
  });

  it("counts a run that failed, or was stopped, as one", () => {
    const driven = setUp();
    driven.node();
    driven.ask("schedule_set", every);
    const { task_id } = driven.state() as State;
    driven.ask("client_task_stop", { task_id });
    expect(driven.state()).toMatchObject({
      running: false,
      last_status: "STOPPED",
      next_at: midnight + 5 * minute,
    });
    driven.started();
    driven.after(5 * minute);
    expect(driven.started()).toHaveLength(1);
  });

  it("goes on after a restart, when its time has come", () => {
    const before = setUp();
    before.node();
    before.ask("schedule_set", every);
    before.finish(before.started()[0] ?? "");
    const after = setUp({ stores: before.broker.stores, startAt: midnight + 3 * minute });
    after.node();
    after.after(minute);
    expect(after.started()).toEqual([]);
    after.after(minute);
    expect(after.started()).toHaveLength(1);
    expect(after.state()).toMatchObject({ runs: 2 });
  });

  it("waits on for a run that was under way before a restart", () => {
    const before = setUp();
    before.node();
    before.ask("schedule_set", every);
    const [attempt = ""] = before.started();
    const after = setUp({ stores: before.broker.stores, startAt: midnight + hour });
    after.broker.node("worker", ["add"], 10, { running: [attempt] });
    after.after(minute);
    expect(after.state()).toMatchObject({ running: true, runs: 1 });
    after.finish(attempt);
    expect(after.state()).toMatchObject({ running: false, next_at: midnight + hour + 6 * minute });
  });

  it.each([
    ["skip", 0],
    ["once", 1],
  ])("whose time went by while no broker was there, with missed: %s, runs %i times", (missed, count) => {
    const before = setUp();
    before.node();
    before.ask("schedule_set", { ...every, missed });
    before.finish(before.started()[0] ?? "");
    const after = setUp({ stores: before.broker.stores, startAt: midnight + hour });
    after.node();
    expect(after.started()).toHaveLength(count);
  });

  it("is put back when its task was lost", () => {
    const before = setUp();
    before.ask("schedule_set", every);
    const { task_id } = before.state() as State;
    before.broker.stores.disk.commit([{ type: "remove", id: task_id ?? "" }]);
    const after = setUp({ stores: before.broker.stores, startAt: midnight + minute });
    expect(after.state()).toMatchObject({ running: false, next_at: midnight + 6 * minute });
  });

  it("is put back when its task is removed while the broker runs", () => {
    const driven = setUp();
    driven.ask("schedule_set", every);
    const { task_id } = driven.state() as State;
    driven.broker.stores.disk.commit([{ type: "remove", id: task_id ?? "" }]);
    driven.after(minute);
    driven.after(5 * minute);
    expect(driven.state()).toMatchObject({ runs: 2 });
  });
});

describe("a cron expression", () => {
  it("runs when the clock shows the time, once", () => {
    const driven = setUp();
    driven.node();
    expect(driven.ask("schedule_set", daily)).toMatchObject({ next_at: midnight + 3 * hour, runs: 0 });
    expect(runsWithin(driven, 52 * hour)).toEqual([3 * hour, 27 * hour, 51 * hour]);
  });

  it("goes by the clock of its time zone", () => {
    const driven = setUp();
    expect(driven.ask("schedule_set", { ...daily, time_zone: "America/New_York" })).toMatchObject({
      next_at: midnight + 8 * hour,
    });
  });

  it.each([
    ["into summer time", Date.UTC(2026, 2, 28, 12), "30 2 * * *", [13.5, 36.5, 60.5]],
    ["out of summer time", Date.UTC(2026, 9, 24, 12), "30 2 * * *", [12.5, 37.5, 61.5]],
    ["an hour that comes twice", Date.UTC(2026, 9, 24, 22), "0 * * * *", [0, 1, 2, 3, 4]],
    ["an hour that does not come", Date.UTC(2026, 2, 28, 23), "0 * * * *", [0, 1, 2, 3]],
  ])("neither doubles nor loses a slot: %s", (_, startAt, cron, expected) => {
    const driven = setUp({ startAt: startAt - 1 });
    driven.node();
    driven.ask("schedule_set", { ...daily, cron, time_zone: "Europe/Berlin" });
    driven.after(1);
    const last = expected.at(-1) as number;
    expect(runsWithin(driven, last * hour, 0, 15 * minute)).toEqual(expected.map((n) => n * hour));
  });

  it.each([
    ["skip", []],
    ["once", [0]],
    ["all", [0, minute, 2 * minute]],
  ])("makes up for what it missed while no broker was there: %s", (missed, expected) => {
    const before = setUp();
    before.ask("schedule_set", { ...daily, cron: "0 * * * *", missed });
    const after = setUp({ stores: before.broker.stores, startAt: midnight + 3.5 * hour });
    after.node();
    expect(runsWithin(after, 20 * minute)).toEqual(expected);
    expect(after.state()).toMatchObject({ next_at: midnight + 4 * hour });
  });

  it.each([
    ["skip", 1],
    ["once", 2],
    ["all", 4],
  ])("makes up for what came while a run went on: %s", (missed, count) => {
    const driven = setUp();
    driven.node();
    driven.ask("schedule_set", { ...daily, cron: "0 * * * *", missed });
    driven.after(hour);
    const [first = ""] = driven.started();
    driven.after(3.5 * hour);
    expect(driven.started()).toEqual([]);
    driven.finish(first);
    expect(1 + runsWithin(driven, 20 * minute).length).toBe(count);
  });

  it("follows the clock on the wall when that jumps ahead, and runs what it jumped over once", () => {
    let jump = 0;
    let now = (): number => midnight;
    const driven = setUp({ wall: () => now() + jump });
    let elapsed = 0;
    now = () => midnight + elapsed;
    const goOn = (ms: number): void => {
      elapsed += ms;
      driven.after(ms);
    };
    driven.node();
    driven.ask("schedule_set", { ...daily, cron: "0 * * * *" });
    jump = 2.5 * hour;
    goOn(1_000);
    const started = driven.started();
    expect(started).toHaveLength(1);
    driven.finish(started[0] ?? "");
    expect(driven.state()?.next_at).toBe(midnight + 3 * hour);
    jump = 0;
    goOn(1_000);
    // The slot that was run is not run again; the next one is.
    goOn(hour);
    expect(driven.started()).toEqual([]);
    goOn(hour);
    expect(driven.started()).toHaveLength(1);
  });

  it("goes on when a clock that jumped ahead by a year goes back", () => {
    let jump = 0;
    let elapsed = 0;
    const driven = setUp({ wall: () => midnight + elapsed + jump });
    const goOn = (ms: number): void => {
      elapsed += ms;
      driven.after(ms);
    };
    driven.node();
    driven.ask("schedule_set", { ...daily, cron: "0 * * * *" });
    jump = 365 * 24 * hour;
    goOn(1_000);
    driven.finish(driven.started()[0] ?? "");
    jump = 0;
    goOn(1_000);
    goOn(2 * hour);
    expect(driven.started()).toHaveLength(1);
  });

  it("stands a time zone that is none any more", () => {
    const before = setUp();
    before.ask("schedule_set", daily);
    const broken = (): number => {
      throw new RangeError("no such zone");
    };
    const after = setUp({ stores: before.broker.stores, nextSlot: broken, startAt: midnight + 4 * hour });
    expect(after.state()).toMatchObject({ runs: 1, next_at: null });
  });
});

describe("schedules", () => {
  it("are the same when they are set again, and refuse to be others", () => {
    const driven = setUp();
    driven.ask("schedule_set", every);
    const state = driven.state();
    expect(driven.ask("schedule_set", every)).toEqual(state);
    expect(driven.ask("schedule_set", { ...every, missed: "once", priority: 0, from_start: false })).toEqual(
      state,
    );
    for (const other of [
      { params: [1] },
      { every_ms: 1 },
      { method: "sub" },
      { priority: 1 },
      { from_start: true },
    ]) {
      expect(driven.ask("schedule_set", { ...every, ...other })).toMatchObject({ code: -32021 });
    }
    expect(driven.state()).toEqual(state);
  });

  it("are set again after a restart without running anew", () => {
    const before = setUp();
    before.node();
    before.ask("schedule_set", every);
    before.finish(before.started()[0] ?? "");
    const after = setUp({ stores: before.broker.stores, startAt: midnight + minute });
    after.node();
    expect(after.ask("schedule_set", every)).toMatchObject({ runs: 1 });
    expect(after.started()).toEqual([]);
  });

  it("are removed, which is no error where there are none", () => {
    const driven = setUp();
    driven.node();
    driven.ask("schedule_set", every);
    expect(driven.ask("schedule_remove", { name: "add" })).toBe(true);
    expect(driven.ask("schedule_remove", { name: "add" })).toBe(false);
    expect(driven.ask("schedule_list", {})).toEqual([]);
    driven.finish(driven.started()[0] ?? "");
    driven.after(hour);
    expect(driven.started()).toEqual([]);
    expect(
      setUp({ stores: driven.broker.stores, startAt: midnight + hour }).ask("schedule_list", {}),
    ).toEqual([]);
  });

  it("run anew under an old name, with ids of their own", () => {
    const driven = setUp();
    driven.node();
    driven.ask("schedule_set", every);
    const [first = ""] = driven.started();
    driven.ask("schedule_remove", { name: "add" });
    driven.ask("schedule_set", every);
    // Nor do runs of the old one and the new one overlap.
    expect(driven.started()).toEqual([]);
    driven.finish(first);
    const [second = ""] = driven.started();
    expect(second).not.toBe("");
    expect(second).not.toBe(first);
  });

  it("make no runs while they are paused, nor those left out meanwhile when they are resumed", () => {
    const driven = setUp();
    driven.node();
    driven.ask("schedule_set", { ...daily, missed: "all" });
    expect(driven.ask("schedule_pause", { name: "add" })).toMatchObject({ paused: true, next_at: null });
    driven.after(50 * hour);
    expect(driven.started()).toEqual([]);
    expect(driven.ask("schedule_resume", { name: "add" })).toMatchObject({
      paused: false,
      next_at: midnight + 51 * hour,
    });
    driven.after(hour);
    expect(driven.started()).toHaveLength(1);
  });

  it("leave out what an interval would have run while it was paused", () => {
    const driven = setUp();
    driven.node();
    driven.ask("schedule_set", { ...every, from_start: true, missed: "all" });
    driven.finish(driven.started()[0] ?? "");
    driven.ask("schedule_pause", { name: "add" });
    driven.after(hour);
    driven.ask("schedule_resume", { name: "add" });
    expect(driven.started()).toEqual([]);
    driven.after(5 * minute);
    expect(driven.started()).toHaveLength(1);
  });

  it("make the run that was asked for while one went on, also when they are paused", () => {
    const driven = setUp();
    driven.node();
    driven.ask("schedule_set", every);
    driven.ask("schedule_pause", { name: "add" });
    const second = driven.ask("schedule_run", { name: "add" });
    driven.finish(driven.started()[0] ?? "");
    expect(driven.started()).toEqual([`${second}#1`]);
  });

  it("make up for each slot of an interval, whatever was run by hand meanwhile", () => {
    const driven = setUp();
    driven.node();
    driven.ask("schedule_set", { ...every, from_start: true, missed: "all" });
    driven.finish(driven.started()[0] ?? "");
    driven.after(minute);
    driven.ask("schedule_run", { name: "add" });
    driven.finish(driven.started()[0] ?? "");
    driven.after(4 * minute);
    expect(driven.started()).toHaveLength(1);
  });

  it("wait for another interval after a run that took longer, where missed ones are left out", () => {
    const driven = setUp();
    driven.node();
    driven.ask("schedule_set", { ...every, from_start: true, missed: "skip" });
    driven.after(7 * minute);
    driven.finish(driven.started()[0] ?? "");
    expect(driven.started()).toEqual([]);
    driven.after(5 * minute);
    expect(driven.started()).toHaveLength(1);
  });

  it("tell when a run began, and not when it was made; and when the next one comes, if that is known", () => {
    const driven = setUp();
    driven.ask("schedule_set", every);
    expect(driven.state()).toMatchObject({ running: true, last_start: null, next_at: null });
    driven.after(minute);
    driven.node();
    expect(driven.state()).toMatchObject({ running: true, last_start: midnight + minute, next_at: null });
  });

  it("refuse params that are too long", () => {
    const driven = setUp();
    const params = ["x".repeat(70_000)];
    expect(driven.ask("schedule_set", { ...every, params })).toMatchObject({ code: -32061 });
  });

  it("know the same params in another order", () => {
    const driven = setUp();
    driven.ask("schedule_set", { ...every, params: [{ a: 1, b: { c: 2, d: 3 } }] });
    expect(driven.ask("schedule_set", { ...every, params: [{ b: { d: 3, c: 2 }, a: 1 }] })).toMatchObject({
      runs: 1,
    });
  });

  it("stay paused across a restart", () => {
    const before = setUp();
    before.ask("schedule_set", daily);
    before.ask("schedule_pause", { name: "add" });
    const after = setUp({ stores: before.broker.stores, startAt: midnight + 30 * hour });
    expect(after.state()).toMatchObject({ paused: true, runs: 0 });
  });

  it("run when they are told to, also while paused, and after the run that goes on", () => {
    const driven = setUp();
    driven.node();
    driven.ask("schedule_set", daily);
    driven.ask("schedule_pause", { name: "add" });
    const first = driven.ask("schedule_run", { name: "add" });
    const [attempt = ""] = driven.started();
    expect(attempt).toBe(`${first}#1`);
    const second = driven.ask("schedule_run", { name: "add" });
    expect(driven.ask("schedule_run", { name: "add" })).toBe(second);
    expect(driven.started()).toEqual([]);
    driven.ask("schedule_resume", { name: "add" });
    driven.finish(attempt);
    expect(driven.started()).toEqual([`${second}#1`]);
  });

  it("say which name is unknown", () => {
    const driven = setUp();
    for (const command of ["pause", "resume", "run"]) {
      expect(driven.ask(`schedule_${command}`, { name: "none" })).toMatchObject({
        code: -32020,
        message: 'No schedule has the name "none"',
      });
    }
  });

  it.each([
    [{ cron: "61 * * * *" }, "cron expression"],
    [{ cron: "0 0 30 2 *" }, "time that will come"],
    [{ cron: "0 3 * * *", time_zone: "Mars/Olympus" }, "IANA time zone"],
    [{ cron: "0 3 * * *", every_ms: 5 }, "got both"],
    [{}, "got neither"],
    [{ every_ms: 0 }, "`every_ms`"],
    [{ every_ms: 5, time_zone: "UTC" }, "`time_zone`"],
    [{ cron: "0 3 * * *", from_start: true }, "`from_start`"],
    [{ every_ms: 5, missed: "never" }, "`missed`"],
    [{ every_ms: 5, method: "rpc.discover" }, "outside of rpc.*"],
    [{ every_ms: 5, name: "" }, "`name`"],
  ])("refuse what is none: %j", (wrong, expected) => {
    const driven = setUp();
    const error = driven.ask("schedule_set", { name: "x", method: "add", ...wrong }) as { message: string };
    expect(error).toMatchObject({ code: -32602 });
    expect(error.message).toContain(expected);
    expect(driven.ask("schedule_list", {})).toEqual([]);
  });

  it("are bounded in number", () => {
    const driven = setUp({ maxSchedules: 2 });
    for (const name of ["a", "b"]) driven.ask("schedule_set", { ...every, name });
    expect(driven.ask("schedule_set", { ...every, name: "c" })).toMatchObject({ code: -32060 });
  });

  it("are acknowledged once they are stored", () => {
    const driven = setUp();
    driven.broker.holdStores();
    expect(driven.ask("schedule_set", every)).toBeUndefined();
    const told = driven.broker.storeAll();
    expect(told).toContainEqual(
      expect.objectContaining({ type: "send", peer: "cli", message: expect.objectContaining({ id: 1 }) }),
    );
  });

  it("make runs with their priority and group", () => {
    const driven = setUp();
    driven.ask("schedule_set", { ...every, priority: 7, group: "tenant" });
    const { task_id } = driven.state() as State;
    expect(driven.ask("client_task_get", { task_id })).toMatchObject({ priority: 7, group: "tenant" });
  });
});
