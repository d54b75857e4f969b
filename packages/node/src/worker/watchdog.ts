// The thread that watches a process, whatever that is busy with: a worker must not outlive its node, nor take too much, and
// a supervised node must not outlive its supervisor for long.
import { writeSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { markFd, wordBytes } from "./pipe.ts";
import { isMemoryWord } from "./port.ts";

/** What it is told: whose process this is, and how long it may take to end by itself when that is gone. */
export interface Watch {
  readonly parent: number;
  readonly graceMs: number;
  /** 0 for no bound. */
  readonly maxMemoryMb: number;
}

const { parent, graceMs, maxMemoryMb } = workerData as Watch;
const checkMs = 50;
const MiB = 1024 * 1024;
/** What garbage may take before it is collected, beside what was there at the start. */
const slackMb = 64;
const most = maxMemoryMb > 0 ? process.memoryUsage.rss() + (maxMemoryMb + slackMb) * MiB : Infinity;

let orphanedAt: number | undefined;

setInterval(() => {
  if (process.ppid !== parent) {
    orphanedAt ??= performance.now();
    if (performance.now() - orphanedAt >= graceMs) process.kill(process.pid, "SIGKILL");
  }
  if (most === Infinity || process.memoryUsage.rss() <= most) return;
  writeSync(markFd, Buffer.from([1]), 0, 1, isMemoryWord * wordBytes);
  process.kill(process.pid, "SIGKILL");
}, checkMs);
