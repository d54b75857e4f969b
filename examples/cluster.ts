// A broker and a node on free ports in this process, for an example's time.
import { Broker } from "zerotask-broker";
import { Dispatcher } from "zerotask-core";
import { Node, type NodeOptions } from "zerotask-node";

/** Runs `example` beside a broker and a node that serves `dispatcher`, and stops them. */
export async function withCluster(
  example: (endpoint: string) => Promise<void>,
  dispatcher: Dispatcher = Dispatcher.instance(),
  options: NodeOptions = {},
): Promise<void> {
  const broker = new Broker({ requestPort: 0, publishPort: 0, dispatcher });
  await broker.start();
  const node = new Node({ ...options, dispatcher });
  node.addBroker(broker.requestEndpoint);
  await node.start();
  try {
    await example(broker.requestEndpoint);
  } finally {
    await node.stop();
    await broker.stop();
  }
}
