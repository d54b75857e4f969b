// Work that goes on until somebody stops it: made anew with other params, stopped and started, and a node's own.
import assert from "node:assert/strict";
import { Broker } from "zerotask-broker";
import { AsyncClient } from "zerotask-client";
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
node.runLocal("watch", ["/its/own"]); // from when it starts, on this node alone
await node.start();

const later = new AsyncClient<{ watch: typeof watch }>(broker.requestEndpoint);
const handle = later.watch("/inbox");

/** Waits until the task tells that it watches this folder. */
async function watching(folder: string): Promise<void> {
  for await (const { event, data } of handle.events()) if (event === "watching" && data === folder) return;
}

await watching("/inbox");
await handle.reload(["/archive"]); // the same id, another folder
await watching("/archive");

assert.equal(await handle.stop(), "cooperative");
assert.equal(await handle.status(), "STOPPED");
await handle.start();
assert.equal(await handle.stop({ graceMs: 1_000, force: true }).then((how) => how !== "unstoppable"), true);

await later.$close();
await node.stop(); // stops its own task, too
await broker.stop();
