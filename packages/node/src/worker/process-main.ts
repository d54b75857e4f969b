// The beginning of a worker that is a process: a pipe to the node, a file for its mark, and a thread that watches.
import { readSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { Worker } from "node:worker_threads";
import { channelFd, markFd, readLines, wordBytes } from "./pipe.ts";
import { isRevokedWord, takenWord } from "./port.ts";
import type { Watch } from "./watchdog.ts";
import { serve } from "./worker.ts";

const socket = new Socket({ fd: channelFd, readable: true, writable: true });
/** The unit that began last, and its order. */
const own = new Int32Array(2);
const isRevoked = new Int32Array(1);
const taken = new Int32Array(1);

const take = serve({
  send: (text) => void socket.write(`${text}\n`),
  mark: (unit) => write(unit, own[1] ?? 0),
  claim: (unit, order) => {
    const [unitBefore = 0, orderBefore = 0] = own;
    write(unit, order);
    readSync(markFd, isRevoked, 0, wordBytes, isRevokedWord * wordBytes);
    if (isRevoked[0] === 0) return true;
    write(unitBefore, orderBefore);
    return false;
  },
  reportsTaken: () => {
    readSync(markFd, taken, 0, wordBytes, takenWord * wordBytes);
    return (taken[0] ?? 0) >>> 0;
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

function write(unit: number, order: number): void {
  own[0] = unit;
  own[1] = order;
  writeSync(markFd, own, 0, 2 * wordBytes, 0);
}

function watch(): void {
  new Worker(new URL("./watchdog.js", import.meta.url), {
    workerData: { parent: process.ppid, graceMs: 0, maxMemoryMb } satisfies Watch,
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
    execArgv: [],
  }).unref();
}
