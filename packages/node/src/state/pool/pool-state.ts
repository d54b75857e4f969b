// A pool of workers as a pure state machine: who runs what, and what becomes of it when a worker dies.
import { Deque } from "zerotask-core";
import { RunTimes } from "./run-times.ts";
import { type Given, type Unit, WorkerSlot } from "./worker-slot.ts";

export type PoolEvent<U extends Unit> =
  | { readonly type: "start" }
  | { readonly type: "submit"; readonly unit: U }
  /** It has loaded its modules. */
  | { readonly type: "ready"; readonly worker: number }
  | { readonly type: "answered"; readonly worker: number; readonly unit: U; readonly tookMs: number }
  /** It waits for tasks that it called, or for none any more. */
  | { readonly type: "waiting"; readonly worker: number; readonly unit: U; readonly isWaiting: boolean }
  /** The worker had not begun it, and never will. */
  | { readonly type: "given-back"; readonly worker: number; readonly unit: U }
  /** The worker is seen to run it. */
  | { readonly type: "seen"; readonly worker: number; readonly unit: U }
  /** The worker is no more. `running`: what it began last, if anything. */
  | { readonly type: "gone"; readonly worker: number; readonly running: U | undefined; readonly why: string }
  /** Nobody wants its outcome any more. */
  | { readonly type: "abort"; readonly unit: U }
  /** It is to end, by force if it has begun. */
  | { readonly type: "kill"; readonly unit: U }
  /** Somebody else will run it, if it has not been given to a worker. */
  | { readonly type: "recall"; readonly unit: U }
  | { readonly type: "tick" }
  | { readonly type: "close" };

export type PoolEffect<U extends Unit> =
  | { readonly type: "spawn"; readonly worker: number }
  /** `beside`: though something waits there for tasks that it called. */
  | { readonly type: "give"; readonly worker: number; readonly unit: U; readonly beside: boolean }
  /** Its signal is to fire; where it has not begun, the worker gives it back. */
  | { readonly type: "abort"; readonly worker: number; readonly unit: U }
  /** The worker is to end, by force. */
  | { readonly type: "end"; readonly worker: number }
  | { readonly type: "began"; readonly unit: U }
  /** It was taken out before it began: nobody wants it, or somebody else will run it. */
  | { readonly type: "dropped"; readonly unit: U; readonly isRecalled: boolean }
  | { readonly type: "killed"; readonly unit: U }
  /** Its worker died while it ran. */
  | { readonly type: "failed"; readonly unit: U; readonly why: string }
  /** As many workers as there should be are ready, for the first time. */
  | { readonly type: "opened" }
  /** The first workers can't even start. */
  | { readonly type: "unusable"; readonly why: string }
  /** Send a `tick` at this time. */
  | { readonly type: "wake"; readonly at: number };

export interface PoolStateOptions {
  /** Workers that run tasks at once. */
  readonly size: number;
  /** How many more there may be while tasks wait for tasks that they called. */
  readonly maxMore: number;
}

/** A worker is given no more ahead than it should have done after this time, so that nothing waits long behind a long task. */
export const aheadMs = 5;
/** Nor is another worker woken for what one at work should have done by then: many small messages cost more than few. */
export const wakeMs = 0.5;
/** However short they are. */
const maxAhead = 1_000;
/** How long a worker is kept that is one too many. */
export const keepMs = 10_000;
/** How long to wait after workers that died without having done anything; doubled each time, up to the last. */
export const respawnMs = 100;
const maxRespawnMs = 10_000;

export class PoolState<U extends Unit> {
  readonly #options: PoolStateOptions;
  readonly #workers = new Map<number, WorkerSlot<U>>();
  readonly #times = new RunTimes();
  /** In order; those that were dropped are passed over. */
  #queue = new Deque<U>();
  readonly #queued = new Set<U>();
  #effects: PoolEffect<U>[] = [];
  #lastWorker = 0;
  #life: "new" | "opening" | "open" | "closed" = "new";
  /** Workers in a row that died without having done anything. */
  #failures = 0;
  #respawnAt: number | undefined;
  #wakeAt: number | undefined;

  constructor(options: PoolStateOptions) {
    this.#options = options;
  }

  /** Takes one event at the time `now` in milliseconds, and returns the effects to perform in order. */
  handle(event: PoolEvent<U>, now: number): PoolEffect<U>[] {
    this.#perform(event, now);
    if (this.#life !== "closed") this.#handOut(now);
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #perform(event: PoolEvent<U>, now: number): void {
    switch (event.type) {
      case "start":
        this.#life = "opening";
        while (this.#workers.size < this.#options.size) this.#spawn();
        break;
      case "submit":
        this.#enqueue(event.unit);
        break;
      case "recall":
        if (this.#queued.delete(event.unit)) this.#drop(event.unit, true);
        break;
      case "abort":
      case "kill":
        this.#onUnwanted(event.unit, event.type === "kill");
        break;
      case "tick":
        this.#wakeAt = undefined;
        if (this.#respawnAt !== undefined && this.#respawnAt <= now) this.#respawnAt = undefined;
        this.#retire(now);
        break;
      case "close":
        this.#close();
        break;
      default: {
        const worker = this.#workers.get(event.worker);
        if (worker !== undefined) this.#performOf(worker, event, now);
      }
    }
  }

  #performOf(
    worker: WorkerSlot<U>,
    event: Extract<PoolEvent<U>, { readonly worker: number }>,
    now: number,
  ): void {
    switch (event.type) {
      case "ready":
        this.#onReady(worker, now);
        break;
      case "answered":
        this.#onAnswered(worker, event.unit, event.tookMs, now);
        break;
      case "given-back":
        this.#onGivenBack(worker, event.unit, now);
        break;
      case "gone":
        this.#onGone(worker, event.running, event.why, now);
        break;
      case "waiting": {
        const given = worker.given.get(event.unit);
        if (given !== undefined) worker.setWaiting(given, event.isWaiting);
        break;
      }
      case "seen": {
        const given = worker.given.get(event.unit);
        if (given !== undefined) this.#onSeen(worker, given);
        break;
      }
    }
  }

  #enqueue(unit: U): void {
    this.#queued.add(unit);
    this.#queue.push(unit);
  }

  #onReady(worker: WorkerSlot<U>, now: number): void {
    if (worker.phase !== "starting") return;
    worker.phase = "ready";
    worker.idleSince = now;
    if (this.#life !== "opening") return;
    for (const { phase } of this.#workers.values()) if (phase !== "ready") return;
    this.#life = "open";
    this.#effects.push({ type: "opened" });
  }

  #onAnswered(worker: WorkerSlot<U>, unit: U, tookMs: number, now: number): void {
    if (worker.takeOut(unit) === undefined) return;
    worker.hasWorked = true;
    worker.idleSince = now;
    this.#failures = 0;
    this.#times.note(unit.method, tookMs);
    if (worker.given.size === 0 && this.#workers.size > this.#options.size) this.#wake(now + keepMs);
  }

  #onGivenBack(worker: WorkerSlot<U>, unit: U, now: number): void {
    const given = worker.takeOut(unit);
    if (given === undefined) return;
    worker.idleSince = now;
    this.#again([given]);
  }

  #onSeen(worker: WorkerSlot<U>, given: Given<U>): void {
    if (!given.hasBegun) {
      given.hasBegun = true;
      this.#effects.push({ type: "began", unit: given.unit });
    }
    if (given.isKilled) this.#end(worker);
  }

  #onUnwanted(unit: U, isKilled: boolean): void {
    if (this.#queued.delete(unit)) {
      this.#drop(unit, false);
      return;
    }
    for (const worker of this.#workers.values()) {
      const given = worker.given.get(unit);
      if (given === undefined) continue;
      given.isAborted = true;
      given.isKilled ||= isKilled;
      if (isKilled && given.hasBegun) this.#end(worker);
      else this.#effects.push({ type: "abort", worker: worker.id, unit });
    }
  }

  /**
   * What ran there has failed. What it was given beside that had not begun, or its answer got lost: it runs elsewhere.
   */
  #onGone(worker: WorkerSlot<U>, running: U | undefined, why: string, now: number): void {
    this.#workers.delete(worker.id);
    const left: Given<U>[] = [];
    for (const given of worker.given.values()) {
      const { unit, isKilled, isWaiting } = given;
      if (isKilled && (given.hasBegun || unit === running)) this.#effects.push({ type: "killed", unit });
      else if (unit === running || isWaiting) this.#effects.push({ type: "failed", unit, why });
      else left.push(given);
    }
    this.#again(left);
    if (worker.phase === "ending" || worker.hasWorked || worker.given.size > left.length) return;
    if (this.#life === "opening") {
      this.#effects.push({ type: "unusable", why });
      this.#close();
      return;
    }
    this.#respawnAt = now + Math.min(maxRespawnMs, respawnMs * 2 ** this.#failures++);
    this.#wake(this.#respawnAt);
  }

  /** They go on before all others. */
  #again(units: readonly Given<U>[]): void {
    const queue = new Deque<U>();
    let count = 0;
    for (const { unit, isAborted } of units) {
      if (isAborted) this.#drop(unit, false);
      else {
        this.#queued.add(unit);
        queue.push(unit);
        count++;
      }
    }
    if (count === 0) return;
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) queue.push(next);
    this.#queue = queue;
  }

  #handOut(now: number): void {
    for (let unit = this.#queue.peek(); unit !== undefined; unit = this.#queue.peek()) {
      if (!this.#queued.has(unit)) {
        this.#queue.shift();
        continue;
      }
      const expectedMs = this.#times.expect(unit.method);
      const worker = this.#workerFor(expectedMs);
      if (worker === undefined) break;
      this.#queue.shift();
      this.#queued.delete(unit);
      this.#effects.push({ type: "give", worker: worker.id, unit, beside: worker.waiting > 0 });
      const given = {
        unit,
        expectedMs,
        hasBegun: false,
        isWaiting: false,
        isAborted: false,
        isKilled: false,
      };
      worker.give(given);
    }
    this.#grow(now);
  }

  /**
   * One that will be done with what it has before an idle one could be woken; or an idle one, while fewer run something than
   * should at once; or, for what should be short, the one that will soonest be done.
   */
  #workerFor(expectedMs: number): WorkerSlot<U> | undefined {
    let best: WorkerSlot<U> | undefined;
    let idle: WorkerSlot<U> | undefined;
    let busy = 0;
    for (const worker of this.#workers.values()) {
      if (worker.isIdle) idle ??= worker;
      else if (worker.given.size > worker.waiting) busy++;
      const isOpen = worker.phase === "ready" && worker.waiting === 0 && worker.given.size < maxAhead;
      if (!isOpen || worker.isIdle || worker.aheadMs + expectedMs > aheadMs) continue;
      if (best === undefined || worker.aheadMs < best.aheadMs) best = worker;
    }
    if (best !== undefined && best.aheadMs + expectedMs <= wakeMs) return best;
    if (idle !== undefined && busy < this.#options.size) return idle;
    if (best !== undefined || this.#mayGrow || !this.#isShortOfWorkers) return best;
    // As a last resort: what waits may wait for this very task.
    for (const worker of this.#workers.values()) if (worker.mayRunBeside) return worker;
    return undefined;
  }

  get #isShortOfWorkers(): boolean {
    let active = 0;
    for (const worker of this.#workers.values()) if (worker.isActive) active++;
    return active < this.#options.size;
  }

  get #mayGrow(): boolean {
    const { size, maxMore } = this.#options;
    return this.#workers.size < size + maxMore;
  }

  /**
   * As many as there should be; and while something waits for them, as many again as have tasks that wait for others:
   * these may go on to call others, and a worker takes a while to start.
   */
  #grow(now: number): void {
    if (this.#life === "new" || (this.#respawnAt !== undefined && this.#respawnAt > now)) return;
    while (this.#workers.size < this.#options.size) this.#spawn();
    if (this.#queued.size === 0 || !this.#isShortOfWorkers) return;
    let more = 0;
    for (const { waiting } of this.#workers.values()) if (waiting > 0) more++;
    while (more-- > 0 && this.#mayGrow) this.#spawn();
  }

  #spawn(): void {
    const worker = new WorkerSlot<U>(++this.#lastWorker);
    this.#workers.set(worker.id, worker);
    this.#effects.push({ type: "spawn", worker: worker.id });
  }

  /** Ends idle workers that are too many. */
  #retire(now: number): void {
    let left = this.#workers.size - this.#options.size;
    let next = Number.POSITIVE_INFINITY;
    for (const worker of this.#workers.values()) {
      if (left <= 0) return;
      if (!worker.isIdle) continue;
      if (worker.idleSince + keepMs > now) next = Math.min(next, worker.idleSince + keepMs);
      else {
        left--;
        this.#end(worker);
      }
    }
    if (Number.isFinite(next)) this.#wake(next);
    else if (this.#respawnAt !== undefined) this.#wake(this.#respawnAt);
  }

  #end(worker: WorkerSlot<U>): void {
    if (worker.phase === "ending") return;
    worker.phase = "ending";
    this.#effects.push({ type: "end", worker: worker.id });
  }

  #close(): void {
    this.#life = "closed";
    for (const unit of this.#queued) this.#drop(unit, false);
    this.#queued.clear();
    for (const worker of this.#workers.values()) this.#end(worker);
  }

  #drop(unit: U, isRecalled: boolean): void {
    this.#effects.push({ type: "dropped", unit, isRecalled });
  }

  #wake(at: number): void {
    if (this.#wakeAt !== undefined && this.#wakeAt <= at) return;
    this.#wakeAt = at;
    this.#effects.push({ type: "wake", at });
  }
}
