// Measures each system in turn, and ZeroTask before and after them.
import { Client } from "zerotask-client";
import { measureLatency, measureRate } from "../measure.ts";
import { startBroker, startNode, stopPart } from "../processes.ts";
import { machine, ms, perSecond, printTable, times, writeResults } from "../report.ts";
import { systems } from "./systems.mjs";

async function zerotask() {
  const { part, endpoint } = await startBroker();
  const node = await startNode(endpoint);
  const client = new Client(endpoint);
  const close = async () => {
    await client.$close();
    await stopPart(node);
    await stopPart(part);
  };
  return { call: () => client.add(5, 6), close };
}

async function measure(open) {
  const { call, close, missing } = await open();
  if (missing !== undefined) return { missing };
  const sum = await call();
  if (sum !== 11) throw new Error(`Expected 11, got ${sum}`);
  const latency = await measureLatency(call);
  const rate = await measureRate(call, 1_000);
  await close();
  return { latency, rate };
}

process.stdout.write(`${machine()}\n\n`);
const own = await measure(zerotask);
const figures = { ZeroTask: own };
for (const [name, open] of Object.entries(systems)) figures[name] = await measure(open);
figures["ZeroTask, again"] = await measure(zerotask);

const rows = Object.entries(figures).map(([what, { missing, latency, rate }]) => {
  if (missing !== undefined) return { what, figure: "skipped", compared: missing };
  const compared = `p50 ${times(latency.p50 / own.latency.p50)}, rate ${times(rate / own.rate)} of ZeroTask's`;
  return { what, figure: `p50 ${ms(latency.p50)}, p99 ${ms(latency.p99)}, ${perSecond(rate)}`, compared };
});
process.stdout.write("add(5, 6): one at a time, and with 1,000 in flight\n\n");
printTable(rows);
writeResults("peers", { figures });
process.exit(0);
