// Tasks on disk: the broker goes away with all of them queued, and another one goes on with them.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Broker, sqliteStore } from "zerotask-broker";
import { AsyncClient } from "zerotask-client";
import { Dispatcher } from "zerotask-core";
import { current, Node } from "zerotask-node";

const data = await mkdtemp(join(tmpdir(), "zerotask-"));
const startBroker = async (): Promise<Broker> => {
  const broker = new Broker({ requestPort: 0, publishPort: 0, store: sqliteStore(data) });
  await broker.start();
  return broker;
};

// Nobody serves `charge` yet: the tasks wait, and their broker ends.
const first = await startBroker();
const customer = new AsyncClient(first.requestEndpoint);
const once = customer.$with({ idempotencyKey: "order-17", retries: 2, backoff: { initialMs: 10 } });
const order = once.charge(25);
assert.equal(await order.accepted, "disk");
assert.equal(await once.charge(25).accepted, "disk"); // the same task: it has the same key
await customer.$close();
await first.stop();

const second = await startBroker();
const dispatcher = new Dispatcher();
dispatcher.add("charge", (sum: number) => {
  const { id, attempt } = current();
  if (attempt === 1) throw new Error("the bank is closed");
  return `charged ${sum} for ${id}`;
});
const node = new Node({ dispatcher });
node.addBroker(second.requestEndpoint);
await node.start();

const later = new AsyncClient(second.requestEndpoint);
assert.equal(await later.$handle(order.id).wait(10_000), "charged 25 for key:order-17");
assert.equal(await later.$handle(order.id).status(), "FINISHED");

await later.$close();
await node.stop();
await second.stop();
await rm(data, { recursive: true });
