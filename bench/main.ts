// `pnpm bench`: what a call costs, beside what bare ZeroMQ costs in the same run. `pnpm bench order` measures that part only.
import { measureFdatasync, measureRestart, measureSubmits } from "./durable.ts";
import { measureEvents } from "./events.ts";
import { measureIsolation } from "./isolation.ts";
import { type RawEcho, rawEcho } from "./raw-echo.ts";
import { machine, ms, perSecond, printTable, type Row, times, writeResults } from "./report.ts";
import { measureCalls, measureMemory, measureQueue } from "./scenarios.ts";
import { measureDelayed, measureGroups, measureOrder } from "./scheduling.ts";
import { measureStreams } from "./streams.ts";

const million = 1_000_000;
const MiB = 1024 * 1024;

interface Measured {
  readonly rows: readonly Row[];
  readonly figures: object;
}

async function benchCalls(): Promise<Measured> {
  const raw = await rawEcho();
  const calls = await measureCalls();
  // The machine may have become slower or faster: the floor is measured on both sides of what is compared with it.
  const rawAfter = await rawEcho();
  const rawRate = (raw.rate + rawAfter.rate) / 2;
  const ratio = (calls.latency.p50 * 2) / (raw.latency.p50 + rawAfter.latency.p50);
  const rows: Row[] = [
    ...rawRows(raw, rawAfter),
    {
      what: "add(5, 6), one at a time, p50",
      figure: ms(calls.latency.p50),
      compared: `${times(ratio)} raw (at most 3.3)`,
    },
    { what: "add(5, 6), one at a time, p99", figure: ms(calls.latency.p99) },
  ];
  for (const [inFlight, rate] of calls.rates) {
    const goal = inFlight === 1_000 ? " (at least 1.4)" : "";
    const what = `add(5, 6), ${inFlight.toLocaleString("en")} in flight`;
    rows.push({ what, figure: perSecond(rate), compared: `${times(rate / rawRate)} raw at 1,000${goal}` });
  }
  const { p50, p99 } = calls.megabyte;
  rows.push(
    { what: "10 clients, 100 in flight each", figure: perSecond(calls.tenClients) },
    { what: "echo of 1 MB, p50", figure: ms(p50), compared: `p99 ${ms(p99)}` },
  );
  return { rows, figures: { raw, rawAfter, ...calls, rates: Object.fromEntries(calls.rates) } };
}

async function benchMemory(): Promise<Measured> {
  const queue = await measureQueue(million);
  const memory = await measureMemory(million);
  const rows = [
    {
      what: "heap per task, 1,000,000 queued",
      figure: `${Math.round(queue.bytesPerTask)} bytes`,
      compared: "(at most 700)",
    },
    { what: "add(5, 6) beside an empty queue", figure: perSecond(queue.rateWhenEmpty) },
    {
      what: "add(5, 6) beside 1,000,000 queued",
      figure: perSecond(queue.rateWhenQueued),
      compared: `${percent(queue.rateWhenQueued / queue.rateWhenEmpty)} (at least 80 %)`,
    },
    {
      what: "broker's heap over 1,000,000 calls",
      figure: `${((memory.after - memory.before) / MiB).toFixed(1)} MiB more`,
      compared: `${(memory.before / MiB).toFixed(1)} → ${(memory.after / MiB).toFixed(1)} MiB`,
    },
  ];
  return { rows, figures: { queue, memory } };
}

async function benchDurable(): Promise<Measured> {
  const raw = await rawEcho();
  const fdatasync = measureFdatasync();
  const inMemory = await measureSubmits("memory");
  const onDisk = await measureSubmits("disk");
  const rawAfter = await rawEcho();
  const restart = await measureRestart(million);
  const share = onDisk.endToEnd / inMemory.endToEnd;
  const rows: Row[] = [
    ...rawRows(raw, rawAfter),
    {
      what: "write of 4 KiB and fdatasync, p50",
      figure: ms(fdatasync.p50),
      compared: `p99 ${ms(fdatasync.p99)}`,
    },
    {
      what: "submit to acknowledged on disk, p50",
      figure: ms(onDisk.ack.p50),
      compared: `p99 ${ms(onDisk.ack.p99)}; in memory ${ms(inMemory.ack.p50)} (at most 0.6 where fdatasync takes 0.1)`,
    },
    {
      what: "acknowledged submits on disk, 1,000 in flight",
      figure: perSecond(onDisk.submits),
      compared: `in memory ${perSecond(inMemory.submits)} (at least 30,000)`,
    },
    {
      what: "tasks on disk to their outcome, 1,000 in flight",
      figure: perSecond(onDisk.endToEnd),
      compared: `${times(share)} in memory, ${perSecond(inMemory.endToEnd)} (at least 20,000, and 0.4)`,
    },
    {
      what: "restart with 1,000,000 queued: serving after",
      figure: ms(restart.servingMs),
      compared: `the first of them settled after ${ms(restart.firstTaskMs)} (at most 3,000)`,
    },
    {
      what: "resident memory then, and the most later",
      figure: mebibytes(restart.rssServing),
      compared: `${mebibytes(restart.rssMost)} (at most 500 MB); all done at ${perSecond(restart.drained)}`,
    },
  ];
  return { rows, figures: { raw, rawAfter, fdatasync, inMemory, onDisk, restart } };
}

async function benchOrder(): Promise<Measured> {
  const raw = await rawEcho();
  const order = await measureOrder();
  const ungrouped = await measureGroups(million, 0);
  const grouped = await measureGroups(million, 10_000);
  const rawAfter = await rawEcho();
  const delayed = await measureDelayed(million);
  const rows: Row[] = [
    ...rawRows(raw, rawAfter),
    { what: "add(5, 6), 1,000 in flight", figure: perSecond(order.plain) },
    {
      what: "the same with 21 priorities",
      figure: perSecond(order.prioritised),
      compared: `${percent(order.prioritised / order.plain)} (at least 70 %)`,
    },
    {
      what: "with priorities, 100 groups and limits",
      figure: perSecond(order.limited),
      compared: `${percent(order.limited / order.plain)} (at least 70 %)`,
    },
    { what: "1,000,000 queued on disk, worked off", figure: perSecond(ungrouped) },
    {
      what: "the same in 10,000 groups of 100",
      figure: perSecond(grouped),
      compared: `${percent(grouped / ungrouped)} (at least 70 %)`,
    },
    {
      what: "resident memory with 1,000,000 delayed tasks",
      figure: mebibytes(delayed.rss),
      compared: `at most ${mebibytes(delayed.rssMost)} while they become due (at most 300 MB)`,
    },
    {
      what: `${delayed.ran.toLocaleString("en")} of them due: late, p99`,
      figure: ms(delayed.late.p99),
      compared: `p50 ${ms(delayed.late.p50)} (at most 50 ms)`,
    },
    {
      what: "the broker's longest turn meanwhile",
      figure: ms(delayed.pauses.turn),
      compared: `(at most 20 ms); longest pause of its process ${ms(delayed.pauses.process)}`,
    },
  ];
  return { rows, figures: { raw, rawAfter, order, ungrouped, grouped, delayed } };
}

async function benchStreams(): Promise<Measured> {
  const figures = await measureStreams(million);
  const rows: Row[] = [
    {
      what: "items that a handler yields",
      figure: perSecond(figures.outward),
      compared: "(at least 100,000)",
    },
    { what: "items that a handler reads", figure: perSecond(figures.inward), compared: "(at least 100,000)" },
    { what: "items to a slow consumer", figure: perSecond(figures.slow) },
  ];
  for (const [part, { before, most }] of Object.entries(figures.memory)) {
    const compared = `at most ${mebibytes(most)} over 1,000,000 items`;
    rows.push({ what: `resident memory of the ${part} meanwhile`, figure: mebibytes(before), compared });
  }
  return { rows, figures };
}

async function benchEvents(): Promise<Measured> {
  const subscribers = 100;
  const figures = await measureEvents(5_000, subscribers);
  const { rate, deliveries, latency } = figures;
  const rows: Row[] = [
    { what: `events to ${subscribers} subscribers`, figure: perSecond(rate) },
    { what: "deliveries of events", figure: perSecond(deliveries) },
    {
      what: `one event, until all ${subscribers} have it, p50`,
      figure: ms(latency.p50),
      compared: `p99 ${ms(latency.p99)}`,
    },
  ];
  return { rows, figures };
}

/** The floor is measured on both sides of what is to be compared with it. */
function besideRaw(measure: () => Promise<Measured>): () => Promise<Measured> {
  return async () => {
    const raw = await rawEcho();
    const { rows, figures } = await measure();
    const rawAfter = await rawEcho();
    return { rows: [...rawRows(raw, rawAfter), ...rows], figures: { raw, rawAfter, ...figures } };
  };
}

async function benchIsolation(): Promise<Measured> {
  const figures = await measureIsolation();
  const { inline, thread, process: inProcess, beside } = figures;
  const kinds = { inline, thread, process: inProcess };
  const rows = Object.entries(kinds).flatMap(([kind, { rate, latency }]): Row[] => [
    {
      what: `add(5, 6) ${kind}, 1,000 in flight`,
      figure: perSecond(rate),
      compared: `${percent(rate / inline.rate)} of inline${kind === "thread" ? " (at least 40 %)" : ""}`,
    },
    {
      what: `add(5, 6) ${kind}, one at a time, p50`,
      figure: ms(latency.p50),
      compared: `p99 ${ms(latency.p99)}`,
    },
  ]);
  for (const { kind, idle, workers, strangers, longestPause } of beside) {
    const busy = `while each ${kind} is busy`;
    const what = "calls of another node, p99";
    const besideStrangers = `as many other processes: ${ms(strangers.p99)}`;
    rows.push(
      { what, figure: ms(idle.p99), compared: `p50 ${ms(idle.p50)}` },
      {
        what: `${what}, ${busy}`,
        figure: ms(workers.p99),
        compared: `p50 ${ms(workers.p50)}; ${besideStrangers}`,
      },
      {
        what: `longest pause of its node, ${busy}`,
        figure: ms(longestPause),
        compared: "a heartbeat each 1,000 ms",
      },
    );
  }
  return { rows, figures };
}

function rawRows(before: RawEcho, after: RawEcho): Row[] {
  return [
    {
      what: "raw echo, one at a time, p50",
      figure: ms((before.latency.p50 + after.latency.p50) / 2),
      compared: `before and after: ${ms(before.latency.p50)}, ${ms(after.latency.p50)}`,
    },
    {
      what: "raw echo, 1,000 in flight",
      figure: perSecond((before.rate + after.rate) / 2),
      compared: `before and after: ${perSecond(before.rate)}, ${perSecond(after.rate)}`,
    },
  ];
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / MiB)} MiB`;
}

const parts: { readonly [name: string]: () => Promise<Measured> } = {
  calls: benchCalls,
  memory: benchMemory,
  durable: benchDurable,
  order: benchOrder,
  streams: besideRaw(benchStreams),
  isolation: besideRaw(benchIsolation),
  events: besideRaw(benchEvents),
};

const asked = process.argv.slice(2);
for (const name of asked) {
  if (parts[name] === undefined) {
    throw new Error(`Expected one of ${Object.keys(parts).join(", ")}, got ${name}`);
  }
}
process.stdout.write(`${machine()}\n`);
for (const [name, measure] of Object.entries(parts)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  process.stdout.write(`\n${name}\n`);
  const { rows, figures } = await measure();
  printTable(rows);
  writeResults(name, figures);
}
