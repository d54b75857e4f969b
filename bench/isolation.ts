// What it costs to run handlers in threads and processes, and what others notice of it.
import { performance } from "node:perf_hooks";
import { Client } from "zerotask-client";
import { type Latency, measureLatency, measureRate, percentiles } from "./measure.ts";
import { type Part, startBroker, startNode, startPart, stopPart } from "./processes.ts";

export interface IsolatedFigures {
  readonly latency: Latency;
  /** Calls per second with 1,000 in flight. */
  readonly rate: number;
}

export interface IsolationFigures {
  readonly inline: IsolatedFigures;
  readonly thread: IsolatedFigures;
  readonly process: IsolatedFigures;
  readonly beside: readonly Beside[];
}

/** Of the calls that another node takes, one at a time. */
export interface Beside {
  readonly kind: string;
  readonly idle: Latency;
  /** While each worker of a node is busy. */
  readonly workers: Latency;
  /** While as many other processes are busy. */
  readonly strangers: Latency;
  /** For how long at most the node whose workers were busy sent nothing, in milliseconds: heartbeats come each second. */
  readonly longestPause: number;
}

type Methods = typeof import("./tasks.ts");

/** Runs `measure` with a new broker, a node with these arguments, and a client. */
async function withNode<T>(
  args: readonly string[],
  measure: (client: Client<Methods>, endpoint: string) => Promise<T>,
): Promise<T> {
  const { part, endpoint } = await startBroker();
  const node = await startNode(endpoint, ...args);
  const client = new Client<Methods>(endpoint);
  const figures = await measure(client, endpoint);
  await client.$close();
  await stopPart(node);
  await stopPart(part);
  return figures;
}

export async function measureIsolation(): Promise<IsolationFigures> {
  const figures = async (kind: string): Promise<IsolatedFigures> =>
    withNode(["--isolate", kind], async (client) => {
      const add = (): Promise<number> => client.add(5, 6);
      return { rate: await measureRate(add, 1_000), latency: await measureLatency(add) };
    });
  const inline = await figures("none");
  const thread = await figures("thread");
  const process = await figures("process");
  return { inline, thread, process, beside: [await measureBeside("thread"), await measureBeside("process")] };
}

const rounds = 6;
const roundMs = 2_000;
/** Until what has begun has used up what a scheduler gives to newcomers, or what has ended is gone. */
const settleMs = 500;
/** As many as there are CPUs to keep busy. */
const spinners = 2;

/**
 * Calls of a node that needs no time for them, turn by turn: while nothing else runs, while each worker of another node
 * is busy, and while as many processes are busy that have nothing to do with either, for that is what the machine does.
 */
function measureBeside(kind: string): Promise<Beside> {
  return withNode(["--isolate", kind, "--workers", String(spinners)], async (client, endpoint) => {
    const other: Part = await startNode(endpoint, `${import.meta.dirname}/other.ts`);
    const call = (): Promise<unknown> => client.$call("other", [5, 6]);
    await measureLatency(call);
    const idle: number[] = [];
    const workers: number[] = [];
    const strangers: number[] = [];
    let longestPause = 0;
    for (let round = 0; round < rounds; round++) {
      await sample(call, idle);
      const spins = Array.from({ length: spinners }, () => client.spin(settleMs + roundMs + settleMs));
      await client.longestPause();
      await sample(call, workers);
      longestPause = Math.max(longestPause, await client.longestPause());
      await Promise.all(spins);
      const parts = await Promise.all(Array.from({ length: spinners }, () => startPart(["-e", spinForever])));
      await sample(call, strangers);
      for (const part of parts) part.process.kill("SIGKILL");
    }
    await stopPart(other);
    const latencies = {
      idle: percentiles(idle),
      workers: percentiles(workers),
      strangers: percentiles(strangers),
    };
    return { kind, ...latencies, longestPause };
  });
}

const spinForever = "console.log('spinning'); for (;;);";

async function sample(call: () => Promise<unknown>, samples: number[]): Promise<void> {
  const begin = performance.now() + settleMs;
  for (let at = performance.now(); at < begin + roundMs; ) {
    await call();
    const now = performance.now();
    if (at >= begin) samples.push(now - at);
    at = now;
  }
}
