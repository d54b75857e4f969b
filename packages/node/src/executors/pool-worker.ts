// One worker as its pool has it: the lines for it, gathered until the pool is done with an event, and its connections.
import { defaultLimits, type ItemLimits } from "zerotask-core";
import { closeAllMs } from "../pipeline/resources.ts";
import type { Run } from "../run.ts";
import { isLater, orderAfter } from "../worker/port.ts";
import {
  FromWorker,
  type Init,
  Line,
  type LinkInfo,
  lineSlack,
  type StreamPush,
  ToWorker,
} from "../worker/protocol.ts";
import { thrownFromText } from "../worker/thrown.ts";
import { logRecordFrom } from "../worker/worker-logger.ts";
import type { PoolHost, PoolOptions } from "./pool-host.ts";
import { TakenReports } from "./taken-reports.ts";
import type { PoolUnit } from "./unit.ts";
import type { WorkerHandle } from "./worker-handle.ts";
import { WorkerSockets } from "./worker-sockets.ts";

export interface PoolWorkerHandlers {
  onReady(methods: readonly string[]): void;
  onFailed(message: string): void;
  onDone(unit: PoolUnit, tookMs: number): void;
  onGivenBack(unit: PoolUnit): void;
  /** It begins again what it is given. */
  onResumed(): void;
  onWaiting(unit: PoolUnit, isWaiting: boolean): void;
  /** @param running what it had begun last */
  onGone(why: string, running: PoolUnit | undefined): void;
}

/** A little more than what it opened has to be closed in; and no more than a node waits for that which ends by a signal. */
const leaveMs = closeAllMs + 500;

const levels = ["debug", "info", "warn", "error"] as const;

export class PoolWorker {
  readonly id: number;
  readonly #host: PoolHost;
  readonly #handlers: PoolWorkerHandlers;
  readonly #handle: WorkerHandle;
  readonly #sockets: WorkerSockets;
  readonly #reports: TakenReports;
  readonly #units = new Map<number, PoolUnit>();
  /** How many runs of a batch wait for others. */
  readonly #waiting = new Map<PoolUnit, number>();
  /** The brokers that it knows of, and what it knows of them. */
  readonly #links = new Map<number, ItemLimits>();
  #lines: string[] = [];
  #isGone = false;
  /** Of any broker that it knows of. */
  #maxMessageBytes: number = defaultLimits.maxMessageBytes;
  #lastOrder = 0;
  #onLeft: (() => void) | undefined;
  #leaving: Promise<void> | undefined;

  constructor(id: number, options: PoolOptions, host: PoolHost, handlers: PoolWorkerHandlers) {
    this.id = id;
    const { startWorker, maxMemoryMb, modules, captureConsole } = options;
    this.#host = host;
    this.#handlers = handlers;
    this.#sockets = new WorkerSockets(
      host.dial,
      (link) => host.endpoint(link),
      (line) => this.#send(line),
    );
    this.#handle = startWorker(
      { maxMemoryMb },
      {
        onText: (text) => this.#take(text),
        maxLine: () => this.#maxMessageBytes + lineSlack,
        onGone: (why) => this.#onGone(why),
      },
    );
    this.#reports = new TakenReports(host, (total) => this.#handle.tookReports(total));
    const init: Init = { modules, captureConsole };
    this.#send(`${ToWorker.Init} ${JSON.stringify(init)}`);
  }

  /** What it has begun last, and has not answered. */
  running(): PoolUnit | undefined {
    return this.#units.size === 0 ? undefined : this.#units.get(this.#handle.running());
  }

  give(unit: PoolUnit, beside: boolean): void {
    this.#lastOrder = orderAfter(this.#lastOrder);
    unit.order = this.#lastOrder;
    this.#units.set(unit.number, unit);
    for (const { run } of unit.parts) this.#introduce(run);
    this.#send(unit.line(beside));
    if (!unit.isBatch) return;
    for (const [index, { run }] of unit.parts.entries()) if (run.isAborted) this.abort(unit, index);
  }

  /** Nobody wants the outcome of one of its runs any more. */
  abort(unit: PoolUnit, index: number): void {
    this.#send(`${ToWorker.Abort} ${unit.number} ${index}`);
  }

  /** What a broker pushed for the streams of one of its runs; or the connection to the broker is there again. */
  onStream(unit: PoolUnit, index: number, pushed: StreamPush | null): void {
    this.#send(`${ToWorker.Stream} ${unit.number} ${index} ${JSON.stringify(pushed)}`);
  }

  /** What it has not begun it never will; it tells when it may be given something again. @returns what that is */
  revoke(): PoolUnit[] {
    const last = this.#handle.revoke();
    const revoked = [...this.#units.values()].filter(({ order }) => isLater(order, last));
    for (const { number } of revoked) this.#takeOut(number);
    this.#send(ToWorker.Revoke);
    return revoked;
  }

  has(unit: PoolUnit): boolean {
    return this.#units.has(unit.number);
  }

  /** Whether it has anything that it has not answered. */
  get isBusy(): boolean {
    return this.#units.size > 0;
  }

  /** Ends it at once. */
  end(): void {
    this.#handle.end();
  }

  /** Lets it close what it has opened. One that still runs something is past that. */
  leave(): Promise<void> {
    if (this.#units.size > 0 || this.#isGone) return Promise.resolve();
    this.#leaving ??= new Promise<void>((resolve) => {
      const timer = this.#host.runtime.after(leaveMs, resolve);
      this.#onLeft = () => {
        timer.cancel();
        resolve();
      };
      this.#send(ToWorker.Leave);
    });
    return this.#leaving;
  }

  /** It is to know where a task comes from before the task, and what may go there. */
  #introduce({ link }: Run): void {
    const limits = this.#host.limits(link);
    const before = this.#links.get(link);
    if (before?.bytes === limits.bytes && before.depth === limits.depth) return;
    this.#links.set(link, limits);
    this.#maxMessageBytes = Math.max(this.#maxMessageBytes, limits.bytes);
    const known: LinkInfo = { endpoint: this.#host.endpoint(link), limits };
    this.#send(`${ToWorker.Link} ${link} ${JSON.stringify(known)}`);
  }

  /** What one message of a broker brings goes to the worker in one. */
  #send(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const lines = this.#lines;
    this.#lines = [];
    this.#handle.send(lines.length === 1 ? (lines[0] ?? "") : lines.join("\n"));
  }

  #onGone(why: string): void {
    const running = this.running();
    this.#isGone = true;
    this.#onLeft?.();
    this.#sockets.close();
    this.#reports.close();
    this.#handlers.onGone(why, running);
  }

  /** Whatever a task makes its worker say ends that worker at most. */
  #take(text: string): void {
    try {
      for (const line of text.split("\n")) this.#takeLine(new Line(line));
    } catch (error) {
      this.#host.logger.error({ error }, "a worker is ended, as it said what can't be understood");
      this.end();
    }
  }

  #takeLine(line: Line): void {
    switch (line.letter) {
      case FromWorker.Done:
        this.#onDone(line);
        break;
      case FromWorker.Part:
        this.#units.get(line.number())?.settle(line.number(), line.rest());
        break;
      case FromWorker.Report: {
        const link = line.number();
        const text = line.rest();
        const [method, params] = JSON.parse(text) as [string, { [name: string]: unknown }];
        this.#host.report(link, method, params);
        this.#reports.took(link, text.length);
        break;
      }
      case FromWorker.Thrown: {
        const run = this.#units.get(line.number())?.parts[line.number()]?.run;
        if (run !== undefined) this.#host.onThrown(run, thrownFromText(line.rest()));
        break;
      }
      case FromWorker.Waiting:
        this.#onWaiting(line);
        break;
      case FromWorker.GivenBack: {
        const unit = this.#takeOut(line.number());
        if (unit !== undefined) this.#handlers.onGivenBack(unit);
        break;
      }
      case FromWorker.Revoked:
        this.#handle.resume();
        this.#handlers.onResumed();
        break;
      case FromWorker.Ready:
        this.#handlers.onReady(JSON.parse(line.rest()) as string[]);
        break;
      case FromWorker.Failed:
        this.#handlers.onFailed(JSON.parse(line.rest()) as string);
        break;
      case FromWorker.Log:
        this.#onLog(line.rest());
        break;
      case FromWorker.Left:
        this.#onLeft?.();
        break;
      case FromWorker.Stream:
        this.#host.send(line.number(), line.rest());
        break;
      default:
        this.#sockets.take(line);
    }
  }

  #onLog(text: string): void {
    const { level, data, message } = logRecordFrom(text);
    if (!levels.includes(level)) throw new RangeError(`Expected one of ${levels.join(", ")}, got ${level}`);
    this.#host.logger[level]({ worker: this.id, ...data }, message);
    this.#reports.took(0, text.length);
  }

  #onDone(line: Line): void {
    const unit = this.#takeOut(line.number());
    const tookMs = line.number() / 1_000;
    if (unit === undefined) return;
    this.#handlers.onDone(unit, tookMs);
    if (!unit.isBatch) unit.settle(0, line.rest(), tookMs);
  }

  #takeOut(number: number): PoolUnit | undefined {
    const unit = this.#units.get(number);
    if (unit === undefined) return undefined;
    this.#units.delete(number);
    if (this.#waiting.size > 0) this.#waiting.delete(unit);
    return unit;
  }

  #onWaiting(line: Line): void {
    const unit = this.#units.get(line.number());
    const change = line.number() === 1 ? 1 : -1;
    const run = unit?.parts[line.number()]?.run;
    if (unit === undefined || run === undefined) return;
    const before = this.#waiting.get(unit) ?? 0;
    const after = before + change;
    if (after > 0) this.#waiting.set(unit, after);
    else this.#waiting.delete(unit);
    this.#host.onWaiting(run, change);
    if (before === 0 || after === 0) this.#handlers.onWaiting(unit, after > 0);
  }
}
