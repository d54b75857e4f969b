// A worker that is a process of its own. It ends with its node, also when that is killed.
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { closeSync, openSync, readSync, unlinkSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { channelFd, memoryMarkAt, readLines } from "../worker/pipe.ts";
import { outOfMemory, type StartWorker, workerFile } from "./worker-handle.ts";

/** How long to wait for what a worker said last, when it is gone and its pipe is not. */
const lastWordsMs = 1_000;
const tailLength = 4_096;

export const startProcess: StartWorker = ({ maxMemoryMb }, handlers) => {
  const mark = openMark();
  const child = start(mark.fd, maxMemoryMb);
  const pipe = child.stdio[channelFd] as Socket;
  let tail = "";
  child.stderr?.on("data", (text: Buffer) => {
    process.stderr.write(text);
    tail = (tail + text.toString()).slice(-tailLength);
  });
  readLines(pipe, (text) => handlers.onText(text));
  // What can't be sent any more is of no interest: the worker is gone, and that is told.
  pipe.on("error", () => undefined);
  let isOver = false;
  const end = (how: string): void => {
    if (isOver) return;
    isOver = true;
    const isMemory = tail.includes("heap out of memory") || mark.read(memoryMarkAt) !== 0;
    handlers.onGone(isMemory ? outOfMemory(maxMemoryMb) : how);
    mark.close();
    pipe.destroy();
  };
  child.once("error", (error) => end(`could not be started (${error.message})`));
  child.once("exit", (code, signal) => {
    const how = signal === null ? `exited with code ${code}` : `was killed by ${signal}`;
    const timer = setTimeout(end, lastWordsMs, how);
    child.once("close", () => {
      clearTimeout(timer);
      end(how);
    });
  });
  return {
    send: (text) => void pipe.write(`${text}\n`),
    running: () => mark.read(0),
    end: () => void child.kill("SIGKILL"),
  };
};

function start(markFd: number, maxMemoryMb: number | undefined): ChildProcess {
  const flags = inherited(process.execArgv);
  if (maxMemoryMb !== undefined) flags.push(`--max-old-space-size=${maxMemoryMb}`);
  // Standard error goes through here, as it tells of what ended a process.
  return spawn(
    process.execPath,
    [...flags, fileURLToPath(workerFile("process-main")), `${maxMemoryMb ?? 0}`],
    {
      stdio: ["ignore", "inherit", "pipe", "pipe", markFd],
    },
  );
}

/** A debugger has its port already; code that was given as an argument is not to run again. */
function inherited(flags: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < flags.length; i++) {
    const flag = flags[i] ?? "";
    if (/^(-e|--eval|-p|--print|-pe)$/.test(flag)) i++;
    else if (!/^--(inspect|input-type)/.test(flag)) kept.push(flag);
  }
  return kept;
}

interface Mark {
  readonly fd: number;
  /** 0 where nothing was written. */
  read(at: number): number;
  close(): void;
}

/** A file without a name, into which the worker writes what it runs: it can be read when the worker is no more. */
function openMark(): Mark {
  const path = join(tmpdir(), `zerotask-${process.pid}-${randomUUID()}`);
  const fd = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  const bytes = Buffer.alloc(4);
  let last: Buffer | undefined;
  return {
    fd,
    read: (at) => {
      if (last !== undefined) return last.readInt32LE(at);
      bytes.fill(0);
      readSync(fd, bytes, 0, 4, at);
      return bytes.readInt32LE(0);
    },
    close: () => {
      last = Buffer.alloc(8);
      readSync(fd, last, 0, 8, 0);
      closeSync(fd);
    },
  };
}
