// A worker that is a thread of this process.
import { Worker } from "node:worker_threads";
import { outOfMemory, type StartWorker, workerFile } from "./worker-handle.ts";

export const startThread: StartWorker = ({ maxMemoryMb }, handlers) => {
  const shared = new SharedArrayBuffer(4);
  const running = new Int32Array(shared);
  const worker = new Worker(workerFile("thread-main"), {
    workerData: { shared },
    ...(maxMemoryMb !== undefined && { resourceLimits: { maxOldGenerationSizeMb: maxMemoryMb } }),
  });
  let why: string | undefined;
  worker.on("message", (text: string) => handlers.onText(text));
  worker.on("error", (error: NodeJS.ErrnoException) => {
    const isMemory = error?.code === "ERR_WORKER_OUT_OF_MEMORY";
    why = isMemory ? outOfMemory(maxMemoryMb) : `ended by an error that nobody caught (${messageOf(error)})`;
  });
  worker.once("exit", (code) => handlers.onGone(why ?? `exited with code ${code}`));
  return {
    send: (text) => worker.postMessage(text),
    running: () => Atomics.load(running, 0),
    end: () => void worker.terminate(),
  };
};

/** Anything may have been thrown. */
function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
