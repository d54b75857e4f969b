// What is measured of ZeroTask: a broker, a node and this client, each a process.
import { Client } from "zerotask-client";
import { type Latency, measureLatency, measureRate } from "./measure.ts";
import { startBroker, startNode, stopPart } from "./processes.ts";

export interface CallFigures {
  readonly latency: Latency;
  /** Calls per second, by how many are in flight. */
  readonly rates: ReadonlyMap<number, number>;
  /** Calls per second of 10 clients with 100 in flight each. */
  readonly tenClients: number;
  /** A string of 1 MB, there and back. */
  readonly megabyte: Latency;
}

export interface QueueFigures {
  readonly queued: number;
  /** Bytes of the broker's heap for each queued task. */
  readonly bytesPerTask: number;
  /** Calls per second with 1,000 in flight, of another method. */
  readonly rateWhenEmpty: number;
  readonly rateWhenQueued: number;
}

export interface MemoryFigures {
  readonly calls: number;
  /** Bytes of the broker's heap before and after. */
  readonly before: number;
  readonly after: number;
}

type Methods = typeof import("./tasks.ts") & { broker: { heap(): number } };

/** Runs `measure` with a new broker, node and client. */
async function withCluster<T>(
  measure: (client: Client<Methods>, endpoint: string) => Promise<T>,
): Promise<T> {
  const { part, endpoint } = await startBroker();
  const node = await startNode(endpoint);
  const client = new Client<Methods>(endpoint);
  const figures = await measure(client, endpoint);
  await client.$close();
  await stopPart(node);
  await stopPart(part);
  return figures;
}

export function measureCalls(): Promise<CallFigures> {
  return withCluster(async (client, endpoint) => {
    const add = (): Promise<number> => client.add(5, 6);
    const latency = await measureLatency(add);
    const rates = new Map<number, number>();
    for (const inFlight of [10, 100, 1_000, 10_000]) rates.set(inFlight, await measureRate(add, inFlight));
    const clients = Array.from({ length: 10 }, () => new Client<Methods>(endpoint));
    let next = 0;
    const tenClients = await measureRate(() => (clients[next++ % 10] ?? client).add(5, 6), 1_000);
    for (const other of clients) await other.$close();
    const text = "x".repeat(1_000_000);
    const megabyte = await measureLatency(() => client.echo(text));
    return { latency, rates, tenClients, megabyte };
  });
}

const repetitions = 3;

export function measureQueue(queued: number): Promise<QueueFigures> {
  return withCluster(async (client, endpoint) => {
    const rate = (): Promise<number> => median(repetitions, () => measureRate(() => client.add(5, 6), 1_000));
    const rateWhenEmpty = await rate();
    const before = await client.broker.heap();
    await queueTasks(endpoint, queued);
    const bytesPerTask = ((await client.broker.heap()) - before) / queued;
    return { queued, bytesPerTask, rateWhenEmpty, rateWhenQueued: await rate() };
  });
}

/** Another client's tasks, of a method that nobody serves. */
async function queueTasks(endpoint: string, count: number): Promise<void> {
  const client = new Client(endpoint);
  let left = count;
  const lane = async (): Promise<void> => {
    while (left-- > 0) {
      await client.$call("zerotask.broker.client_new_task", { method: "parked", params: [5, 6] });
    }
  };
  await Promise.all(Array.from({ length: 1_000 }, lane));
  await client.$close();
}

export function measureMemory(calls: number): Promise<MemoryFigures> {
  return withCluster(async (client) => {
    const run = async (count: number): Promise<void> => {
      let left = count;
      const lane = async (): Promise<void> => {
        while (left-- > 0) await client.add(5, 6);
      };
      await Promise.all(Array.from({ length: 1_000 }, lane));
    };
    await run(calls / 10);
    const before = await client.broker.heap();
    await run(calls);
    return { calls, before, after: await client.broker.heap() };
  });
}

async function median(times: number, measure: () => Promise<number>): Promise<number> {
  const values: number[] = [];
  for (let i = 0; i < times; i++) values.push(await measure());
  values.sort((a, b) => a - b);
  return values[Math.floor(times / 2)] ?? Number.NaN;
}
