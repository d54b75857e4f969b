// A worker that is a process of its own. It ends with its node, also when that is killed.
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { channelFd, readLines, wordBytes } from "../worker/pipe.ts";
import { isMemoryWord, isRevokedWord, orderWord, takenWord, unitWord, words } from "../worker/port.ts";
import { inheritedFlags } from "./inherited-flags.ts";
import { outOfMemory, type StartWorker, workerFile } from "./worker-handle.ts";

/** How long to wait for what a worker said last, when it is gone and its pipe is not. */
const lastWordsMs = 1_000;
const tailLength = 4_096;
/** What a shell makes of SIGABRT. */
const abortedCode = 134;

export const startProcess: StartWorker = ({ maxMemoryMb }, handlers) => {
  const mark = openMark();
  let child: ChildProcess;
  try {
    child = start(mark.fd, maxMemoryMb);
  } catch (error) {
    mark.close();
    throw error;
  }
  // Without a free file descriptor it has no pipes, and says later that it could not be started.
  const pipe = child.stdio?.[channelFd] as Socket | undefined;
  let tail = "";
  child.stderr?.on("data", (text: Buffer) => {
    process.stderr.write(text);
    tail = (tail + text.toString()).slice(-tailLength);
  });
  let why: string | undefined;
  const onTooLong = (): void => {
    why = `was ended, as it sent more than ${handlers.maxLine()} characters at once`;
    child.kill("SIGKILL");
  };
  if (pipe !== undefined)
    readLines(pipe, (text) => handlers.onText(text), { most: () => handlers.maxLine(), onTooLong });
  // What can't be sent any more is of no interest: the worker is gone, and that is told.
  pipe?.on("error", () => undefined);
  let isOver = false;
  const end = (how: string, isAborted = false): void => {
    if (isOver) return;
    isOver = true;
    // Tasks may print what they like.
    const isMemory = (isAborted && tail.includes("heap out of memory")) || mark.read(isMemoryWord) !== 0;
    handlers.onGone(isMemory ? outOfMemory(maxMemoryMb) : (why ?? how));
    mark.close();
    pipe?.destroy();
  };
  child.once("error", (error) => end(`could not be started (${error.message})`));
  child.once("exit", (code, signal) => {
    const how = signal === null ? `exited with code ${code}` : `was killed by ${signal}`;
    const isAborted = signal === "SIGABRT" || code === abortedCode;
    const timer = setTimeout(end, lastWordsMs, how, isAborted);
    child.once("close", () => {
      clearTimeout(timer);
      end(how, isAborted);
    });
  });
  return {
    send: (text) => void pipe?.write(`${text}\n`),
    running: () => mark.read(unitWord),
    revoke: () => {
      mark.write(isRevokedWord, 1);
      return mark.read(orderWord);
    },
    resume: () => mark.write(isRevokedWord, 0),
    tookReports: (total) => mark.write(takenWord, total | 0),
    end: () => void child.kill("SIGKILL"),
  };
};

function start(markFd: number, maxMemoryMb: number | undefined): ChildProcess {
  const flags = inheritedFlags(process.execArgv);
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

interface Mark {
  readonly fd: number;
  /** 0 where nothing was written. */
  read(word: number): number;
  write(word: number, value: number): void;
  close(): void;
}

/** A file without a name, with the words that both sides share: they can be read when the worker is no more. */
function openMark(): Mark {
  const path = join(tmpdir(), `zerotask-${process.pid}-${randomUUID()}`);
  const fd = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  const word = new Int32Array(1);
  let last: Int32Array | undefined;
  return {
    fd,
    read: (at) => {
      if (last !== undefined) return last[at] ?? 0;
      word[0] = 0;
      readSync(fd, word, 0, wordBytes, at * wordBytes);
      return word[0];
    },
    write: (at, value) => {
      if (last !== undefined) return;
      word[0] = value;
      writeSync(fd, word, 0, wordBytes, at * wordBytes);
    },
    close: () => {
      last = new Int32Array(words);
      readSync(fd, last, 0, words * wordBytes, 0);
      closeSync(fd);
    },
  };
}
