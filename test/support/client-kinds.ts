// The kinds of clients that are to do the same, whatever is behind them.
import { onTestFinished } from "vitest";
import { type AsyncClient, type Client, LocalClient } from "zerotask-client";
import { Dispatcher } from "zerotask-core";
import { testCluster } from "zerotask-testing";
import { connect, connectAsync, startBroker, startNode } from "./cluster.ts";

export type SetUp = (dispatcher: Dispatcher) => void;
export type Connected = { readonly client: Client; readonly later: AsyncClient };
/** Serves what `setUp` adds, in ten slots unless told otherwise, and hands out both clients. */
export type Open = (setUp: SetUp, slots?: number) => Promise<Connected>;

/** Each with its name. */
export const kindsOfClients: readonly (readonly [kind: string, open: Open])[] = [
  [
    "a broker over sockets",
    async (setUp, slots = 10) => {
      const { requestEndpoint } = await startBroker({ graceMs: 200 });
      await startNode(requestEndpoint, setUp, { slots });
      return { client: connect(requestEndpoint), later: connectAsync(requestEndpoint) };
    },
  ],
  [
    "a test cluster",
    async (setUp, slots = 10) => {
      const dispatcher = new Dispatcher();
      setUp(dispatcher);
      const cluster = await testCluster({ dispatcher, node: { slots }, broker: { graceMs: 200 } });
      onTestFinished(() => cluster.close());
      return { client: cluster.client(), later: cluster.later() };
    },
  ],
  [
    "a local client",
    async (setUp, slots = 10) => {
      const dispatcher = new Dispatcher();
      setUp(dispatcher);
      const client = new LocalClient(dispatcher, { slots });
      onTestFinished(() => client.$close());
      return { client, later: client.$later };
    },
  ],
];

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
