// `pnpm bench`: what a call costs, beside what bare ZeroMQ costs in the same run.
import { measureFdatasync, measureRestart, measureSubmits } from "./durable.ts";
import { rawEcho } from "./raw-echo.ts";
import { machine, ms, perSecond, printTable, type Row, times, writeResults } from "./report.ts";
import { measureCalls, measureMemory, measureQueue } from "./scenarios.ts";

const million = 1_000_000;
const MiB = 1024 * 1024;

process.stdout.write(`${machine()}\n\n`);
const raw = await rawEcho();
const calls = await measureCalls();
// The machine may have become slower or faster: the floor is measured on both sides of what is compared with it.
const rawAfter = await rawEcho();
const rawP50 = (raw.latency.p50 + rawAfter.latency.p50) / 2;
const rawRate = (raw.rate + rawAfter.rate) / 2;
const queue = await measureQueue(million);
const memory = await measureMemory(million);
const fdatasync = measureFdatasync();
const inMemory = await measureSubmits("memory");
const onDisk = await measureSubmits("disk");
const restart = await measureRestart(million);

const ratio = calls.latency.p50 / rawP50;
const rows: Row[] = [
  {
    what: "raw echo, one at a time, p50",
    figure: ms(rawP50),
    compared: `before and after: ${ms(raw.latency.p50)}, ${ms(rawAfter.latency.p50)}`,
  },
  {
    what: "raw echo, 1,000 in flight",
    figure: perSecond(rawRate),
    compared: `before and after: ${perSecond(raw.rate)}, ${perSecond(rawAfter.rate)}`,
  },
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
const kept = queue.rateWhenQueued / queue.rateWhenEmpty;
rows.push(
  { what: "10 clients, 100 in flight each", figure: perSecond(calls.tenClients) },
  { what: "echo of 1 MB, p50", figure: ms(calls.megabyte.p50), compared: `p99 ${ms(calls.megabyte.p99)}` },
  {
    what: "heap per task, 1,000,000 queued",
    figure: `${Math.round(queue.bytesPerTask)} bytes`,
    compared: "(at most 700)",
  },
  { what: "add(5, 6) beside an empty queue", figure: perSecond(queue.rateWhenEmpty) },
  {
    what: "add(5, 6) beside 1,000,000 queued",
    figure: perSecond(queue.rateWhenQueued),
    compared: `${Math.round(kept * 100)} % (at least 80 %)`,
  },
  {
    what: "broker's heap over 1,000,000 calls",
    figure: `${((memory.after - memory.before) / MiB).toFixed(1)} MiB more`,
    compared: `${(memory.before / MiB).toFixed(1)} → ${(memory.after / MiB).toFixed(1)} MiB`,
  },
);
const share = onDisk.endToEnd / inMemory.endToEnd;
rows.push(
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
    figure: `${Math.round(restart.rssServing / MiB)} MiB`,
    compared: `${Math.round(restart.rssMost / MiB)} MiB (at most 500 MB); all done at ${perSecond(restart.drained)}`,
  },
);
printTable(rows);
writeResults("calls", {
  raw,
  rawAfter,
  calls: { ...calls, rates: Object.fromEntries(calls.rates) },
  queue,
  memory,
  fdatasync,
  inMemory,
  onDisk,
  restart,
});
