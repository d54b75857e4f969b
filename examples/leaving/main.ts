// A node that is started when there is work, under a name of its own, and leaves when nothing is left to do.
import assert from "node:assert/strict";
import { Broker } from "zerotask-broker";
import { AsyncClient } from "zerotask-client";
import { Dispatcher } from "zerotask-core";
import { NameTakenError, Node } from "zerotask-node";

const broker = new Broker({ requestPort: 0, publishPort: 0, dispatcher: new Dispatcher() });
await broker.start();

// Nobody serves `resize` yet.
const later = new AsyncClient(broker.requestEndpoint);
const today = Array.from({ length: 100 }, (_, i) => later.resize(i));
const tomorrow = later.$with({ at: "1 day" }).resize(100);
await Promise.all([...today, tomorrow].map(({ accepted }) => accepted));

const startNode = async (): Promise<Node> => {
  const dispatcher = new Dispatcher();
  dispatcher.add("resize", (image: number) => `small ${image}`);
  const node = new Node({ dispatcher, name: "resizer", slots: 4 });
  node.addBroker(broker.requestEndpoint);
  await node.start();
  return node;
};

const node = await startNode();
// One node at a time has the name.
await assert.rejects(startNode, NameTakenError);

await node.stop({ whenEmpty: true });
assert.equal(await today[99]?.wait(), "small 99");
for (const task of today) assert.equal(await task.status(), "FINISHED");
assert.equal(await tomorrow.status(), "SCHEDULED");

// It has left, so its name is free.
const next = await startNode();
await next.stop();

await later.$close();
await broker.stop();
