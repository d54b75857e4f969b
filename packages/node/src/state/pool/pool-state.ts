// A pool of workers as a pure state machine: who runs what, and what becomes of it when a worker dies.
import { Backlog } from "./backlog.ts";
import { endDue, hasBeenHeard, isTooQuiet, lingerMs } from "./patience.ts";
import type { PoolEffect, PoolEvent, PoolEventOf } from "./pool-events.ts";
import { RunTimes } from "./run-times.ts";
import { Starts } from "./starts.ts";
import { isShortOfWorkers, mayGrow, type PoolStateOptions, startMs, workerFor } from "./worker-choice.ts";
import { type Given, givenOf, type Unit, WorkerSlot } from "./worker-slot.ts";

/** How long a worker is kept that is one too many. */
export const keepMs = 10_000;
/** What has run this long may run long: nothing is to wait behind it. */
export const stuckMs = 10;
/** Most workers that start at once beyond those that there should be: they hold each other up. */
const maxStarting = 2;

export class PoolState<U extends Unit> {
  readonly #options: PoolStateOptions;
  readonly #workers = new Map<number, WorkerSlot<U>>();
  readonly #times = new RunTimes();
  readonly #backlog = new Backlog<U>();
  #effects: PoolEffect<U>[] = [];
  #lastWorker = 0;
  #life: "new" | "opening" | "open" | "closed" = "new";
  readonly #starts = new Starts();
  /** Workers that should have ended by now. */
  #givenUp = 0;
  /** All was handed back, as there was no worker. */
  #hasHandedBack = false;
  #wakeAt: number | undefined;

  constructor(options: PoolStateOptions) {
    this.#options = options;
  }

  /** Takes one event at the time `now` in milliseconds, and returns the effects to perform in order. */
  handle(event: PoolEvent<U>, now: number): PoolEffect<U>[] {
    this.#perform(event, now);
    if (this.#backlog.size > 0 && this.#isDown(now)) this.#handBackAll();
    if (this.#life !== "closed") this.#handOut(now);
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #perform(event: PoolEvent<U>, now: number): void {
    switch (event.type) {
      case "start":
        this.#life = "opening";
        while (this.#workers.size < this.#options.size) this.#spawn(now);
        break;
      case "submit":
        this.#backlog.push(event.unit);
        break;
      case "recall":
        this.#onRecalled(event.unit);
        break;
      case "abort":
      case "kill":
        this.#onUnwanted(event.unit, event.type === "kill", now);
        break;
      case "tick":
        this.#wakeAt = undefined;
        this.#starts.onTick(now);
        this.#endOverdue(now);
        this.#giveUp(now);
        this.#retire(now);
        break;
      case "close":
        this.#close(now);
        break;
      default: {
        const worker = this.#workers.get(event.worker);
        if (worker !== undefined) this.#performOf(worker, event, now);
      }
    }
  }

  #performOf(worker: WorkerSlot<U>, event: PoolEventOf<U>, now: number): void {
    switch (event.type) {
      case "ready":
        this.#onReady(worker, now);
        break;
      case "answered":
        this.#onAnswered(worker, event.unit, event.tookMs, now);
        break;
      case "given-back":
        this.#onGivenBack(worker, [event.unit], now);
        break;
      case "revoked":
        this.#onGivenBack(worker, event.units, now);
        worker.hasOnlyBegun = true;
        for (const { isKilled } of worker.given.values()) if (isKilled) this.#end(worker, now);
        this.#wakeToEnd(worker);
        break;
      case "resumed":
        worker.isRevoked = false;
        worker.hasOnlyBegun = false;
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
        if (given !== undefined) this.#onSeen(worker, given, now);
        break;
      }
      case "quiet":
        if (worker.hasMoreToBegin && isTooQuiet(worker, now)) this.#revoke(worker);
        break;
    }
  }

  #onReady(worker: WorkerSlot<U>, now: number): void {
    if (worker.phase !== "starting") return;
    worker.phase = "ready";
    this.#starts.onReady(now - worker.idleSince);
    worker.idleSince = now;
    if (this.#hasHandedBack) this.#effects.push({ type: "up" });
    this.#hasHandedBack = false;
    if (this.#life !== "opening") return;
    for (const { phase } of this.#workers.values()) if (phase !== "ready") return;
    this.#life = "open";
    this.#effects.push({ type: "opened" });
  }

  #onAnswered(worker: WorkerSlot<U>, unit: U, tookMs: number, now: number): void {
    if (worker.takeOut(unit) === undefined) return;
    worker.hasWorked = true;
    worker.idleSince = now;
    hasBeenHeard(worker);
    if (worker.isRevoked) this.#wakeToEnd(worker);
    this.#starts.onWorked();
    this.#times.note(unit.method, tookMs);
    if (worker.given.size === 0 && this.#count > this.#options.size) this.#wake(now + keepMs);
  }

  #onGivenBack(worker: WorkerSlot<U>, units: readonly U[], now: number): void {
    const back: Given<U>[] = [];
    for (const unit of units) {
      const given = worker.takeOut(unit);
      if (given !== undefined) back.push(given);
    }
    if (back.length === 0) return;
    worker.idleSince = now;
    worker.quietSince = undefined;
    this.#again(back);
  }

  #onSeen(worker: WorkerSlot<U>, given: Given<U>, now: number): void {
    if (!given.hasBegun) {
      given.hasBegun = true;
      this.#effects.push({ type: "began", unit: given.unit });
    }
    given.seenAt ??= now;
    hasBeenHeard(worker);
    if (given.isKilled) this.#end(worker, now);
    else if (now - given.seenAt >= stuckMs && worker.markLong(given)) this.#revoke(worker);
  }

  /** Whatever has nothing to do but does not hear what it is told is kept busy by what it ran before. */
  #endOverdue(now: number): void {
    for (const worker of this.#workers.values()) {
      const due = endDue(worker, this.#mostLoadMs);
      if (due === undefined) continue;
      if (due.at > now) this.#wake(due.at);
      else {
        if (worker.phase === "starting") this.#wake(this.#starts.onFailed(now));
        this.#end(worker, now, due.why);
      }
    }
  }

  /** What can't end yet still has its task, but others are not to wait for it. */
  #giveUp(now: number): void {
    for (const worker of this.#workers.values()) {
      const { endingSince, isGivenUp } = worker;
      if (endingSince === undefined || isGivenUp) continue;
      if (endingSince + lingerMs > now) this.#wake(endingSince + lingerMs);
      else {
        worker.isGivenUp = true;
        this.#givenUp++;
      }
    }
  }

  #wakeToEnd(worker: WorkerSlot<U>): void {
    const due = endDue(worker, this.#mostLoadMs);
    if (due !== undefined) this.#wake(due.at);
  }

  /** The first workers may take as long as they need. */
  get #mostLoadMs(): number {
    return this.#life === "open" ? this.#starts.mostLoadMs : Number.POSITIVE_INFINITY;
  }

  /** What it has not begun, where it has anything: it would wait there for long. */
  #revoke(worker: WorkerSlot<U>): void {
    if (worker.isRevoked || worker.phase !== "ready" || !worker.hasMoreToBegin) return;
    worker.isRevoked = true;
    this.#effects.push({ type: "revoke", worker: worker.id });
  }

  #onUnwanted(unit: U, isKilled: boolean, now: number): void {
    if (this.#backlog.takeOut(unit)) {
      this.#drop(unit, false);
      return;
    }
    for (const worker of this.#workers.values()) {
      const given = worker.given.get(unit);
      if (given === undefined) continue;
      given.isAborted = true;
      given.isKilled ||= isKilled;
      if (isKilled && (given.hasBegun || worker.hasOnlyBegun)) this.#end(worker, now);
      else {
        this.#effects.push({ type: "abort", worker: worker.id, unit });
        if (!given.hasBegun) this.#revoke(worker);
      }
    }
  }

  #onRecalled(unit: U): void {
    if (this.#backlog.takeOut(unit)) {
      this.#drop(unit, true);
      return;
    }
    for (const worker of this.#workers.values()) {
      const given = worker.given.get(unit);
      if (given === undefined || given.hasBegun) continue;
      given.isRecalled = true;
      this.#revoke(worker);
    }
  }

  /**
   * What was seen to run there has failed: no attempt runs twice of which that is known. What else it was given had not
   * begun, or its answer got lost: it runs elsewhere. Where the pool itself ended the worker, what runs beside what was to
   * be killed is no failure: somebody may run it again.
   */
  #onGone(worker: WorkerSlot<U>, running: U | undefined, why: string, now: number): void {
    this.#workers.delete(worker.id);
    if (worker.isGivenUp) this.#givenUp--;
    const wasEnded = worker.phase === "ending" && this.#life !== "closed";
    const left: Given<U>[] = [];
    const innocent: U[] = [];
    for (const given of worker.given.values()) {
      const { unit, isKilled } = given;
      const isKnown = unit === running || given.hasBegun || unit.isPartlyDone === true;
      const isBegun = isKnown || (wasEnded && worker.hasOnlyBegun);
      if (!isBegun) left.push(given);
      else if (isKilled) this.#effects.push({ type: "killed", unit });
      else if (wasEnded && !given.isAborted && mayRunAgain(unit)) innocent.push(unit);
      else this.#effects.push({ type: "failed", unit, why });
    }
    this.#again(left);
    for (const unit of innocent) this.#drop(unit, true);
    // There is room for them here, too.
    if (innocent.length > 0) this.#effects.push({ type: "up" });
    if (worker.phase === "ending" || worker.hasWorked || worker.given.size > left.length) return;
    if (this.#life === "opening") {
      this.#effects.push({ type: "unusable", why });
      this.#close(now);
      return;
    }
    this.#wake(this.#starts.onFailed(now));
  }

  /** They go on before all others, if somebody wants them here. */
  #again(units: readonly Given<U>[]): void {
    const wanted: U[] = [];
    for (const { unit, isAborted, isRecalled } of units) {
      if (isAborted || isRecalled) this.#drop(unit, !isAborted);
      else wanted.push(unit);
    }
    this.#backlog.putFirst(wanted);
    // What was in a batch with it went back, too, and nothing that runs here may tell of the room for that.
    if (units.some(({ isRecalled }) => isRecalled)) this.#effects.push({ type: "up" });
  }

  #handOut(now: number): void {
    for (let unit = this.#backlog.peek(); unit !== undefined; unit = this.#backlog.peek()) {
      const expectedMs = this.#times.expect(unit.method);
      const worker = workerFor(this.#workers, this.#options, expectedMs, now);
      if (worker === undefined) break;
      this.#backlog.shift();
      this.#effects.push({ type: "give", worker: worker.id, unit, beside: worker.waiting > 0 });
      worker.give(givenOf(unit, expectedMs));
    }
    this.#grow(now);
  }

  /**
   * As many as there should be; and while something waits for them, as many again as have tasks that wait for others:
   * these may go on to call others, and a worker takes a while to start.
   */
  #grow(now: number): void {
    if (this.#life === "new" || !this.#starts.mayStart(now)) return;
    while (this.#count < this.#options.size && mayGrow(this.#workers, this.#options)) this.#spawn(now);
    if (this.#backlog.size === 0) return;
    let more = 0;
    let starting = 0;
    for (const { waiting, phase } of this.#workers.values()) {
      if (waiting > 0) more++;
      if (phase === "starting") starting++;
    }
    if (!isShortOfWorkers(this.#workers, this.#options, Number.NEGATIVE_INFINITY)) return;
    more = Math.min(more, maxStarting - starting);
    while (more-- > 0 && mayGrow(this.#workers, this.#options)) {
      this.#spawn(now);
      this.#wake(now + startMs);
    }
  }

  #spawn(now: number): void {
    const worker = new WorkerSlot<U>(++this.#lastWorker, now);
    this.#workers.set(worker.id, worker);
    this.#effects.push({ type: "spawn", worker: worker.id });
    this.#wakeToEnd(worker);
  }

  /** There is no worker, and none will be ready soon: others may have some. */
  #isDown(now: number): boolean {
    if (this.#life !== "open") return false;
    for (const { phase } of this.#workers.values()) if (phase === "ready") return false;
    const hopelessAt = this.#starts.hopelessAt(now);
    if (hopelessAt > now) this.#wake(hopelessAt);
    return hopelessAt <= now;
  }

  #handBackAll(): void {
    for (const unit of this.#backlog.takeAll(({ isBound }) => isBound !== true)) {
      this.#drop(unit, true);
      this.#hasHandedBack = true;
    }
  }

  /** Ends idle workers that are too many. */
  #retire(now: number): void {
    let left = this.#count - this.#options.size;
    let next = this.#starts.nextAt ?? Number.POSITIVE_INFINITY;
    for (const worker of this.#workers.values()) {
      if (left <= 0) break;
      if (!worker.isIdle) continue;
      if (worker.idleSince + keepMs > now) next = Math.min(next, worker.idleSince + keepMs);
      else {
        left--;
        this.#beginEnding(worker, now);
        this.#effects.push({ type: "leave", worker: worker.id });
      }
    }
    if (Number.isFinite(next)) this.#wake(next);
  }

  #beginEnding(worker: WorkerSlot<U>, now: number): void {
    worker.phase = "ending";
    worker.endingSince = now;
    if (this.#life !== "closed") this.#wake(now + lingerMs);
  }

  get #count(): number {
    return this.#workers.size - this.#givenUp;
  }

  /** What it has not begun is taken back first, so that it begins nothing on the way. */
  #end(worker: WorkerSlot<U>, now: number, why?: string): void {
    if (worker.phase === "ending") return;
    if (this.#life !== "closed") this.#revoke(worker);
    this.#beginEnding(worker, now);
    this.#effects.push({ type: "end", worker: worker.id, ...(why !== undefined && { why }) });
  }

  #close(now: number): void {
    this.#life = "closed";
    for (const unit of this.#backlog.takeAll(() => true)) this.#drop(unit, false);
    for (const worker of this.#workers.values()) this.#end(worker, now);
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

/** Though it has begun. */
function mayRunAgain({ isBound, hasStreams }: Unit): boolean {
  return isBound !== true && hasStreams !== true;
}
