// What safety costs: submitted tasks in memory and on disk, and a broker that comes back to a million of them.
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { AsyncClient, Client } from "zerotask-client";
import { type Latency, measureLatency, measureRate, percentiles } from "./measure.ts";
import { startBroker, startNode, stopPart } from "./processes.ts";

type Methods = typeof import("./tasks.ts") & { broker: { rss(): number } };

export interface SubmitFigures {
  /** Acknowledged submits per second, with 1,000 in flight. */
  readonly submits: number;
  /** Tasks per second from submit to outcome, with 1,000 in flight. */
  readonly endToEnd: number;
  /** From submit to acknowledgement, one at a time. */
  readonly ack: Latency;
}

export interface RestartFigures {
  readonly queued: number;
  /** From the start of the process until a call was answered, and until the first of the queued tasks was settled. */
  readonly servingMs: number;
  readonly firstTaskMs: number;
  /** Bytes of resident memory when it served, and the most while it worked the queue off. */
  readonly rssServing: number;
  readonly rssMost: number;
  /** Tasks per second while it did. */
  readonly drained: number;
}

/** Beside the repository, so that it is on the disk that users' data would be on. */
export const temporary = (): string => mkdtempSync(join(import.meta.dirname, "results-"));

/** A bare write of 4 KiB and `fdatasync`, where the benchmark's data is. */
export function measureFdatasync(): Latency {
  const folder = temporary();
  const file = openSync(join(folder, "file"), "w");
  const block = Buffer.alloc(4_096, 1);
  const samples: number[] = [];
  for (let i = 0; i < 2_000; i++) {
    writeSync(file, block, 0, block.length, i * block.length);
    const begin = performance.now();
    fdatasyncSync(file);
    samples.push(performance.now() - begin);
  }
  closeSync(file);
  rmSync(folder, { recursive: true });
  return percentiles(samples);
}

export async function measureSubmits(where: "memory" | "disk"): Promise<SubmitFigures> {
  const folder = temporary();
  const { part, endpoint } = await startBroker(...(where === "disk" ? [folder] : []));
  const node = await startNode(endpoint);
  const client = new AsyncClient<Methods>(endpoint);
  const ack = await measureLatency(() => client.add(5, 6).accepted);
  const endToEnd = await measureRate(() => client.add(5, 6).wait(), 1_000);
  // Of a method that nobody serves: nothing is run meanwhile.
  const submits = await measureRate(() => client.$call("parked", [5, 6]).accepted, 1_000);
  await client.$close();
  await stopPart(node);
  await stopPart(part);
  rmSync(folder, { recursive: true });
  return { submits, endToEnd, ack };
}

export async function measureRestart(queued: number): Promise<RestartFigures> {
  const folder = temporary();
  const first = await startBroker(folder);
  await queueTasks(first.endpoint, queued);
  first.part.process.kill("SIGKILL");
  const begin = performance.now();
  const { part, endpoint } = await startBroker(folder);
  const client = new Client<Methods>(endpoint);
  let rssMost = await client.broker.rss();
  const rssServing = rssMost;
  const servingMs = performance.now() - begin;
  const node = await startNode(endpoint);
  const count = (): Promise<number> => client.counted();
  while ((await count()) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const firstTaskMs = performance.now() - begin;
  for (;;) {
    rssMost = Math.max(rssMost, await client.broker.rss());
    if ((await count()) >= queued) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const drained = queued / ((performance.now() - begin - firstTaskMs) / 1_000);
  await client.$close();
  await stopPart(node);
  await stopPart(part);
  rmSync(folder, { recursive: true });
  return { queued, servingMs, firstTaskMs, rssServing, rssMost, drained };
}

async function queueTasks(endpoint: string, count: number): Promise<void> {
  const client = new AsyncClient<Methods>(endpoint);
  let left = count;
  const lane = async (): Promise<void> => {
    while (left-- > 0) await client.count(5, 6).accepted;
  };
  await Promise.all(Array.from({ length: 2_000 }, lane));
  await client.$close();
}
