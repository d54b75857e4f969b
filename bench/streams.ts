// What is measured of streams: how many small items a second, and whether memory stays flat behind a slow consumer.
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { Client } from "zerotask-client";
import { startBroker, startNode, stopPart } from "./processes.ts";

type Methods = typeof import("./tasks.ts");

export interface StreamFigures {
  /** Small items a second from a handler to a client, and from a client to a handler. */
  readonly outward: number;
  readonly inward: number;
  /** Resident memory in bytes over a million items, with a consumer slower than the producer. */
  readonly memory: { readonly [part: string]: { readonly before: number; readonly most: number } };
  /** Items a second that the slow consumer took. */
  readonly slow: number;
}

/** Resident memory of a process, in bytes (Linux). */
function residentOf(pid: number | undefined): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

const warmUp = 200_000;

export async function measureStreams(items: number): Promise<StreamFigures> {
  const { part, endpoint } = await startBroker();
  const node = await startNode(endpoint);
  const client = new Client<Methods>(endpoint);
  const read = async (count: number): Promise<number> => {
    const begin = performance.now();
    let seen = 0;
    for await (const _ of client.$stream.items(count)) seen++;
    if (seen !== count) throw new Error(`Expected ${count} items, got ${seen}`);
    return (count * 1_000) / (performance.now() - begin);
  };
  const write = async (count: number): Promise<number> => {
    const begin = performance.now();
    const seen = await client.drain(numbers(count));
    if (seen !== count) throw new Error(`Expected ${count} items, got ${seen}`);
    return (count * 1_000) / (performance.now() - begin);
  };
  await read(warmUp);
  await write(warmUp);
  const outward = await read(items);
  const inward = await write(items);
  const pids = { client: process.pid, broker: part.process.pid, node: node.process.pid };
  const memory = Object.fromEntries(
    Object.entries(pids).map(([name, pid]) => [name, { pid, before: residentOf(pid), most: 0 }]),
  );
  const begin = performance.now();
  let seen = 0;
  for await (const _ of client.$stream.items(items)) {
    if (++seen % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    if (seen % 1_000 !== 0) continue;
    await new Promise((resolve) => setTimeout(resolve, 10));
    for (const of of Object.values(memory)) of.most = Math.max(of.most, residentOf(of.pid));
  }
  const slow = (items * 1_000) / (performance.now() - begin);
  await client.$close();
  await stopPart(node);
  await stopPart(part);
  return { outward, inward, slow, memory };
}

async function* numbers(count: number): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) yield i;
}
