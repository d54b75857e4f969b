// The beginning of a worker that is a thread.
import { type MessagePort, workerData } from "node:worker_threads";
import { forbidSockets } from "zerotask-core";
import { isRevokedWord, orderWord, takenWord, unitWord } from "./port.ts";
import { serve } from "./worker.ts";

const data = workerData as { shared?: SharedArrayBuffer; port?: MessagePort };
const { shared, port } = data;
if (shared === undefined || port === undefined) throw new Error("Expected what a node starts a thread with");
// Tasks see `workerData` as well.
delete data.shared;
delete data.port;
forbidSockets();
const view = new Int32Array(shared);

const take = serve({
  send: (text) => port.postMessage(text),
  mark: (unit) => void Atomics.store(view, unitWord, unit),
  claim: (unit, order) => {
    const before = Atomics.exchange(view, orderWord, order);
    if (Atomics.load(view, isRevokedWord) === 0) {
      Atomics.store(view, unitWord, unit);
      return true;
    }
    Atomics.store(view, orderWord, before);
    return false;
  },
  reportsTaken: () => Atomics.load(view, takenWord) >>> 0,
});
port.on("message", take);
