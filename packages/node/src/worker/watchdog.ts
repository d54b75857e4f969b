// The thread that watches a worker's process, whatever that is busy with: it must not outlive its node, nor take too much.
import { writeSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { markFd, wordBytes } from "./pipe.ts";
import { isMemoryWord } from "./port.ts";

const { parent, maxMemoryMb } = workerData as { parent: number; maxMemoryMb: number };
const checkMs = 50;
const MiB = 1024 * 1024;
/** What garbage may take before it is collected, beside what was there at the start. */
const slackMb = 64;
const most = maxMemoryMb > 0 ? process.memoryUsage.rss() + (maxMemoryMb + slackMb) * MiB : Infinity;

setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, "SIGKILL");
  if (most === Infinity || process.memoryUsage.rss() <= most) return;
  writeSync(markFd, Buffer.from([1]), 0, 1, isMemoryWord * wordBytes);
  process.kill(process.pid, "SIGKILL");
}, checkMs);
