// What a store in memory does, quick at a million tasks. Nothing here waits for anything.
import { GenerationalMap, OrderedQueue, TaskStatus } from "zerotask-core";
import { encodeFailedPlace } from "../state/storage/failed-place.ts";
import {
  bytesOf,
  type Claim,
  type Claimed,
  type ClaimedByTime,
  type CommitResult,
  type FailedFilter,
  isFailed,
  type StoreChange,
  type StoredTask,
  type StoreSummary,
  type Taken,
  type TaskPage,
} from "../state/storage/stored-task.ts";
import {
  countRecord,
  isOver,
  isOverByFailed,
  maxExpired,
  maxListScan,
  maxPageBytes,
  type Records,
  recordOverhead,
} from "./limits.ts";
import { byNumber, type Entry, entryOf, isClaimable, isFailedRecord, taskOf } from "./memory-entry.ts";
import { ClaimableTasks } from "./memory-ready.ts";
import { failedStart, pageStart } from "./page-start.ts";
import type { TaskCount, TaskFilter } from "./store.ts";

type Of<Type extends StoreChange["type"]> = Extract<StoreChange, { type: Type }>;

/** The operations of a `Store`, done at once. */
export class MemoryTasks {
  readonly #entries = new GenerationalMap<string, Entry>();
  /** By `seq`; what is gone stays until it is half of all. */
  #order: Entry[] = [];
  #goneInOrder = 0;
  #nextSeq = 1;
  readonly #claimable = new ClaimableTasks();
  readonly #records = new OrderedQueue<Entry>(
    byNumber((entry) => entry.forgetAt ?? 0),
    (entry) => !entry.isGone,
  );
  readonly #counted: Records = { count: 0, bytes: 0, failed: 0, failedBytes: 0 };
  /** By `failedSeq`; some may have been retried, or be gone: all before the first place are. */
  #failed: Entry[] = [];
  #firstFailed = 0;
  #failedSeq = 0;
  /** Unsettled tasks by what there is to be one of at a time. */
  readonly #instances = new Map<string, Set<Entry>>();
  readonly #sessions = new Map<string, string>();
  readonly #items = new Map<string, { kind: string; name: string; value: string }>();
  #time = 0;

  open(): StoreSummary {
    let unsettled = 0;
    let unsettledBytes = 0;
    for (const [, entry] of [...this.#entries]) {
      if (entry.settledAt !== undefined) continue;
      unsettled++;
      unsettledBytes += entry.bytes;
      if (entry.isClaimed) this.#claimable.enter(this.#replace(entry, { isClaimed: false }));
    }
    return {
      backlog: this.#claimable.backlog,
      unsettled,
      unsettledBytes,
      nextDue: this.#claimable.nextDue,
      nextExpiry: this.#claimable.nextExpiry,
      sessions: [...this.#sessions].map(([id, token]) => ({ id, token })),
      items: [...this.#items.values()],
      time: this.#time,
    };
  }

  commit(changes: readonly StoreChange[]): CommitResult {
    const known: StoredTask[] = [];
    const revived: string[] = [];
    let expireMore = false;
    for (const change of changes) {
      if (change.type === "add") this.#add(change, known);
      else if (change.type === "expire") expireMore = this.#expire(change);
      else if (change.type === "revive") this.#revive(change, revived);
      else this.#change(change);
    }
    return { known, revived, expireMore };
  }

  claim(claim: Claim): Claimed {
    return this.#claimable.claim(claim);
  }

  claimDue(now: number, limit: number): ClaimedByTime {
    return this.#claimable.claimDue(now, limit);
  }

  claimExpired(now: number, limit: number): ClaimedByTime {
    return this.#claimable.claimExpired(now, limit);
  }

  take(ids: readonly string[]): readonly Taken[] {
    return this.#known(ids).map((entry) => this.#takeOne(entry));
  }

  takeInstance(instance: string): readonly Taken[] {
    return [...(this.#instances.get(instance) ?? [])].map((entry) => this.#takeOne(entry));
  }

  get(ids: readonly string[]): readonly StoredTask[] {
    return this.#known(ids).map(taskOf);
  }

  countBefore(id: string): number {
    const entry = this.#entries.get(id);
    return entry === undefined ? 0 : this.#claimable.countBefore(entry);
  }

  failed({ method, from, to, error, after, limit }: FailedFilter): TaskPage {
    const tasks: StoredTask[] = [];
    const text = error === undefined ? undefined : JSON.stringify(error).slice(1, -1);
    const start = this.#placeOfFailed(failedStart(after).number);
    const end = Math.max(0, start - maxListScan);
    let place = start - 1;
    let bytes = 0;
    for (; place >= end && tasks.length < limit && bytes < maxPageBytes; place--) {
      const entry = this.#failed[place] as Entry;
      const { settledAt = 0, outcome = "" } = entry;
      if (!isFailedRecord(entry) || (method !== undefined && entry.method !== method)) continue;
      if (settledAt < (from ?? -Infinity) || settledAt >= (to ?? Infinity)) continue;
      if (text !== undefined && !outcome.includes(text)) continue;
      tasks.push(taskOf(entry));
      bytes += entry.bytes;
    }
    const last = this.#failed[place + 1];
    if (place < 0 || last === undefined) return { tasks, next: undefined };
    return { tasks, next: encodeFailedPlace({ settledAt: 0, number: last.failedSeq }) };
  }

  list({ status, method, from, to, after, limit }: TaskFilter): TaskPage {
    const tasks: StoredTask[] = [];
    const start = this.#placeAfter(pageStart(after));
    const end = Math.min(this.#order.length, start + maxListScan);
    let place = start;
    let bytes = 0;
    for (; place < end && tasks.length < limit && bytes < maxPageBytes; place++) {
      const entry = this.#order[place] as Entry;
      if (entry.isGone || (status !== undefined && entry.status !== status)) continue;
      if (method !== undefined && entry.method !== method) continue;
      if (entry.createdAt < (from ?? -Infinity) || entry.createdAt >= (to ?? Infinity)) continue;
      tasks.push(taskOf(entry));
      bytes += entry.bytes;
    }
    const last = place < this.#order.length ? this.#order[place - 1] : undefined;
    return { tasks, next: last === undefined ? undefined : String(last.seq) };
  }

  counts(): readonly TaskCount[] {
    const counts = new Map<string, Map<TaskStatus, number>>();
    for (const [, { method, status }] of this.#entries) {
      const ofMethod = counts.get(method) ?? new Map<TaskStatus, number>();
      counts.set(method, ofMethod);
      ofMethod.set(status, (ofMethod.get(status) ?? 0) + 1);
    }
    return [...counts].flatMap(([method, ofMethod]) =>
      [...ofMethod].map(([status, count]) => ({ method, status, count })),
    );
  }

  #change(change: Exclude<StoreChange, Of<"add" | "expire" | "revive">>): void {
    switch (change.type) {
      case "settle":
        this.#settle(change);
        break;
      case "reschedule":
        this.#reschedule(change);
        break;
      case "set-params":
        this.#setParams(change);
        break;
      case "remove": {
        const entry = this.#entries.get(change.id);
        if (change.onlySettled !== true || entry?.settledAt !== undefined) this.#remove(entry);
        break;
      }
      case "save-session":
        this.#sessions.set(change.id, change.token);
        break;
      case "remove-session":
        this.#sessions.delete(change.id);
        break;
      case "save-item": {
        const { kind, name, value } = change;
        this.#items.set(itemKey(change), { kind, name, value });
        break;
      }
      case "remove-item":
        this.#items.delete(itemKey(change));
    }
  }

  #add({ task, isClaimed }: Of<"add">, known: StoredTask[]): void {
    const there = this.#entries.get(task.id);
    if (there !== undefined) {
      known.push(taskOf(there));
      return;
    }
    const entry = entryOf(task, this.#nextSeq++, isClaimed);
    this.#entries.add(entry.id, entry);
    this.#order.push(entry);
    this.#time = Math.max(this.#time, task.createdAt, task.settledAt ?? 0);
    if (entry.settledAt !== undefined) {
      this.#record(entry);
      return;
    }
    this.#addInstance(entry);
    if (!isClaimed) this.#claimable.enter(entry);
  }

  #settle({ id, status, attempt, outcome, settledAt, forgetAt }: Of<"settle">): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.settledAt !== undefined) return;
    const before = isClaimable(entry) ? entry.status : undefined;
    entry.status = status;
    entry.attempt = attempt;
    entry.outcome = outcome;
    entry.settledAt = settledAt;
    entry.forgetAt = forgetAt;
    if (before !== undefined) this.#claimable.left(entry, before);
    this.#removeInstance(entry);
    this.#time = Math.max(this.#time, settledAt);
    this.#record(entry);
  }

  #reschedule({ type, id, ...changed }: Of<"reschedule">): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.settledAt !== undefined) return;
    const next = this.#replace(entry, changed);
    if (!next.isClaimed) this.#claimable.enter(next);
  }

  #setParams({ id, params }: Of<"set-params">): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.settledAt !== undefined) return;
    entry.params = params;
    entry.bytes = bytesOf(params);
  }

  #revive({ id, dueAt, rank }: Of<"revive">, revived: string[]): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.settledAt === undefined) return;
    const next = this.#replace(entry, {
      ...{ status: TaskStatus.Queued, isClaimed: false, bytes: bytesOf(entry.params), dueAt, rank },
      ...{ losses: 0, failures: 0, reruns: 0 },
      ...{ outcome: undefined, settledAt: undefined, forgetAt: undefined, expiresAt: undefined },
    });
    this.#claimable.enter(next);
    revived.push(id);
  }

  #expire({ now, maxRecords, maxRecordBytes }: Of<"expire">): boolean {
    for (let removed = 0; ; removed++) {
      const isByFailed = isOverByFailed(this.#counted, maxRecords, maxRecordBytes);
      const first = isByFailed ? this.#oldestFailed() : this.#records.peek();
      const mustGo = isOver(this.#counted, maxRecords, maxRecordBytes) || (first?.forgetAt ?? 0) <= now;
      if (first === undefined || !mustGo) return false;
      if (removed === maxExpired) return true;
      this.#remove(first);
    }
  }

  #oldestFailed(): Entry | undefined {
    let first = this.#failed[this.#firstFailed];
    while (first !== undefined && !isFailedRecord(first)) first = this.#failed[++this.#firstFailed];
    return first;
  }

  #remove(entry: Entry | undefined): void {
    if (entry === undefined) return;
    this.#entries.delete(entry.id);
    this.#retire(entry);
    this.#goneInOrder++;
    if (this.#goneInOrder > Math.max(1_024, this.#order.length / 2)) {
      this.#order = this.#order.filter(({ isGone }) => !isGone);
      this.#goneInOrder = 0;
    }
  }

  /** Another object in an entry's place: what waits in the queues under the old times is void for good. */
  #replace(entry: Entry, changed: Partial<Entry>): Entry {
    const next = { ...entry, ...changed };
    this.#entries.delete(entry.id);
    this.#entries.add(entry.id, next);
    this.#order[this.#placeAfter(entry.seq) - 1] = next;
    this.#retire(entry);
    this.#addInstance(next);
    return next;
  }

  /** Queues may hold what is gone for a while, but not the strings. */
  #retire(entry: Entry): void {
    const wasClaimable = isClaimable(entry);
    entry.isGone = true;
    entry.params = undefined;
    entry.options = undefined;
    entry.outcome = undefined;
    if (wasClaimable) this.#claimable.left(entry, entry.status);
    this.#removeInstance(entry);
    if (entry.settledAt === undefined) return;
    countRecord(this.#counted, entry.bytes, isFailed(entry), -1);
    this.#records.drop();
  }

  #takeOne(entry: Entry): Taken {
    const isTaken = isClaimable(entry);
    if (isTaken) this.#claimable.take(entry);
    return { task: taskOf(entry), isTaken };
  }

  #addInstance(entry: Entry): void {
    const { instance } = entry;
    if (instance === undefined || entry.settledAt !== undefined) return;
    const entries = this.#instances.get(instance);
    if (entries === undefined) this.#instances.set(instance, new Set([entry]));
    else entries.add(entry);
  }

  #removeInstance(entry: Entry): void {
    if (entry.instance === undefined) return;
    const entries = this.#instances.get(entry.instance);
    entries?.delete(entry);
    if (entries?.size === 0) this.#instances.delete(entry.instance);
  }

  #record(entry: Entry): void {
    entry.bytes += bytesOf(entry.outcome) + recordOverhead;
    countRecord(this.#counted, entry.bytes, isFailed(entry));
    this.#records.add(entry);
    if (!isFailed(entry)) return;
    // As many of them may be void as there are records.
    if (this.#failed.length > 2 * this.#records.size + 1_024) {
      this.#failed = this.#failed.filter(isFailedRecord);
      this.#firstFailed = 0;
    }
    entry.failedSeq = ++this.#failedSeq;
    this.#failed.push(entry);
  }

  #known(ids: readonly string[]): Entry[] {
    return ids.map((id) => this.#entries.get(id)).filter((entry) => entry !== undefined);
  }

  /** Where in the order the first entry after `seq` is. */
  #placeAfter(seq: number): number {
    return firstPlace(this.#order, (entry) => entry.seq > seq);
  }

  #placeOfFailed(failedSeq: number): number {
    return firstPlace(this.#failed, (entry) => entry.failedSeq >= failedSeq);
  }
}

/** Where the first entry is that fulfils a condition which all after it fulfil, too. */
function firstPlace(entries: readonly Entry[], condition: (entry: Entry) => boolean): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (condition(entries[middle] as Entry)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function itemKey({ kind, name }: { readonly kind: string; readonly name: string }): string {
  return JSON.stringify([kind, name]);
}
