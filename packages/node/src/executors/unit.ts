// What a pool gives to a worker at a time: one run, or the runs of one batch, and who waits for their outcomes.
import { ErrorCode, errorObject, failure } from "zerotask-core";
import type { Run } from "../run.ts";
import { ToWorker } from "../worker/protocol.ts";
import type { Done } from "./executor.ts";

export interface Part {
  readonly run: Run;
  readonly done: Done;
  isOver: boolean;
  isKilled: boolean;
}

export class PoolUnit {
  readonly number: number;
  readonly method: string;
  readonly isBatch: boolean;
  /** The how manieth of its worker. */
  order = 0;
  readonly parts: Part[] = [];

  constructor(number: number, method: string, isBatch: boolean) {
    this.number = number;
    this.method = method;
    this.isBatch = isBatch;
  }

  add(run: Run, done: Done): void {
    this.parts.push({ run, done, isOver: false, isKilled: false });
  }

  /** Takes out a run; the others stay. */
  takeOut(run: Run): Part | undefined {
    const at = this.parts.findIndex((part) => part.run === run);
    return at < 0 ? undefined : this.parts.splice(at, 1)[0];
  }

  /** What its node runs for itself nobody else can run. */
  get isBound(): boolean {
    return this.parts.some(({ run }) => run.isLocal);
  }

  get isPartlyDone(): boolean {
    return this.isBatch && this.parts.some(({ isOver }) => isOver);
  }

  get hasStreams(): boolean {
    return this.parts.some(({ run }) => run.hasStreams);
  }

  get isUnwanted(): boolean {
    return this.parts.every(({ run }) => run.isAborted);
  }

  /** The line that gives it to a worker. */
  line(beside: boolean): string {
    if (!this.isBatch) {
      const [part] = this.parts;
      if (part === undefined) return "";
      const letter = beside ? ToWorker.TaskBeside : ToWorker.Task;
      return `${letter} ${this.number} ${part.run.link} ${JSON.stringify(part.run.requestFromNow())}`;
    }
    const letter = beside ? ToWorker.BatchBeside : ToWorker.Batch;
    const tasks = this.parts.map(({ run }) => [run.link, run.requestFromNow()]);
    return `${letter} ${this.number} ${JSON.stringify(tasks)}`;
  }

  /** One of its runs has an outcome: the JSON of a response. */
  settle(index: number, text: string, tookMs?: number): void {
    const part = this.parts[index];
    if (part === undefined || part.isOver) return;
    part.isOver = true;
    part.done(text, tookMs);
  }

  /** Its runs that have no outcome yet fail. */
  fail(why: string, onThrown: (run: Run, error: Error) => void): void {
    for (const part of this.parts) {
      if (part.isOver) continue;
      part.isOver = true;
      const error = new WorkerDiedError(why);
      onThrown(part.run, error);
      const { name, message } = error;
      part.done(failure(part.run.id, errorObject(ErrorCode.TaskFailed, message, { name, message })));
    }
  }

  /** Its runs were stopped before they began. */
  stop(): void {
    for (const part of this.parts) stopPart(part);
  }

  /** It was ended by force. Others of its batch, that nobody wanted to end, are given to `handBack` first. */
  kill(handBack: (run: Run) => void): void {
    const killed = this.parts.filter(({ isKilled }) => isKilled);
    for (const part of this.parts) {
      if (part.isOver || part.isKilled) continue;
      part.isOver = true;
      handBack(part.run);
    }
    for (const part of killed) {
      if (part.isOver) continue;
      part.isOver = true;
      part.done(failure(part.run.id, errorObject(ErrorCode.TaskStopped, "Killed while it ran")));
    }
  }
}

/** It was stopped before it began. */
export function stopPart(part: Part): void {
  if (part.isOver) return;
  part.isOver = true;
  const error = errorObject(ErrorCode.TaskStopped, "Stopped before it began to run", {
    how: "never-started",
  });
  part.done(failure(part.run.id, error));
}

/** What a task failed with whose worker died. */
class WorkerDiedError extends Error {
  override readonly name = "WorkerDiedError";

  constructor(message: string) {
    super(message);
    // Where the node noticed it tells nothing.
    this.stack = `WorkerDiedError: ${message}`;
  }
}
