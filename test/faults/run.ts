// One run of faults: a system under load, disturbed for a while, healed, and asked what became of everything.
import { Chaos, type Fault } from "./chaos.ts";
import { isGood, type Verdict } from "./history.ts";
import { lookUp } from "./look.ts";
import { Seeded } from "./seeded.ts";
import { System } from "./system.ts";

export interface FaultsOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly log: (line: string) => void;
}

export interface FaultsReport {
  readonly seed: number;
  readonly verdict: Verdict;
  readonly faults: ReadonlyMap<Fault, number>;
  /** Nodes that a poison task took with it. */
  readonly poisoned: number;
  readonly surprises: readonly string[];
  readonly isGood: boolean;
}

/** How long after the last fault everything may take to settle. */
const settleBoundMs = 60_000;
const lookBoundMs = 10_000;
const progressMs = 10_000;

export async function runFaults({ minutes, seed, log }: FaultsOptions): Promise<FaultsReport> {
  const system = await System.start(seed);
  try {
    const chaos = new Chaos(system, new Seeded(seed));
    const progress = setInterval(() => log(`${system.history.size} asked for, ${tally(chaos)}`), progressMs);
    await chaos.run(performance.now() + minutes * 60_000).finally(() => clearInterval(progress));
    await system.heal();
    const begin = performance.now();
    const areDone = await system.finishClients(settleBoundMs);
    log(`healed: all ${areDone ? "" : "but some "}settled after ${Math.round(performance.now() - begin)} ms`);
    const looks = await lookUp(system.endpoint, system.history.ids(), lookBoundMs);
    const verdict = system.history.check(looks);
    const { surprises, poisoned } = system;
    const good = isGood(verdict) && surprises.length === 0 && areDone;
    return { seed, verdict, faults: chaos.counts, poisoned, surprises, isGood: good };
  } finally {
    await system.end();
  }
}

function tally({ counts }: Chaos): string {
  return `${[...counts.values()].reduce((sum, count) => sum + count, 0)} faults`;
}

const shown = 5;

/** The report as a table, with the first few of whatever is wrong. */
export function describeReport({ seed, verdict, faults, poisoned, surprises }: FaultsReport): string {
  const rows: [string, number][] = [
    ["submits", verdict.submits],
    ["calls", verdict.calls],
    ["acknowledged on disk", verdict.acceptedOnDisk],
    ["acknowledged in memory", verdict.acceptedInMemory],
    ["asked for by clients that were killed", verdict.orphans],
    ...sorted(verdict.outcomes).map(([name, count]): [string, number] => [`outcome: ${name}`, count]),
    ...sorted(verdict.halts).map(([name, count]): [string, number] => [`stop: ${name}`, count]),
    ...sorted(faults).map(([name, count]): [string, number] => [`fault: ${name}`, count]),
    ["fault: nodes that ended of poison", poisoned],
    ["lost", verdict.lost.length],
    ["double", verdict.double.length],
    ["hung", verdict.hung.length],
    ["wrong", verdict.wrong.length],
    ["surprises", surprises.length],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const table = rows.map(([name, count]) => `${name.padEnd(width)}  ${count}`);
  const { lost, double, hung, wrong } = verdict;
  const wrongs = Object.entries({ lost, double, hung, wrong, surprises }).flatMap(([what, all]) =>
    all.slice(0, shown).map((one) => `${what}: ${one}`),
  );
  return [`seed ${seed}`, ...table, ...wrongs].join("\n");
}

function sorted<Name extends string>(counts: ReadonlyMap<Name, number>): [Name, number][] {
  return [...counts].sort(([one], [other]) => one.localeCompare(other));
}
