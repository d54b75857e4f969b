// What is measured of events: how long until a hundred subscribers, each with a connection of its own, have had all.
import { performance } from "node:perf_hooks";
import { AsyncClient, Client, ClientClosedError } from "zerotask-client";
import { startBroker, startNode, stopPart } from "./processes.ts";

type Methods = typeof import("./tasks.ts");

export interface EventFigures {
  /** Events a second that a handler emitted and all subscribers had. */
  readonly rate: number;
  /** Deliveries a second: events times subscribers. */
  readonly deliveries: number;
  /** From a single emit until the last subscriber had it, in milliseconds. */
  readonly latency: { readonly p50: number; readonly p99: number };
}

const name = "measured";
/** So many fit in what ZeroMQ holds for each subscriber: none is lost, and none has to be asked for. */
const perTask = 500;

/** @param count events that are emitted, to so many `subscribers` */
export async function measureEvents(count: number, subscribers: number): Promise<EventFigures> {
  const { part, endpoint } = await startBroker();
  const node = await startNode(endpoint);
  const clients = Array.from({ length: subscribers }, () => new Client<Methods>(endpoint));
  const seen = new Array<number>(subscribers).fill(0);
  let expected = 0;
  let missing = 0;
  let onAll: (() => void) | undefined;
  for (const [i, client] of clients.entries()) {
    void (async () => {
      for await (const _ of client.$events({ method: "emitMany", event: name })) {
        seen[i] = (seen[i] ?? 0) + 1;
        if (seen[i] === expected && --missing === 0) onAll?.();
      }
    })().catch(closed);
  }
  const emitter = new AsyncClient<Methods>(endpoint);
  /** Until every subscriber has had so many more. */
  const emit = async (many: number): Promise<number> => {
    expected += many;
    missing = subscribers;
    const all = new Promise<void>((resolve) => {
      onAll = resolve;
    });
    const begin = performance.now();
    emitter.$ignore.emitMany(many, name);
    await all;
    return performance.now() - begin;
  };
  await listening(emitter, seen);
  seen.fill(0);
  const tasks = Math.ceil(count / perTask);
  for (let i = 0; i < tasks; i++) await emit(perTask);
  const begin = performance.now();
  for (let i = 0; i < tasks; i++) await emit(perTask);
  const took = performance.now() - begin;
  const single: number[] = [];
  for (let i = 0; i < 100; i++) single.push(await emit(1));
  single.sort((a, b) => a - b);
  await Promise.all([...clients.map((client) => client.$close()), emitter.$close()]);
  await stopPart(node);
  await stopPart(part);
  return {
    rate: (tasks * perTask * 1_000) / took,
    deliveries: (tasks * perTask * subscribers * 1_000) / took,
    latency: { p50: single[49] ?? 0, p99: single[98] ?? 0 },
  };
}

/** Subscribers follow what happens from when they are there: until all are, what is emitted does not count. */
async function listening(emitter: AsyncClient<Methods>, seen: readonly number[]): Promise<void> {
  while (seen.some((count) => count === 0)) await emitter.emitMany(1, name).wait();
  // What is still on its way to some is not to be counted either.
  for (let before = -1, now = total(seen); before !== now; now = total(seen)) {
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Closing a client ends what it follows with an error. */
function closed(error: unknown): void {
  if (!(error instanceof ClientClosedError)) throw error;
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
