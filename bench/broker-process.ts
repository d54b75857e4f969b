// A broker in a process of its own that tells how much heap it uses.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Broker, memoryStore, sqliteStore } from "zerotask-broker";
import { task } from "zerotask-core";

export const heap = task("broker.heap", () => {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().heapUsed;
});

const rss = task("broker.rss", () => process.memoryUsage.rss());

const loop = monitorEventLoopDelay({ resolution: 1 });
/** The longest time for which the broker did nothing else, in milliseconds, since this was asked last. */
const stall = task("broker.stall", () => {
  const { max } = loop;
  loop.reset();
  loop.enable();
  return max / 1e6;
});

export { rss, stall };

const [folder] = process.argv.slice(2);
const store = folder === undefined ? memoryStore() : sqliteStore(folder);
const broker = new Broker({ requestPort: 0, publishPort: 0, store });
await broker.start();
process.on("SIGTERM", () => broker.stop().then(() => process.exit(0)));
process.stdout.write(`${broker.requestEndpoint}\n`);
