// Work that goes on until somebody stops it: made anew with other params, stopped and started, and a node's own.
import assert from "node:assert/strict";
import { Broker } from "zerotask-broker";
import { AsyncClient, type TaskHandle } from "zerotask-client";
import { Dispatcher } from "zerotask-core";
import { current, Node, task } from "zerotask-node";

const dispatcher = new Dispatcher();

const watch = task(
  { name: "watch", dispatcher },
  class Watch {
    readonly #folder: string;
    #end: () => void = () => {};

    constructor(folder: string) {
      this.#folder = folder;
    }
    async start(): Promise<void> {
      current().emit("watching", this.#folder);
      await new Promise<void>((resolve) => {
        this.#end = resolve;
      });
    }
    stop(): void {
      this.#end();
    }
  },
);

const broker = new Broker({ requestPort: 0, publishPort: 0, dispatcher: new Dispatcher() });
await broker.start();
const node = new Node({ dispatcher });
node.addBroker(broker.requestEndpoint);
const own = node.runLocal("watch", ["/its/own"]); // from when it starts, on this node alone
await node.start();

const later = new AsyncClient<{ watch: typeof watch }>(broker.requestEndpoint);
const handle = later.watch("/inbox");

/** Waits until the task has told so many times what it watches, and returns what that was. */
async function watched(task: TaskHandle<unknown, [string]>, times: number): Promise<unknown[]> {
  const folders: unknown[] = [];
  for await (const { event, data } of task.events()) {
    if (event === "watching") folders.push(data);
    if (folders.length === times) break;
  }
  return folders;
}

const ownHandle = later.$handle<unknown>(own);
assert.deepEqual(await watched(ownHandle, 1), ["/its/own"]);

assert.deepEqual(await watched(handle, 1), ["/inbox"]);
await handle.reload(["/archive"]); // the same id, another folder
assert.deepEqual(await watched(handle, 2), ["/inbox", "/archive"]);

assert.equal(await handle.stop(), "cooperative");
assert.equal(await handle.status(), "STOPPED");
await handle.start();
await watched(handle, 3);
assert.equal(await handle.stop({ graceMs: 1_000 }), "cooperative");
assert.equal(await ownHandle.stop(), "cooperative"); // by its id, as any other

await later.$close();
await node.stop(); // would have stopped its own task, too
await broker.stop();
