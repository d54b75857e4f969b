// Runs what a worker was given: one after another, and something else only while that waits for tasks that it called.
import { type Dispatcher, encodeResponse, type Response, systemRuntime } from "zerotask-core";
import { answerWithin } from "../answer-size.ts";
import { Run } from "../run.ts";
import type { RunHost } from "../run-context.ts";
import { type Lines, orderAfter, type Port } from "./port.ts";
import { FromWorker, noUnit } from "./protocol.ts";

/** A run in a worker: the number of its unit, and its place there. */
export class WorkerRun extends Run {
  readonly unit: number;
  readonly index: number;

  constructor(
    unit: number,
    index: number,
    link: number,
    request: ConstructorParameters<typeof Run>[2],
    host: RunHost,
  ) {
    super(link, String(request.id), request, host);
    this.unit = unit;
    this.index = index;
  }
}

interface Job {
  readonly unit: number;
  /** The how manieth it is that this worker was given. */
  readonly order: number;
  readonly runs: readonly WorkerRun[];
  readonly isBatch: boolean;
  readonly isBeside: boolean;
  /** How many of its runs wait for tasks that they called. */
  waiting: number;
  begunAt: number;
}

export class Jobs {
  readonly #dispatcher: Dispatcher;
  readonly #lines: Lines;
  readonly #port: Port;
  /** The most bytes that the broker of a link takes. */
  readonly #mostOf: (link: number) => number;
  /** In order; taken from `#next` on. */
  #queue: Job[] = [];
  #next = 0;
  readonly #begun = new Map<number, Job>();
  /** Of those begun, how many wait. */
  #waiting = 0;
  #isRunning = false;
  #lastOrder = 0;

  constructor(dispatcher: Dispatcher, lines: Lines, port: Port, mostOf: (link: number) => number) {
    this.#mostOf = mostOf;
    this.#dispatcher = dispatcher;
    this.#lines = lines;
    this.#port = port;
  }

  add(unit: number, runs: readonly WorkerRun[], isBatch: boolean, isBeside: boolean): void {
    this.#lastOrder = orderAfter(this.#lastOrder);
    this.#queue.push({ unit, order: this.#lastOrder, runs, isBatch, isBeside, waiting: 0, begunAt: 0 });
  }

  /** Begins whatever may begin. */
  run(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (let job = this.#take(); job !== undefined; job = this.#take()) this.#begin(job);
    this.#isRunning = false;
    if (this.#begun.size === 0) this.#lines.flush();
    else this.#lines.flushSoon();
  }

  /** A run that has begun and not ended. */
  runOf(unit: number, index: number): WorkerRun | undefined {
    return this.#begun.get(unit)?.runs[index];
  }

  /** Nobody wants the outcome of this run any more. */
  abort(unit: number, index: number): void {
    const begun = this.#begun.get(unit);
    if (begun !== undefined) {
      begun.runs[index]?.abort();
      return;
    }
    const at = this.#queue.findIndex((job, place) => place >= this.#next && job.unit === unit);
    const job = this.#queue[at];
    if (job === undefined) return;
    job.runs[index]?.abort();
    // Others of it may still be wanted.
    if (!job.runs.every(({ isAborted }) => isAborted)) return;
    this.#queue.splice(at, 1);
    this.#lines.send(`${FromWorker.GivenBack} ${unit}`);
  }

  /** The node has seen that what it began last takes long. */
  revoke(): void {
    for (const { unit } of this.#queue.slice(this.#next)) this.#lines.add(`${FromWorker.GivenBack} ${unit}`);
    this.#queue = [];
    this.#next = 0;
    this.#lines.send(FromWorker.Revoked);
  }

  /** A run waits for tasks that it called, or for none any more. */
  onWaiting({ unit, index }: WorkerRun, change: 1 | -1): void {
    const job = this.#begun.get(unit);
    if (job === undefined) return;
    const before = job.waiting;
    job.waiting += change;
    this.#lines.add(`${FromWorker.Waiting} ${unit} ${change > 0 ? 1 : 0} ${index}`);
    if (before === 0 && change > 0) {
      this.#waiting++;
      this.#giveBack();
    } else if (job.waiting === 0) {
      this.#waiting--;
      this.#port.mark(unit);
    }
    this.#lines.flush();
    queueMicrotask(() => this.run());
  }

  #take(): Job | undefined {
    const job = this.#queue[this.#next];
    if (job === undefined || this.#begun.size > this.#waiting) return undefined;
    if (this.#waiting > 0 && !job.isBeside) {
      this.#giveBack();
      return this.#take();
    }
    // Where it is revoked, the line that says so is on its way.
    if (!this.#port.claim(job.unit, job.order)) return undefined;
    this.#next++;
    if (this.#next === this.#queue.length) {
      this.#queue = [];
      this.#next = 0;
    }
    return job;
  }

  /** Others would wait here for a task that waits, perhaps for these very tasks. */
  #giveBack(): void {
    const kept: Job[] = [];
    for (const job of this.#queue.slice(this.#next)) {
      if (job.isBeside) kept.push(job);
      else this.#lines.add(`${FromWorker.GivenBack} ${job.unit}`);
    }
    this.#queue = kept;
    this.#next = 0;
  }

  #begin(job: Job): void {
    const { unit, runs, isBatch } = job;
    job.begunAt = performance.now();
    this.#begun.set(unit, job);
    if (isBatch) this.#beginBatch(job);
    else for (const run of runs) this.#dispatch(run, (text) => this.#end(job, text));
  }

  #beginBatch(job: Job): void {
    let left = job.runs.length;
    for (const run of job.runs) {
      this.#dispatch(run, (text) => {
        this.#lines.add(`${FromWorker.Part} ${job.unit} ${run.index} ${text}`);
        if (--left === 0) this.#end(job, "");
      });
    }
    // Whatever the rule of the batch says: the node has gathered them.
    this.#dispatcher.flush();
  }

  /** @param done takes the JSON of the response */
  #dispatch(run: WorkerRun, done: (text: string) => void): void {
    const { streams } = run;
    const onEnd = (response: Response | undefined): void => {
      run.end();
      if (response === undefined) return;
      const text = encodeResponse(streams === undefined ? response : streams.checked(response));
      done(answerWithin(run.id, text, this.#mostOf(run.link)));
    };
    const request = streams === undefined ? run.request : streams.withInputs(run.request);
    this.#dispatcher.dispatch(request, onEnd, run, systemRuntime);
  }

  #end(job: Job, text: string): void {
    this.#begun.delete(job.unit);
    if (job.waiting > 0) this.#waiting--;
    const now = performance.now();
    this.#lines.add(`${FromWorker.Done} ${job.unit} ${Math.round((now - job.begunAt) * 1_000)} ${text}`);
    if (this.#isRunning) this.#lines.flushAt(now);
    else this.run();
    if (this.#begun.size === 0 && this.#next === this.#queue.length) this.#port.mark(noUnit);
  }
}
