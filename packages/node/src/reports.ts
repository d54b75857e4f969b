// What running tasks tell the broker before they end: events, progress and lines of their logs, few messages for many.
import { BrokerMethod, measuredData, type Runtime, type Timer, toldData, toldMessage } from "zerotask-core";

export interface LogLine {
  /** By this machine's clock, in milliseconds since the epoch. */
  readonly at: number;
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly data?: unknown;
}

export interface Progress {
  /** From 0 to 1. */
  readonly fraction: number;
  readonly note?: string;
}

/** What a report is about. */
export interface Reported {
  /** The attempt: `<task_id>#<attempt>`. */
  readonly id: string;
  readonly link: number;
  /** Its outcome is told: nothing more is. */
  readonly isOver: boolean;
}

/**
 * Takes what goes to the broker of a run: the method and the params of a notification.
 * @param isDue it is not to be dropped
 * @returns whether it was taken: it is dropped where more is told than can be passed on
 */
export type Send = (
  run: Reported,
  method: string,
  params: { readonly [name: string]: unknown },
  isDue: boolean,
) => boolean;

interface Gathered {
  lines: LogLine[];
  /** About how many bytes they take up. */
  bytes: number;
  /** Until then further lines are gathered. */
  linesUntil: number;
  progress: Progress | undefined;
  /** Until then no further progress is sent. */
  quietUntil: number;
  lineTimer: Timer | undefined;
  progressTimer: Timer | undefined;
  /** How many events and lines were dropped, and not told of so far. */
  dropped: number;
  /** Until then that is not told. */
  droppedUntil: number;
}

/** How long lines are gathered that follow one that was told, and how far apart the progress of one task is told. */
const gatherMs = 10;
const progressMs = 100;
const maxLines = 200;
/** Of lines: what is told at once has to be within what a message may be. */
const maxBytes = 128 * 1024;
/** How far apart it is told how much of one task was dropped. */
const droppedMs = 1_000;

export class Reports {
  readonly #runtime: Runtime;
  readonly #send: Send;
  readonly #gathered = new Map<Reported, Gathered>();

  constructor(runtime: Runtime, send: Send) {
    this.#runtime = runtime;
    this.#send = send;
  }

  // A handler may go on beside its run, as with what it did not wait for: that is told nobody, and kept nowhere.

  event(run: Reported, event: string, data: unknown): void {
    if (run.isOver) return;
    // In the order in which it was told.
    this.#tell(run);
    this.#sendEvent(run, event, data);
  }

  progress(run: Reported, progress: Progress): void {
    if (run.isOver) return;
    const gathered = this.#of(run);
    const { quietUntil } = gathered;
    const now = this.#runtime.now();
    gathered.progress = progress;
    if (quietUntil <= now) this.#tellProgress(run, gathered);
    else gathered.progressTimer ??= this.#after(quietUntil - now, () => this.#tellProgress(run, gathered));
  }

  /** The first line is told at once: its handler may keep the thread busy from here on, or end the process. */
  log(run: Reported, line: LogLine): void {
    if (run.isOver) return;
    const gathered = this.#of(run);
    this.#add(gathered, line);
    const left = gathered.linesUntil - this.#runtime.now();
    const isMuch = gathered.lines.length >= maxLines || gathered.bytes >= maxBytes;
    if (left <= 0 || isMuch) this.#tellLines(run, gathered);
    else gathered.lineTimer ??= this.#after(left, () => this.#tellLines(run, gathered));
  }

  /** The process ends, and all runs with it: what was gathered is told now. */
  flushAll(): void {
    for (const run of [...this.#gathered.keys()]) this.flush(run);
  }

  /** The run ends: what was gathered is told before its answer, and nothing of it is kept. */
  flush(run: Reported): void {
    this.#tell(run);
    const gathered = this.#gathered.get(run);
    if (gathered === undefined) return;
    this.#tellDropped(run, gathered);
    this.#gathered.delete(run);
  }

  #add(gathered: Gathered, { at, level, ...line }: LogLine): void {
    const message = toldMessage(line.message);
    const { data, bytes } = measuredData(line.data);
    gathered.lines.push({ at, level, message, ...(data !== undefined && { data }) });
    gathered.bytes += bytes + Buffer.byteLength(message);
  }

  #of(run: Reported): Gathered {
    let gathered = this.#gathered.get(run);
    if (gathered === undefined) {
      gathered = {
        lines: [],
        bytes: 0,
        linesUntil: Number.NEGATIVE_INFINITY,
        progress: undefined,
        quietUntil: 0,
        lineTimer: undefined,
        progressTimer: undefined,
        dropped: 0,
        droppedUntil: 0,
      };
      this.#gathered.set(run, gathered);
    }
    return gathered;
  }

  #after(ms: number, callback: () => void): Timer {
    return this.#runtime.after(Math.ceil(ms), callback);
  }

  #tell(run: Reported): void {
    const gathered = this.#gathered.get(run);
    if (gathered === undefined) return;
    this.#tellLines(run, gathered);
    this.#tellProgress(run, gathered);
  }

  #tellLines(run: Reported, gathered: Gathered): void {
    gathered.lineTimer?.cancel();
    gathered.lineTimer = undefined;
    const { lines } = gathered;
    if (lines.length === 0) return;
    gathered.lines = [];
    gathered.bytes = 0;
    gathered.linesUntil = this.#runtime.now() + gatherMs;
    this.#pass(run, BrokerMethod.NodeTaskLog, { task_id: run.id, lines }, lines.length);
  }

  #tellProgress(run: Reported, gathered: Gathered): void {
    gathered.progressTimer?.cancel();
    gathered.progressTimer = undefined;
    const { progress } = gathered;
    if (progress === undefined) return;
    gathered.progress = undefined;
    gathered.quietUntil = this.#runtime.now() + progressMs;
    this.#sendEvent(run, "progress", progress);
  }

  #sendEvent(run: Reported, event: string, data: unknown): void {
    const told = toldData(data);
    const sent = told === undefined ? {} : { data: told };
    this.#pass(run, BrokerMethod.NodeTaskEvent, { task_id: run.id, event, ...sent }, 1);
  }

  /** @param count how many events or lines that is */
  #pass(run: Reported, method: string, params: { readonly [name: string]: unknown }, count: number): void {
    if (!this.#send(run, method, params, false)) {
      const gathered = this.#of(run);
      if (gathered.dropped === 0) gathered.droppedUntil = this.#runtime.now() + droppedMs;
      gathered.dropped += count;
      return;
    }
    const gathered = this.#gathered.get(run);
    if (gathered === undefined || gathered.dropped === 0) return;
    if (gathered.droppedUntil <= this.#runtime.now()) this.#tellDropped(run, gathered);
  }

  #tellDropped(run: Reported, gathered: Gathered): void {
    const { dropped } = gathered;
    if (dropped === 0) return;
    gathered.dropped = 0;
    const message = `Dropped events and lines of this task: ${dropped} (it told more than could be passed on)`;
    const line: LogLine = { at: Math.round(this.#runtime.wall()), level: "warn", message };
    this.#send(run, BrokerMethod.NodeTaskLog, { task_id: run.id, lines: [line] }, true);
  }
}
