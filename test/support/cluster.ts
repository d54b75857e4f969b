// A broker, nodes and clients in this process, on free ports, closed when the test ends.
import { onTestFinished } from "vitest";
import { Broker, type BrokerOptions } from "zerotask-broker";
import { AsyncClient, Client, type ClientOptions } from "zerotask-client";
import { Dispatcher } from "zerotask-core";
import { Node, type NodeOptions } from "zerotask-node";

export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const broker = new Broker({ requestPort: 0, publishPort: 0, dispatcher: new Dispatcher(), ...options });
  await broker.start();
  onTestFinished(() => broker.stop());
  return broker;
}

export async function startNode(
  endpoint: string,
  setUp: (dispatcher: Dispatcher) => void,
  options: NodeOptions = {},
): Promise<Node> {
  const dispatcher = new Dispatcher();
  setUp(dispatcher);
  const node = new Node({ dispatcher, drainMs: 0, ...options });
  node.addBroker(endpoint);
  await node.start();
  onTestFinished(() => node.stop());
  return node;
}

export function connect<Methods = unknown>(endpoint: string, options: ClientOptions = {}): Client<Methods> {
  const client = new Client<Methods>(endpoint, options);
  onTestFinished(() => client.$close());
  return client;
}

export function connectAsync<Methods = unknown>(
  endpoint: string,
  options: ClientOptions = {},
): AsyncClient<Methods> {
  const client = new AsyncClient<Methods>(endpoint, { closeTimeoutMs: 0, ...options });
  onTestFinished(() => client.$close());
  return client;
}

/** Something that happens when the test says so. */
export function gate<T = void>(): { opened: Promise<T>; open: (value: T) => void } {
  let open: (value: T) => void = () => undefined;
  const opened = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
