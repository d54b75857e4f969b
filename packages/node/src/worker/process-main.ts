// The beginning of a worker that is a process: a pipe to the node, a file for its mark, and a thread that watches.
import { writeSync } from "node:fs";
import { Socket } from "node:net";
import { Worker } from "node:worker_threads";
import { channelFd, markFd, readLines } from "./pipe.ts";
import { serve } from "./worker.ts";

const socket = new Socket({ fd: channelFd, readable: true, writable: true });
const bytes = Buffer.alloc(4);
const view = new DataView(bytes.buffer, bytes.byteOffset, 4);

const take = serve({
  send: (text) => void socket.write(`${text}\n`),
  mark: (unit) => {
    view.setInt32(0, unit, true);
    writeSync(markFd, bytes, 0, 4, 0);
  },
});
const maxMemoryMb = Number(process.argv[2] ?? 0);
watch();
readLines(socket, take);
// The node has closed it, or is no more: there is nobody to work for.
socket.on("close", () => process.kill(process.pid, "SIGKILL"));
socket.on("error", () => undefined);

// A terminal and a service manager send these to all processes of a group: the node lets its workers finish first.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => undefined);

function watch(): void {
  new Worker(new URL("./watchdog.js", import.meta.url), {
    workerData: { parent: process.ppid, maxMemoryMb },
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
    execArgv: [],
  }).unref();
}
