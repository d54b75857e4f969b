// Runs handlers in workers of one kind: performs the effects of the pure state machine of a pool.
import type { Params, Timer } from "zerotask-core";
import type { Run } from "../run.ts";
import type { PoolEffect, PoolEvent } from "../state/pool/pool-events.ts";
import { PoolState } from "../state/pool/pool-state.ts";
import type { Done, Executor } from "./executor.ts";
import { Gatherer } from "./gatherer.ts";
import type { PoolHost, PoolOptions } from "./pool-host.ts";
import { PoolWorker } from "./pool-worker.ts";
import { type Part, PoolUnit, stopPart } from "./unit.ts";

/** How many more workers there may be than asked for, while tasks wait for tasks that they called. */
const maxMore = 16;
/** How often it is looked which tasks workers run. */
const lookMs = 10;
/** How long workers may take to end by force, of which a thread may not be able to at once. */
const endMs = 2_000;
/** A timer that fires later than this was held up. */
const lateMs = 20;
const maxUnit = 2 ** 31 - 1;

export class Pool implements Executor {
  readonly #options: PoolOptions;
  readonly #host: PoolHost;
  readonly #state: PoolState<PoolUnit>;
  readonly #gatherer: Gatherer;
  readonly #workers = new Map<number, PoolWorker>();
  /** What has no outcome yet. */
  readonly #units = new Map<Run, PoolUnit>();
  readonly #events: PoolEvent<PoolUnit>[] = [];
  #isHandling = false;
  #lastUnit = 0;
  #tick: Timer | undefined;
  #look: Timer | undefined;
  #failure: string | undefined;
  #onOpened: ((failure?: string) => void) | undefined;
  #onEmpty: (() => void) | undefined;
  /** Nothing is given to workers any more, and none is started. */
  #isEnding = false;
  #onWorkerGone: ((worker: PoolWorker) => void) | undefined;

  constructor(options: PoolOptions, host: PoolHost) {
    this.#options = options;
    this.#host = host;
    this.#state = new PoolState({ size: options.workers, maxMore });
    this.#gatherer = new Gatherer(host.runtime, (unit) => this.#handle({ type: "submit", unit }));
  }

  /** Starts its workers. @throws Error when they can't be started, or don't serve what they should */
  async open(): Promise<void> {
    const failure = await new Promise<string | undefined>((resolve) => {
      this.#onOpened = resolve;
      this.#handle({ type: "start" });
    });
    if (failure !== undefined) throw new Error(failure);
  }

  start(run: Run, done: Done): void {
    const { method } = run.request;
    const rule = this.#options.methods.get(method);
    if (rule === undefined) {
      const unit = new PoolUnit(this.#nextUnit(), method, false);
      this.#add(unit, run, done);
      this.#handle({ type: "submit", unit });
      return;
    }
    const unit = this.#gatherer.unitOf(method, () => new PoolUnit(this.#nextUnit(), method, true));
    this.#add(unit, run, done);
    this.#gatherer.added(unit, rule);
  }

  abort(run: Run): void {
    const unit = this.#units.get(run);
    if (unit === undefined || this.#stopLoose(unit, run)) return;
    if (!unit.isBatch || unit.isUnwanted) this.#handle({ type: "abort", unit });
    else this.#workerOf(unit)?.abort(unit, indexOf(unit, run));
  }

  kill(run: Run): boolean {
    const unit = this.#units.get(run);
    const part = unit?.parts[indexOf(unit, run)];
    if (unit === undefined || part === undefined) return false;
    if (this.#stopLoose(unit, run)) return true;
    part.isKilled = true;
    this.#see(this.#workerOf(unit));
    this.#handle({ type: "kill", unit });
    return true;
  }

  onStream(run: Run, method: string, params: Params | undefined): void {
    const unit = this.#units.get(run);
    if (unit !== undefined) this.#workerOf(unit)?.onStream(unit, indexOf(unit, run), [method, params]);
  }

  resumeStreams(run: Run): void {
    const unit = this.#units.get(run);
    if (unit !== undefined) this.#workerOf(unit)?.onStream(unit, indexOf(unit, run), null);
  }

  recall(run: Run): void {
    const unit = this.#units.get(run);
    if (unit === undefined) return;
    if (this.#takeOutLoose(unit, run) !== undefined) {
      this.#units.delete(run);
      this.#host.onRecalled(run);
      return;
    }
    this.#see(this.#workerOf(unit));
    this.#handle({ type: "recall", unit });
  }

  flush(): void {
    this.#gatherer.flush();
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    const busy = [...this.#workers.values()].filter((worker) => worker.isBusy);
    if (busy.length === 0) return;
    const left = new Set(busy);
    await new Promise<void>((resolve) => {
      const timer = this.#host.runtime.after(endMs, resolve);
      this.#onWorkerGone = (worker) => {
        if (!left.delete(worker) || left.size > 0) return;
        timer.cancel();
        resolve();
      };
      for (const worker of busy) worker.end();
    });
  }

  async close(): Promise<void> {
    this.#isEnding = true;
    this.#onOpened?.();
    await Promise.all([...this.#workers.values()].map((worker) => worker.leave()));
    this.#handle({ type: "close" });
    if (this.#workers.size > 0) await this.#emptied();
    this.#tick?.cancel();
    this.#look?.cancel();
  }

  /** A thread in a native call ends when that does, which may be never. */
  #emptied(): Promise<void> {
    const { runtime, logger } = this.#host;
    return new Promise<void>((resolve) => {
      const timer = runtime.after(endMs, () => {
        logger.warn({ kind: this.#options.kind, workers: this.#workers.size }, "workers have not ended yet");
        resolve();
      });
      this.#onEmpty = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  /** From 1 on, as a worker notes it in 32 bits. */
  #nextUnit(): number {
    this.#lastUnit = this.#lastUnit >= maxUnit ? 1 : this.#lastUnit + 1;
    return this.#lastUnit;
  }

  #add(unit: PoolUnit, run: Run, done: Done): void {
    this.#units.set(run, unit);
    unit.add(run, (answer, tookMs) => {
      this.#units.delete(run);
      done(answer, tookMs);
    });
    this.#look ??= this.#host.runtime.after(lookMs, () => this.#lookAround());
  }

  /** Events that come up while effects are performed wait for their turn. */
  #handle(event: PoolEvent<PoolUnit>): void {
    this.#events.push(event);
    if (this.#isHandling) return;
    this.#isHandling = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        for (const effect of this.#state.handle(next, this.#host.runtime.now())) this.#perform(effect);
      }
    } finally {
      this.#isHandling = false;
    }
  }

  /** Takes a run out of a batch that no worker has: others of it go on. */
  #takeOutLoose(unit: PoolUnit, run: Run): Part | undefined {
    const isGathering = this.#gatherer.isGathering(unit);
    if (!isGathering && (unit.parts.length < 2 || this.#workerOf(unit) !== undefined)) return undefined;
    const part = unit.takeOut(run);
    if (unit.parts.length === 0) this.#gatherer.drop(unit);
    return part;
  }

  #stopLoose(unit: PoolUnit, run: Run): boolean {
    const part = this.#takeOutLoose(unit, run);
    if (part !== undefined) stopPart(part);
    return part !== undefined;
  }

  #perform(effect: PoolEffect<PoolUnit>): void {
    switch (effect.type) {
      case "give":
        if (!this.#isEnding) this.#workers.get(effect.worker)?.give(effect.unit, effect.beside);
        break;
      case "abort":
        for (const index of effect.unit.parts.keys())
          this.#workers.get(effect.worker)?.abort(effect.unit, index);
        break;
      case "spawn":
        if (!this.#isEnding) this.#spawn(effect.worker);
        break;
      case "revoke":
        this.#revoke(effect.worker);
        break;
      case "leave":
        this.#leave(effect.worker);
        break;
      case "end":
        if (effect.why !== undefined)
          this.#host.logger.warn({ kind: this.#options.kind, reason: effect.why }, "a worker is ended");
        this.#workers.get(effect.worker)?.end();
        break;
      case "up":
        this.#host.onUp(this.#options.rooms);
        break;
      case "wake":
        this.#wakeAt(effect.at);
        break;
      case "opened":
        this.#onOpened?.();
        break;
      case "unusable":
        this.#onOpened?.(this.#failure ?? `A worker ${this.#options.kind} ${effect.why} before it was ready`);
        break;
      default:
        this.#settle(effect);
    }
  }

  #settle(effect: Extract<PoolEffect<PoolUnit>, { type: "began" | "dropped" | "killed" | "failed" }>): void {
    const { unit } = effect;
    const onThrown = (run: Run, error: Error): void => this.#host.onThrown(run, error);
    if (effect.type === "began") for (const { run } of unit.parts) this.#host.onBegan(run);
    else if (effect.type === "failed")
      unit.fail(`Its worker ${this.#options.kind} ${effect.why} while it ran`, onThrown);
    else if (effect.type === "killed") unit.kill((run) => this.#handBack(run));
    else if (effect.isRecalled) for (const { run } of unit.parts) this.#handBack(run);
    else unit.stop();
  }

  /** Others may run it. */
  #handBack(run: Run): void {
    this.#units.delete(run);
    this.#host.onRecalled(run);
  }

  #revoke(id: number): void {
    const worker = this.#workers.get(id);
    if (worker !== undefined) this.#handle({ type: "revoked", worker: id, units: worker.revoke() });
  }

  /** It closes first what it has opened. */
  #leave(id: number): void {
    const worker = this.#workers.get(id);
    void worker?.leave().then(() => worker.end());
  }

  #spawn(id: number): void {
    const { kind } = this.#options;
    this.#host.logger.debug({ kind, worker: id }, "a worker starts");
    try {
      this.#workers.set(id, this.#start(id));
    } catch (error) {
      const why = `could not be started (${error instanceof Error ? error.message : String(error)})`;
      this.#host.logger.error({ kind, reason: why }, "a worker can't start");
      this.#handle({ type: "gone", worker: id, running: undefined, why });
    }
  }

  #start(id: number): PoolWorker {
    const { kind } = this.#options;
    const worker = new PoolWorker(id, this.#options, this.#host, {
      onReady: (methods) => {
        this.#host.logger.debug({ kind, worker: id }, "a worker is ready");
        const missing = [...this.#options.methods.keys()].filter((method) => !methods.includes(method));
        if (missing.length === 0) this.#handle({ type: "ready", worker: id });
        else
          this.#fail(
            worker,
            `Expected \`modules\` to serve ${missing.join(", ")}, as workers load nothing else`,
          );
      },
      onFailed: (message) => this.#fail(worker, message),
      onDone: (unit, tookMs) => this.#handle({ type: "answered", worker: id, unit, tookMs }),
      onGivenBack: (unit) => this.#handle({ type: "given-back", worker: id, unit }),
      onResumed: () => this.#handle({ type: "resumed", worker: id }),
      onWaiting: (unit, isWaiting) => this.#handle({ type: "waiting", worker: id, unit, isWaiting }),
      onGone: (why, running) => {
        this.#workers.delete(id);
        this.#host.logger.debug({ kind, worker: id, why }, "a worker is gone");
        this.#handle({ type: "gone", worker: id, running, why });
        this.#onWorkerGone?.(worker);
        if (this.#workers.size === 0) this.#onEmpty?.();
      },
    });
    return worker;
  }

  /** It can't run anything: that it is gone tells the rest. */
  #fail(worker: PoolWorker, message: string): void {
    this.#failure = message;
    this.#host.logger.error({ kind: this.#options.kind, reason: message }, "a worker can't start");
    worker.end();
  }

  #workerOf(unit: PoolUnit): PoolWorker | undefined {
    for (const worker of this.#workers.values()) if (worker.has(unit)) return worker;
    return undefined;
  }

  #lookAround(): void {
    this.#look = undefined;
    for (const worker of this.#workers.values()) this.#see(worker);
    if (this.#units.size > 0) this.#look = this.#host.runtime.after(lookMs, () => this.#lookAround());
  }

  #see(worker: PoolWorker | undefined): void {
    const unit = worker?.running();
    if (worker === undefined) return;
    if (unit !== undefined) this.#handle({ type: "seen", worker: worker.id, unit });
    else if (worker.isBusy) this.#handle({ type: "quiet", worker: worker.id });
  }

  #wakeAt(at: number): void {
    const { runtime } = this.#host;
    const tick = (): void => this.#handle({ type: "tick" });
    this.#tick?.cancel();
    this.#tick = runtime.after(Math.max(1, Math.ceil(at - runtime.now())), () => {
      // Where this thread was busy, what workers have said meanwhile comes first.
      if (runtime.now() < at + lateMs) tick();
      else this.#tick = runtime.after(1, tick);
    });
  }
}

function indexOf(unit: PoolUnit | undefined, run: Run): number {
  return unit?.parts.findIndex((part) => part.run === run) ?? -1;
}
