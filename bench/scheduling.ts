// What order and time cost: a million delayed tasks, ten thousand groups, priorities and limits in use.
import { rmSync } from "node:fs";
import { AsyncClient, Client } from "zerotask-client";
import { temporary } from "./durable.ts";
import { type Latency, measureRate, percentiles } from "./measure.ts";
import { startBroker, startNode, stopPart } from "./processes.ts";

type Methods = typeof import("./tasks.ts") & { broker: { rss(): number; heap(): number; pauses(): Pauses } };

interface Pauses {
  readonly turn: number;
  readonly process: number;
}

export interface DelayedFigures {
  readonly delayed: number;
  /** Bytes of the broker's resident memory when all were accepted, and the most while they ran. */
  readonly rss: number;
  readonly rssMost: number;
  /** Tasks that became due meanwhile, and how late they were begun, in milliseconds. */
  readonly ran: number;
  readonly late: Latency;
  /** The longest turn of the broker's state machine, and the longest pause of its process, in milliseconds. */
  readonly pauses: Pauses;
}

export interface OrderFigures {
  /** Calls per second with 1,000 in flight: without options, and with priorities, groups and limits. */
  readonly plain: number;
  readonly prioritised: number;
  readonly limited: number;
}

const hourMs = 3_600_000;
const watchMs = 30_000;

/** Tasks that are due within the next hour, at an even pace. */
export async function measureDelayed(delayed: number): Promise<DelayedFigures> {
  const folder = temporary();
  const { part, endpoint } = await startBroker(folder);
  const later = new AsyncClient<Methods>(endpoint);
  const client = new Client<Methods>(endpoint);
  // None of them is due before all are there, going by how long some of them take.
  const trial = delayed / 50;
  const tried = performance.now();
  await submitAll(trial, () => later.$with({ at: "1 day" }).late(0));
  const begin = Date.now() + 1.5 * (delayed / trial) * (performance.now() - tried);
  const due = (i: number): number => begin + Math.floor((i * hourMs) / delayed);
  await submitAll(delayed, (i) => later.$with({ at: new Date(due(i)) }).late(due(i)));
  await later.$close();
  const node = await startNode(endpoint);
  await client.broker.heap();
  const rss = await client.broker.rss();
  await sleep(Math.max(0, begin - Date.now()));
  await client.latenesses();
  await client.broker.pauses();
  let rssMost = rss;
  for (const end = Date.now() + watchMs; Date.now() < end; ) {
    await sleep(500);
    rssMost = Math.max(rssMost, await client.broker.rss());
  }
  const pauses = await client.broker.pauses();
  const late = await client.latenesses();
  await client.$close();
  await stopPart(node);
  await stopPart(part);
  rmSync(folder, { recursive: true });
  return { delayed, rss, rssMost, ran: late.length, late: percentiles(late), pauses };
}

/** How many tasks per second of a queue on disk are worked off, which so many groups take turns in. */
export async function measureGroups(tasks: number, groups: number): Promise<number> {
  const folder = temporary();
  const { part, endpoint } = await startBroker(folder);
  const later = new AsyncClient<Methods>(endpoint);
  const views = Array.from({ length: Math.max(1, groups) }, (_, i) =>
    groups === 0 ? later : later.$with({ group: `tenant-${i}` }),
  );
  await submitAll(tasks, (i) => (views[Math.floor(i / (tasks / views.length))] ?? later).count(5, 6));
  await later.$close();
  const client = new Client<Methods>(endpoint);
  const node = await startNode(endpoint);
  const begin = performance.now();
  while ((await client.counted()) < tasks) await sleep(20);
  const rate = tasks / ((performance.now() - begin) / 1_000);
  await client.$close();
  await stopPart(node);
  await stopPart(part);
  rmSync(folder, { recursive: true });
  return rate;
}

export async function measureOrder(): Promise<OrderFigures> {
  const { part, endpoint } = await startBroker();
  const node = await startNode(endpoint);
  const client = new Client<Methods>(endpoint);
  const urgent = Array.from({ length: 21 }, (_, i) => client.$with({ priority: i - 10 }));
  const grouped = Array.from({ length: 100 }, (_, i) =>
    client.$with({ priority: (i % 21) - 10, group: `tenant-${i}` }),
  );
  let next = 0;
  const plain = await measureRate(() => client.add(5, 6), 1_000);
  const prioritised = await measureRate(() => (urgent[next++ % 21] ?? client).add(5, 6), 1_000);
  const limited = await measureRate(() => (grouped[next++ % 100] ?? client).limited(5, 6), 1_000);
  await client.$close();
  await stopPart(node);
  await stopPart(part);
  return { plain, prioritised, limited };
}

async function submitAll(
  count: number,
  submit: (i: number) => { readonly accepted: Promise<unknown> },
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await submit(next++).accepted;
  };
  await Promise.all(Array.from({ length: 2_000 }, lane));
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
