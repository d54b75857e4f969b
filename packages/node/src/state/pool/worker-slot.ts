// One worker of a pool as its state machine sees it: what it was given, and how much of that lies ahead of it.
import { quietMs } from "./patience.ts";

/** Something for a worker to run: one task, or the tasks of one batch. */
export interface Unit {
  readonly method: string;
  /** Nobody but this node can run it. */
  readonly isBound?: boolean;
  /** Some of it has an outcome: it has begun. */
  readonly isPartlyDone?: boolean;
  /** Somebody may have read of what it sends while it runs. */
  readonly hasStreams?: boolean;
}

export interface Given<U extends Unit> {
  readonly unit: U;
  /** How long it should run, in milliseconds, going by earlier runs of its method. */
  expectedMs: number;
  /** A worker was seen to run it. */
  hasBegun: boolean;
  /** Since when. */
  seenAt: number | undefined;
  /** It waits for tasks that it called. */
  isWaiting: boolean;
  /** Nobody wants its outcome any more. */
  isAborted: boolean;
  isKilled: boolean;
  /** Somebody else will run it. */
  isRecalled: boolean;
}

/** What has run for long may run for as long as it likes: a number that can be added up, unlike Infinity. */
const longMs = 1e6;

export function givenOf<U extends Unit>(unit: U, expectedMs: number): Given<U> {
  return {
    unit,
    expectedMs,
    hasBegun: false,
    seenAt: undefined,
    isWaiting: false,
    isAborted: false,
    isKilled: false,
    isRecalled: false,
  };
}

export type Phase = "starting" | "ready" | "ending";

export class WorkerSlot<U extends Unit> {
  readonly id: number;
  phase: Phase = "starting";
  /** In the order in which it was given, and runs. */
  readonly given: Map<U, Given<U>> = new Map();
  /** How many of them wait for tasks that they called. */
  waiting = 0;
  /** How long all but those should take it. */
  aheadMs = 0;
  /** It has answered something. */
  hasWorked = false;
  /** Since when it has been idle; before that, since when it has been starting. */
  idleSince: number;
  /** Since when it is to end. */
  endingSince: number | undefined;
  /** That takes too long: it does not count any more. */
  isGivenUp = false;
  /** It begins nothing until it has heard that all it had not begun was taken back from it. */
  isRevoked = false;
  /** All that it had not begun was taken back: what it still has it has begun, also where it was not seen to. */
  hasOnlyBegun = false;
  /** Since when it has been seen to run nothing, though it was given something. */
  quietSince: number | undefined;
  /** How long it may be. */
  quietMs: number = quietMs;

  constructor(id: number, now: number) {
    this.id = id;
    this.idleSince = now;
  }

  get isIdle(): boolean {
    return this.mayBegin && this.given.size === 0;
  }

  get mayBegin(): boolean {
    return this.phase === "ready" && !this.isRevoked;
  }

  /** Whether it counts as one of the workers that a pool has: one whose task waits for others does not. */
  get isActive(): boolean {
    return this.phase !== "ending" && this.waiting === 0;
  }

  /** Whether it was given something that it was not seen to begin. */
  get hasMoreToBegin(): boolean {
    for (const { hasBegun } of this.given.values()) if (!hasBegun) return true;
    return false;
  }

  /** Everything that it has begun waits for others. */
  get mayRunBeside(): boolean {
    return this.mayBegin && this.waiting > 0 && this.given.size === this.waiting;
  }

  /** It runs for long: nothing more is to be given behind it. @returns whether that was not known */
  markLong(given: Given<U>): boolean {
    if (given.isWaiting || given.expectedMs >= longMs) return false;
    given.expectedMs += longMs;
    this.aheadMs += longMs;
    return true;
  }

  give(given: Given<U>): void {
    this.given.set(given.unit, given);
    this.aheadMs += given.expectedMs;
  }

  takeOut(unit: U): Given<U> | undefined {
    const given = this.given.get(unit);
    if (given === undefined) return undefined;
    this.given.delete(unit);
    if (given.isWaiting) this.waiting--;
    else this.aheadMs -= given.expectedMs;
    // Nothing is left of what adding and subtracting fractions may have left.
    if (this.given.size === this.waiting) this.aheadMs = 0;
    return given;
  }

  setWaiting(given: Given<U>, isWaiting: boolean): void {
    if (given.isWaiting === isWaiting) return;
    given.isWaiting = isWaiting;
    given.hasBegun = true;
    this.waiting += isWaiting ? 1 : -1;
    this.aheadMs += isWaiting ? -given.expectedMs : given.expectedMs;
  }
}
