// Schedules in a simulation: what they promise of their runs, by what of them comes to the disk.
import type { Client } from "zerotask-client";
import type { Simulator } from "./simulator.ts";

/** A schedule as the broker stores it. */
interface Stored {
  readonly rule: { readonly name: string };
  readonly isPaused: boolean;
  readonly slotAt?: number;
  readonly runs: number;
  readonly isRunning: boolean;
  readonly isWanted: boolean;
  readonly lastStart?: number;
  readonly lastEnd?: number;
}

/** How many there are. */
export const scheduleCount = 5;
const everyMs = 700;
const slotMs = 2_000;
const cron = "*/2 * * * * *";
const runMs = [0, 50, 900, 3_000];
/** How far the times of two brokers' clocks may be apart. */
const toleranceMs = 1;

/** What clients set, again and again: the same does nothing. */
export class Timetable {
  readonly #simulator: Simulator;
  readonly #fail: (message: string) => void;
  readonly #ms: readonly number[];
  /** What of each schedule came to the disk first, and last. */
  readonly #first = new Map<string, Stored>();
  readonly #last = new Map<string, Stored>();
  /** Those that somebody asked for a run of, or paused. */
  readonly #touched = new Set<string>();

  constructor(simulator: Simulator, fail: (message: string) => void) {
    this.#simulator = simulator;
    this.#fail = fail;
    this.#ms = Array.from({ length: scheduleCount }, () => simulator.pick(runMs));
  }

  /** How many runs were made. */
  get runs(): number {
    return [...this.#last.values()].reduce((sum, { runs }) => sum + runs, 0);
  }

  /** A client makes sure that the schedules are there, or does something to one. */
  async keep({ $schedules }: Client): Promise<void> {
    const [after = 0, start = 0, once = 0, all = 0, skip = 0] = this.#ms;
    const paramsOf = (name: string, ms: number): [number, number, string] => [0, ms, name];
    try {
      await $schedules.interval("tick", { name: "after", every: everyMs, params: paramsOf("after", after) });
      await $schedules.interval("tick", {
        ...{ name: "start", every: everyMs, fromStart: true, missed: "skip" },
        params: paramsOf("start", start),
      });
      for (const [missed, ms] of [
        ["once", once],
        ["all", all],
        ["skip", skip],
      ] as const) {
        await $schedules.cron("tick", { name: missed, cron, missed, params: paramsOf(missed, ms) });
      }
      if (this.#simulator.chance(0.8)) return;
      const name = this.#simulator.pick(["after", "once", "skip"]);
      this.#touched.add(name);
      if (this.#simulator.chance(0.5)) await $schedules.runNow(name);
      else {
        await $schedules.pause(name);
        await $schedules.resume(name);
      }
    } catch {
      // The broker may be gone, or its disk full: somebody tries again before long.
    }
  }

  /** A schedule's new state is on disk. */
  onStored(value: string): void {
    const next = JSON.parse(value) as Stored;
    const { name } = next.rule;
    const before = this.#last.get(name);
    this.#last.set(name, next);
    if (before === undefined) {
      this.#first.set(name, next);
      return;
    }
    if (next.runs < before.runs || next.runs > before.runs + 1) {
      this.#fail(`the schedule ${name} had ${before.runs} runs, and then ${next.runs}`);
    }
    if (next.runs > before.runs && before.isRunning) this.#fail(`two runs of the schedule ${name} overlap`);
    if (name === "after" || name === "start") this.#checkInterval(name, before, next);
    else this.#checkSlots(name, before, next);
  }

  /** Everything was healed, and had its time. */
  checkAtEnd(now: number): void {
    for (const [name, { isPaused, isRunning, slotAt = 0 }] of this.#last) {
      if (!isPaused && !isRunning && slotAt < now - 10_000) {
        this.#fail(`the schedule ${name} has not run since ${now - slotAt} ms`);
      }
    }
  }

  #checkInterval(name: string, before: Stored, next: Stored): void {
    if (next.runs === before.runs || this.#touched.has(name)) return;
    const from = name === "after" ? before.lastEnd : before.lastStart;
    const waited = (next.lastStart ?? 0) - (from ?? 0);
    if (from !== undefined && waited < everyMs - toleranceMs) {
      this.#fail(`the schedule ${name} ran again after ${waited} ms`);
    }
  }

  /** Slots only go forward; of a schedule that makes up for all of them, none is left out, and none run twice. */
  #checkSlots(name: string, before: Stored, next: Stored): void {
    const [slot = 0, slotBefore = 0] = [next.slotAt, before.slotAt];
    if (slot < slotBefore || slot % slotMs !== 0) {
      this.#fail(`the next run of the schedule ${name} was due at ${slotBefore}, and then at ${slot}`);
    }
    if (this.#touched.has(name)) return;
    const slots = (slot - (this.#first.get(name)?.slotAt ?? 0)) / slotMs;
    if (name === "all" ? next.runs !== slots : next.runs > slots) {
      this.#fail(`the schedule ${name} had ${slots} times to run at, and ran ${next.runs} times`);
    }
  }
}
