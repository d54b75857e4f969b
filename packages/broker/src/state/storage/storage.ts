// The state machine's side of one store: what has to be stored, what depends on it, and what was asked.
import { Deque, ErrorCode, type ErrorObject, errorObject } from "zerotask-core";
import type { Turn } from "../turn.ts";
import type {
  Claim,
  Claimed,
  ClaimedByTime,
  CommitResult,
  Durability,
  FailedFilter,
  StoreChange,
  StoredTask,
  Taken,
  TaskPage,
} from "./stored-task.ts";

export type StoreQuery =
  | { readonly type: "claim"; readonly claim: Claim }
  | { readonly type: "claim-due"; readonly now: number; readonly limit: number }
  | { readonly type: "claim-expired"; readonly now: number; readonly limit: number }
  | { readonly type: "take"; readonly ids: readonly string[] }
  | { readonly type: "take-instance"; readonly instance: string }
  | { readonly type: "get"; readonly ids: readonly string[] }
  | { readonly type: "count-before"; readonly id: string }
  | { readonly type: "failed"; readonly filter: FailedFilter };

export type StoreAnswer =
  | Claimed
  | ClaimedByTime
  | readonly Taken[]
  | readonly StoredTask[]
  | TaskPage
  | number;

/** Gets what was asked for, or why it can't be had. */
export type Then<T> = (answer: T | undefined, failure: ErrorObject | undefined) => void;

export interface RecordBounds {
  readonly maxRecords: number;
  readonly maxRecordBytes: number;
}

interface Dependent {
  readonly batch: number;
  readonly then: (failure: ErrorObject | undefined) => void;
}

export class Storage {
  readonly level: Durability;
  readonly #turn: Turn;
  #changes: StoreChange[] = [];
  /** Numbers of the batch that was sent last, and of the last one that is known to be stored. */
  #sent = 0;
  #stored = 0;
  readonly #dependents = new Deque<Dependent>();
  readonly #known = new Map<string, StoredTask>();
  readonly #revived = new Set<string>();
  readonly #asked = new Map<number, Then<StoreAnswer>>();
  #lastRequest = 0;
  #isExpiring = false;
  #failure: ErrorObject | undefined;

  constructor(level: Durability, turn: Turn) {
    this.level = level;
    this.#turn = turn;
  }

  /** Why nothing can be stored any more. */
  get failure(): ErrorObject | undefined {
    return this.#failure;
  }

  /** Stores a change, together with all others of this turn. */
  change(change: StoreChange): void {
    if (this.#failure === undefined) this.#changes.push(change);
  }

  /** Removes records that are over their time or a bound. One at a time: what is behind is not given more to do. */
  expire(bounds: RecordBounds): void {
    if (this.#isExpiring) return;
    this.#isExpiring = true;
    this.change({ type: "expire", now: this.#turn.now, ...bounds });
    this.whenStored(() => {
      this.#isExpiring = false;
    });
  }

  /** Calls back once every change made so far is stored: at once where none is on its way. */
  whenStored(then: (failure: ErrorObject | undefined) => void): void {
    const isClean = this.#changes.length === 0 && this.#stored === this.#sent;
    if (this.#failure !== undefined || isClean) then(this.#failure);
    else this.#dependents.push({ batch: this.#changes.length > 0 ? this.#sent + 1 : this.#sent, then });
  }

  /** What was there before under the id of a task that was just added. To be asked in `whenStored` of its turn. */
  knownBefore(id: string): StoredTask | undefined {
    return this.#known.get(id);
  }

  /** Whether a task that was to be revived was still there, and settled. To be asked in `whenStored` of its turn. */
  hasRevived(id: string): boolean {
    return this.#revived.has(id);
  }

  claim(claim: Claim, then: Then<Claimed>): void {
    this.#ask({ type: "claim", claim }, then as Then<StoreAnswer>);
  }

  claimDue(now: number, limit: number, then: Then<ClaimedByTime>): void {
    this.#ask({ type: "claim-due", now, limit }, then as Then<StoreAnswer>);
  }

  claimExpired(now: number, limit: number, then: Then<ClaimedByTime>): void {
    this.#ask({ type: "claim-expired", now, limit }, then as Then<StoreAnswer>);
  }

  take(ids: readonly string[], then: Then<readonly Taken[]>): void {
    this.#ask({ type: "take", ids }, then as Then<StoreAnswer>);
  }

  takeInstance(instance: string, then: Then<readonly Taken[]>): void {
    this.#ask({ type: "take-instance", instance }, then as Then<StoreAnswer>);
  }

  countBefore(id: string, then: Then<number>): void {
    this.#ask({ type: "count-before", id }, then as Then<StoreAnswer>);
  }

  failed(filter: FailedFilter, then: Then<TaskPage>): void {
    this.#ask({ type: "failed", filter }, then as Then<StoreAnswer>);
  }

  get(ids: readonly string[], then: Then<readonly StoredTask[]>): void {
    this.#ask({ type: "get", ids }, then as Then<StoreAnswer>);
  }

  /** Ends the turn: what it changed is sent to the store as one batch. */
  flush(): void {
    if (this.#changes.length === 0) return;
    const changes = this.#changes;
    this.#changes = [];
    this.#turn.emit({ type: "persist", level: this.level, batch: ++this.#sent, changes });
  }

  /** All batches up to this one are stored. */
  onPersisted(batch: number, { known, revived }: CommitResult): void {
    if (this.#failure !== undefined) return;
    this.#stored = batch;
    for (const task of known) this.#known.set(task.id, task);
    for (const id of revived) this.#revived.add(id);
    try {
      for (let first = this.#dependents.peek(); first !== undefined; first = this.#dependents.peek()) {
        if (first.batch > batch) break;
        this.#dependents.shift();
        first.then(undefined);
      }
    } finally {
      this.#known.clear();
      this.#revived.clear();
    }
  }

  onTold(request: number, answer: StoreAnswer): void {
    const then = this.#asked.get(request);
    this.#asked.delete(request);
    then?.(answer, undefined);
  }

  /** From now on nothing is stored: all that depends on it is told so. */
  onFailed(reason: string): void {
    if (this.#failure !== undefined) return;
    this.#failure = errorObject(ErrorCode.StoreFailed, `The broker can't store tasks any more: ${reason}`);
    this.#changes = [];
    for (let first = this.#dependents.shift(); first !== undefined; first = this.#dependents.shift()) {
      first.then(this.#failure);
    }
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const then of asked) then(undefined, this.#failure);
  }

  #ask(query: StoreQuery, then: Then<StoreAnswer>): void {
    if (this.#failure !== undefined) {
      then(undefined, this.#failure);
      return;
    }
    // It may be about what was changed before in this turn.
    this.flush();
    const request = ++this.#lastRequest;
    this.#asked.set(request, then);
    this.#turn.emit({ type: "ask", level: this.level, request, query });
  }
}
