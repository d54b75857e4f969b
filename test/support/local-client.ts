// A LocalClient with handlers of the test, closed when that ends; with a virtual clock where it is asked for.
import { onTestFinished } from "vitest";
import { LocalClient, type LocalClientOptions } from "zerotask-client";
import { Dispatcher } from "zerotask-core";
import { SimulatedProcess, Simulator } from "../simulation/simulator.ts";

export function serve(
  setUp: (dispatcher: Dispatcher) => void,
  options: LocalClientOptions = {},
): LocalClient {
  const dispatcher = new Dispatcher();
  setUp(dispatcher);
  const client = new LocalClient(dispatcher, options);
  onTestFinished(() => client.$close());
  return client;
}

/** A client on a virtual clock, and what lets everything happen that is due within a time. */
export function serveIn(
  setUp: (dispatcher: Dispatcher) => void,
  options: LocalClientOptions = {},
): { client: LocalClient; pass: (ms: number) => Promise<void> } {
  const simulator = new Simulator(1);
  const client = serve(setUp, { runtime: new SimulatedProcess(simulator, "local"), ...options });
  const pass = async (ms: number): Promise<void> => {
    const end = simulator.elapsed + ms;
    let isOver = false;
    await settled();
    simulator.after(ms, () => {
      isOver = true;
    });
    while (!isOver && simulator.elapsed <= end + 1) {
      await simulator.step();
      await settled();
    }
  };
  return { client, pass };
}

export async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
