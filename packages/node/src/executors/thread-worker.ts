// A worker that is a thread of this process.
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import { isRevokedWord, orderWord, takenWord, unitWord, words } from "../worker/port.ts";
import { outOfMemory, type StartWorker, workerFile } from "./worker-handle.ts";

export const startThread: StartWorker = ({ maxMemoryMb }, handlers) => {
  const shared = new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT);
  const view = new Int32Array(shared);
  // Not the port that tasks find as their `parentPort`: what they send there is none of the node's business.
  const { port1: port, port2 } = new MessageChannel();
  const worker = start(shared, port2, maxMemoryMb);
  let why: string | undefined;
  port.on("message", (text: string) => handlers.onText(text));
  worker.on("error", (error: NodeJS.ErrnoException) => {
    const isMemory = error?.code === "ERR_WORKER_OUT_OF_MEMORY";
    why = isMemory ? outOfMemory(maxMemoryMb) : `ended by an error that nobody caught (${messageOf(error)})`;
  });
  worker.once("exit", (code) => {
    // What it said last comes before that it is gone.
    for (let last = receiveMessageOnPort(port); last !== undefined; last = receiveMessageOnPort(port))
      handlers.onText(last.message as string);
    port.close();
    handlers.onGone(why ?? `exited with code ${code}`);
  });
  return {
    send: (text) => port.postMessage(text),
    running: () => Atomics.load(view, unitWord),
    revoke: () => {
      Atomics.store(view, isRevokedWord, 1);
      return Atomics.load(view, orderWord);
    },
    resume: () => void Atomics.store(view, isRevokedWord, 0),
    tookReports: (total) => void Atomics.store(view, takenWord, total | 0),
    end: () => void worker.terminate(),
  };
};

function start(shared: SharedArrayBuffer, port: MessagePort, maxMemoryMb: number | undefined): Worker {
  return new Worker(workerFile("thread-main"), {
    workerData: { shared, port },
    transferList: [port],
    ...(maxMemoryMb !== undefined && { resourceLimits: { maxOldGenerationSizeMb: maxMemoryMb } }),
  });
}

/** Anything may have been thrown. */
function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
