// Connections that are cut, that stall, and that are open on one side only: every call is answered, and runs once.
import { expect, it, onTestFinished } from "vitest";
import type { Broker } from "zerotask-broker";
import { connect, connectAsync, gate, startBroker, startNode } from "../support/cluster.ts";
import { until } from "../support/wait.ts";
import { FaultyProxy, type ProxiedConnection } from "./proxy.ts";

type Harm = (connection: ProxiedConnection) => unknown;

const harms: readonly [string, Harm][] = [
  ["is cut", (connection) => connection.cut()],
  ["stalls", (connection) => connection.stall()],
  ["is dropped by the client's side only", (connection) => connection.halfOpen("peer")],
  ["is dropped by the broker's side only", (connection) => connection.halfOpen("broker")],
];

async function proxyTo({ requestEndpoint }: Broker): Promise<FaultyProxy> {
  const proxy = await FaultyProxy.listen(Number(new URL(requestEndpoint).port));
  onTestFinished(() => proxy.close());
  return proxy;
}

/** A node, close to the broker, whose `slow` ends when it is told to, and counts its runs. */
async function slowNode(endpoint: string): Promise<{ runs: () => number; open: (value: string) => void }> {
  const { opened, open } = gate<string>();
  let runs = 0;
  await startNode(endpoint, (dispatcher) => {
    dispatcher.add("slow", () => {
      runs++;
      return opened;
    });
    dispatcher.add("echo", (value: unknown) => value);
  });
  return { runs: () => runs, open };
}

function only(proxy: FaultyProxy): ProxiedConnection {
  const [connection] = proxy.connections;
  if (connection === undefined || proxy.connections.length > 1)
    throw new Error(`Expected one connection, got ${proxy.connections.length}`);
  return connection;
}

it.each(harms)("answers a call, once, whose connection %s while it runs", async (_name, harm) => {
  const broker = await startBroker();
  const { runs, open } = await slowNode(broker.requestEndpoint);
  const proxy = await proxyTo(broker);
  const client = connect(proxy.endpoint);
  let answers = 0;
  const call = client.slow().finally(() => answers++);
  await until("the call to run", () => runs() === 1);
  const connection = only(proxy);
  harm(connection);
  open("done");
  expect(await call).toBe("done");
  expect(proxy.connections.at(-1)).not.toBe(connection);
  expect(await client.echo("on the new connection")).toBe("on the new connection");
  expect([runs(), answers]).toEqual([1, 1]);
});

it.each(harms)("answers a call that was sent when its connection %s", async (_name, harm) => {
  const broker = await startBroker();
  const { runs, open } = await slowNode(broker.requestEndpoint);
  const proxy = await proxyTo(broker);
  const client = connect(proxy.endpoint);
  expect(await client.echo(1)).toBe(1);
  harm(only(proxy));
  open("done");
  expect(await client.slow()).toBe("done");
  expect(runs()).toBe(1);
});

it.each(harms)("accepts and settles what is submitted over a connection that %s", async (_name, harm) => {
  const broker = await startBroker();
  const { runs, open } = await slowNode(broker.requestEndpoint);
  const proxy = await proxyTo(broker);
  const later = connectAsync(proxy.endpoint);
  const before = later.slow();
  await before.accepted;
  harm(only(proxy));
  const after = later.slow();
  expect(await after.accepted).toBe("memory");
  open("done");
  expect(await Promise.all([before.wait(), after.wait()])).toEqual(["done", "done"]);
  expect(runs()).toBe(2);
});

it.each(harms)("gives a node's task one outcome when its connection %s", async (_name, harm) => {
  const broker = await startBroker();
  const proxy = await proxyTo(broker);
  const { runs: runsThere, open } = await slowNode(proxy.endpoint);
  const handle = connectAsync(broker.requestEndpoint).slow();
  await until("the task to run", async () => runsThere() === 1);
  const there = only(proxy);
  const here = await slowNode(broker.requestEndpoint);
  harm(there);
  const isSettled = handle.wait();
  here.open("of the other");
  // Whichever has it in the end: the one that came back with it, or the other. It has one outcome.
  await until(
    "the node to be back, or lost",
    async () => here.runs() === 1 || proxy.connections.at(-1) !== there,
  );
  open("of the first");
  const outcome = await isSettled;
  expect(["of the first", "of the other"]).toContain(outcome);
  const record = await connect(broker.requestEndpoint).$call("zerotask.broker.client_task_get", [handle.id]);
  expect(record).toMatchObject({ status: "FINISHED", result: outcome });
});
