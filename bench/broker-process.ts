// A broker in a process of its own that tells how much heap it uses.
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { Broker, memoryStore, sqliteStore } from "zerotask-broker";
import { task } from "zerotask-core";
import { BrokerState } from "../packages/broker/dist/state/broker-state.js";

export const heap = task("broker.heap", () => {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().heapUsed;
});

const rss = task("broker.rss", () => process.memoryUsage.rss());

let longestTurn = 0;
const { handle } = BrokerState.prototype;
BrokerState.prototype.handle = function (event, now) {
  const begin = performance.now();
  const effects = handle.call(this, event, now);
  longestTurn = Math.max(longestTurn, performance.now() - begin);
  return effects;
};

const loop = monitorEventLoopDelay({ resolution: 1 });
/** Since this was asked last: the longest turn of the state machine, and the longest pause of the process, in milliseconds. */
const pauses = task("broker.pauses", () => {
  const told = { turn: longestTurn, process: loop.max / 1e6 };
  longestTurn = 0;
  loop.reset();
  loop.enable();
  return told;
});

export { pauses, rss };

const [folder] = process.argv.slice(2);
const store = folder === undefined ? memoryStore() : sqliteStore(folder);
const broker = new Broker({ requestPort: 0, publishPort: 0, store });
await broker.start();
process.on("SIGTERM", () => broker.stop().then(() => process.exit(0)));
process.stdout.write(`${broker.requestEndpoint}\n`);
