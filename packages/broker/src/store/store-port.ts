// Between the state machine and one store: what turns produce while a commit is under way is committed together.
import type { BrokerEvent } from "../state/event.ts";
import type { StoreAnswer, StoreQuery } from "../state/storage/storage.ts";
import type { CommitResult, Durability, StoreChange, StoreSummary } from "../state/storage/stored-task.ts";
import type { Store } from "./store.ts";

/** Enough to keep the writer busy while its last answer is on its way back. */
const maxUnderWay = 2;

export class StorePort {
  readonly #store: Store;
  readonly #onEvent: (event: BrokerEvent) => void;
  #changes: StoreChange[] = [];
  /** The number of the batch that came last. */
  #batch = 0;
  #underWay = 0;
  #asked = 0;
  #hasFailed = false;
  #onIdle: (() => void) | undefined;

  /** @param onEvent gets `persisted`, `told` and `store-failed`, in order */
  constructor(store: Store, onEvent: (event: BrokerEvent) => void) {
    this.#store = store;
    this.#onEvent = onEvent;
  }

  get level(): Durability {
    return this.#store.durability;
  }

  get location(): string {
    return this.#store.location;
  }

  /** @throws StoreError when it can't be used */
  open(): Promise<StoreSummary> {
    return this.#store.open();
  }

  persist(batch: number, changes: readonly StoreChange[]): void {
    this.#batch = batch;
    if (this.#changes.length === 0) this.#changes = [...changes];
    else for (const change of changes) this.#changes.push(change);
    this.#commit();
  }

  ask(request: number, query: StoreQuery): void {
    if (this.#hasFailed) return;
    // A query may be about what was changed before.
    this.#commit(Number.POSITIVE_INFINITY);
    this.#asked++;
    this.#query(query).then(
      (answer) => {
        this.#asked--;
        if (!this.#hasFailed) this.#onEvent({ type: "told", level: this.level, request, answer });
        this.#tellIfIdle();
      },
      (error: Error) => {
        this.#asked--;
        this.#fail(error);
      },
    );
  }

  /** Resolves when nothing is under way any more. */
  async idle(): Promise<void> {
    if (this.#isIdle) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  get #isIdle(): boolean {
    return this.#hasFailed || (this.#underWay === 0 && this.#asked === 0 && this.#changes.length === 0);
  }

  #commit(most = maxUnderWay): void {
    if (this.#hasFailed || this.#underWay >= most || this.#changes.length === 0) return;
    const changes = this.#changes;
    const batch = this.#batch;
    this.#changes = [];
    this.#underWay++;
    this.#store.commit(changes).then(
      (result) => this.#onCommitted(batch, result),
      (error: Error) => this.#fail(error),
    );
  }

  #onCommitted(batch: number, result: CommitResult): void {
    this.#underWay--;
    if (this.#hasFailed) return;
    // The store has the next batch before this one's acknowledgements are written.
    this.#commit();
    this.#onEvent({ type: "persisted", level: this.level, batch, result });
    this.#tellIfIdle();
  }

  #query(query: StoreQuery): Promise<StoreAnswer> {
    switch (query.type) {
      case "claim":
        return this.#store.claim(query.claim);
      case "claim-due":
        return this.#store.claimDue(query.now, query.limit);
      case "claim-expired":
        return this.#store.claimExpired(query.now, query.limit);
      case "take":
        return this.#store.take(query.ids);
      case "take-instance":
        return this.#store.takeInstance(query.instance);
      case "count-before":
        return this.#store.countBefore(query.id);
      case "failed":
        return this.#store.failed(query.filter);
      case "get":
        return this.#store.get(query.ids);
    }
  }

  #fail({ message }: Error): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#changes = [];
    this.#onEvent({ type: "store-failed", level: this.level, reason: message });
    this.#tellIfIdle();
  }

  #tellIfIdle(): void {
    if (this.#isIdle) this.#onIdle?.();
  }
}
