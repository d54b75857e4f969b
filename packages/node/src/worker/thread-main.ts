// The beginning of a worker that is a thread.
import { parentPort, workerData } from "node:worker_threads";
import { serve } from "./worker.ts";

const { shared } = workerData as { shared: SharedArrayBuffer };
const running = new Int32Array(shared);

const take = serve({
  send: (text) => parentPort?.postMessage(text),
  mark: (unit) => void Atomics.store(running, 0, unit),
});
parentPort?.on("message", take);
