// What it costs to run handlers in threads and processes, and what others notice of it.
import { Client } from "zerotask-client";
import { type Latency, measureLatency, measureRate } from "./measure.ts";
import { type Part, startBroker, startNode, stopPart } from "./processes.ts";

export interface IsolatedFigures {
  readonly latency: Latency;
  /** Calls per second with 1,000 in flight. */
  readonly rate: number;
}

export interface IsolationFigures {
  readonly inline: IsolatedFigures;
  readonly thread: IsolatedFigures;
  readonly process: IsolatedFigures;
  /** Of the calls that another node takes, one at a time. */
  readonly beside: { readonly idle: Latency; readonly thread: Latency; readonly process: Latency };
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
  const beside = {
    idle: await measureBeside("thread", false),
    thread: await measureBeside("thread", true),
    process: await measureBeside("process", true),
  };
  return { inline, thread, process, beside };
}

const spinMs = 60_000;

/** Calls of a node that runs what needs no time, while each worker of another one is busy, or not. */
function measureBeside(kind: string, isBusy: boolean): Promise<Latency> {
  return withNode(["--isolate", kind, "--workers", "2"], async (client, endpoint) => {
    const other: Part = await startNode(endpoint, `${import.meta.dirname}/other.ts`);
    const spinning = isBusy ? [client.spin(spinMs), client.spin(spinMs)] : [];
    for (const spin of spinning) spin.catch(() => undefined);
    const latency = await measureLatency(() => client.$call("other", [5, 6]));
    await stopPart(other);
    return latency;
  });
}
