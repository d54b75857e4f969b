// What a store in memory does, quick at a million tasks. Nothing here waits for anything.
import { GenerationalMap, type TaskStatus } from "zerotask-core";
import type {
  Claim,
  Claimed,
  CommitResult,
  StoreChange,
  StoredTask,
  StoreSummary,
  Taken,
} from "../state/stored-task.ts";
import { bytesOf, maxExpired, maxListScan, recordOverhead } from "./limits.ts";
import { pageStart } from "./page-start.ts";
import type { TaskCount, TaskFilter, TaskPage } from "./store.ts";
import { TimeQueue } from "./time-queue.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };
type Of<Type extends StoreChange["type"]> = Extract<StoreChange, { type: Type }>;

/** The only object of a task. */
interface Entry extends Mutable<StoredTask> {
  readonly seq: number;
  /** Of its params; of a record, all that it takes. */
  bytes: number;
  isClaimed: boolean;
  /** Removed, or replaced by another object. */
  isGone: boolean;
}

const isClaimable = (entry: Entry): boolean =>
  !entry.isClaimed && !entry.isGone && entry.settledAt === undefined;

const newReady = (): TimeQueue<Entry> => new TimeQueue((entry) => entry.dueAt, isClaimable);

/** The operations of a `Store`, done at once. */
export class MemoryTasks {
  readonly #entries = new GenerationalMap<string, Entry>();
  /** By `seq`; what is gone stays until it is half of all. */
  #order: Entry[] = [];
  #goneInOrder = 0;
  #nextSeq = 1;
  readonly #ready = new Map<string, TimeQueue<Entry>>();
  readonly #expiring = new TimeQueue<Entry>((entry) => entry.expiresAt ?? 0, isClaimable);
  readonly #records = new TimeQueue<Entry>(
    (entry) => entry.forgetAt ?? 0,
    (entry) => !entry.isGone,
  );
  #recordBytes = 0;
  readonly #sessions = new Map<string, string>();
  #time = 0;

  open(): StoreSummary {
    let unsettled = 0;
    let unsettledBytes = 0;
    for (const [, entry] of [...this.#entries]) {
      if (entry.settledAt !== undefined) continue;
      unsettled++;
      unsettledBytes += entry.bytes;
      if (entry.isClaimed) this.#enter(this.#replace(entry, { isClaimed: false }));
    }
    return {
      backlog: [...this.#ready].map(([method, ready]) => ({
        method,
        count: ready.size,
        nextAt: ready.peek()?.dueAt ?? 0,
      })),
      unsettled,
      unsettledBytes,
      nextExpiry: this.#expiring.peek()?.expiresAt,
      sessions: [...this.#sessions].map(([id, token]) => ({ id, token })),
      time: this.#time,
    };
  }

  commit(changes: readonly StoreChange[]): CommitResult {
    const known: StoredTask[] = [];
    let expireMore = false;
    for (const change of changes) {
      switch (change.type) {
        case "add":
          this.#add(change, known);
          break;
        case "settle":
          this.#settle(change);
          break;
        case "reschedule":
          this.#reschedule(change);
          break;
        case "remove":
          this.#remove(this.#entries.get(change.id));
          break;
        case "save-session":
          this.#sessions.set(change.id, change.token);
          break;
        case "remove-session":
          this.#sessions.delete(change.id);
          break;
        case "expire":
          expireMore = this.#expire(change);
      }
    }
    return { known, expireMore };
  }

  claim({ method, now, limit, maxBytes }: Claim): Claimed {
    const tasks: StoredTask[] = [];
    const ready = this.#ready.get(method);
    let next = ready?.peek();
    for (let bytes = 0; next !== undefined && next.dueAt <= now; next = ready?.peek()) {
      if (tasks.length >= limit || (tasks.length > 0 && bytes >= maxBytes)) break;
      bytes += next.bytes;
      this.#take(next);
      tasks.push(taskOf(next));
    }
    return { tasks, nextAt: next?.dueAt };
  }

  claimExpired(now: number, limit: number): Claimed {
    const tasks: StoredTask[] = [];
    let next = this.#expiring.peek();
    for (; next !== undefined && tasks.length < limit; next = this.#expiring.peek()) {
      if ((next.expiresAt ?? 0) > now) break;
      this.#take(next);
      tasks.push(taskOf(next));
    }
    return { tasks, nextAt: next?.expiresAt };
  }

  take(ids: readonly string[]): readonly Taken[] {
    return this.#known(ids).map((entry) => {
      const isTaken = isClaimable(entry);
      if (isTaken) this.#take(entry);
      return { task: taskOf(entry), isTaken };
    });
  }

  get(ids: readonly string[]): readonly StoredTask[] {
    return this.#known(ids).map(taskOf);
  }

  list({ status, method, from, to, after, limit }: TaskFilter): TaskPage {
    const tasks: StoredTask[] = [];
    const start = this.#placeAfter(pageStart(after));
    const end = Math.min(this.#order.length, start + maxListScan);
    let place = start;
    for (; place < end && tasks.length < limit; place++) {
      const entry = this.#order[place] as Entry;
      if (entry.isGone || (status !== undefined && entry.status !== status)) continue;
      if (method !== undefined && entry.method !== method) continue;
      if (entry.createdAt < (from ?? -Infinity) || entry.createdAt >= (to ?? Infinity)) continue;
      tasks.push(taskOf(entry));
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
    if (entry.settledAt !== undefined) this.#record(entry);
    else if (!isClaimed) this.#enter(entry);
  }

  #settle({ id, status, attempt, outcome, settledAt, forgetAt }: Of<"settle">): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.settledAt !== undefined) return;
    const wasClaimable = isClaimable(entry);
    entry.status = status;
    entry.attempt = attempt;
    entry.outcome = outcome;
    entry.settledAt = settledAt;
    entry.forgetAt = forgetAt;
    if (wasClaimable) this.#left(entry);
    this.#time = Math.max(this.#time, settledAt);
    this.#record(entry);
  }

  #reschedule({ type, id, ...changed }: Of<"reschedule">): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.settledAt !== undefined) return;
    const next = this.#replace(entry, { ...changed, expiresAt: undefined });
    if (!next.isClaimed) this.#enter(next);
  }

  #expire({ now, maxRecords, maxRecordBytes }: Of<"expire">): boolean {
    for (let removed = 0; ; removed++) {
      const first = this.#records.peek();
      const isOver = this.#records.size > maxRecords || this.#recordBytes > maxRecordBytes;
      if (first === undefined || (!isOver && (first.forgetAt ?? 0) > now)) return false;
      if (removed === maxExpired) return true;
      this.#remove(first);
    }
  }

  #remove(entry: Entry | undefined): void {
    if (entry === undefined) return;
    this.#entries.delete(entry.id);
    this.#retire(entry);
    if (entry.settledAt !== undefined) {
      this.#recordBytes -= entry.bytes;
      this.#records.drop();
    }
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
    return next;
  }

  /** Queues may hold what is gone for a while, but not the strings. */
  #retire(entry: Entry): void {
    const wasClaimable = isClaimable(entry);
    entry.isGone = true;
    entry.params = undefined;
    entry.options = undefined;
    entry.outcome = undefined;
    if (wasClaimable) this.#left(entry);
  }

  #take(entry: Entry): void {
    entry.isClaimed = true;
    this.#left(entry);
  }

  #enter(entry: Entry): void {
    const ready = this.#ready.get(entry.method) ?? newReady();
    if (ready.size === 0) this.#ready.set(entry.method, ready);
    ready.add(entry);
    if (entry.expiresAt !== undefined) this.#expiring.add(entry);
  }

  /** An entry can't be claimed any more. */
  #left({ method, expiresAt }: Entry): void {
    const ready = this.#ready.get(method);
    ready?.drop();
    if (ready?.size === 0) this.#ready.delete(method);
    if (expiresAt !== undefined) this.#expiring.drop();
  }

  #record(entry: Entry): void {
    entry.bytes += bytesOf(entry.outcome) + recordOverhead;
    this.#recordBytes += entry.bytes;
    this.#records.add(entry);
  }

  #known(ids: readonly string[]): Entry[] {
    return ids.map((id) => this.#entries.get(id)).filter((entry) => entry !== undefined);
  }

  /** Where in the order the first entry after `seq` is. */
  #placeAfter(seq: number): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#order[middle] as Entry).seq <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function entryOf(task: StoredTask, seq: number, isClaimed: boolean): Entry {
  return {
    id: task.id,
    ownerId: task.ownerId,
    method: task.method,
    params: task.params,
    options: task.options,
    status: task.status,
    attempt: task.attempt,
    losses: task.losses,
    failures: task.failures,
    createdAt: task.createdAt,
    dueAt: task.dueAt,
    expiresAt: task.expiresAt,
    outcome: task.outcome,
    settledAt: task.settledAt,
    forgetAt: task.forgetAt,
    seq,
    bytes: bytesOf(task.params),
    isClaimed,
    isGone: false,
  };
}

/** A copy: what was answered doesn't change any more. */
function taskOf(entry: Entry): StoredTask {
  return {
    id: entry.id,
    ownerId: entry.ownerId,
    method: entry.method,
    params: entry.params,
    options: entry.options,
    status: entry.status,
    attempt: entry.attempt,
    losses: entry.losses,
    failures: entry.failures,
    createdAt: entry.createdAt,
    dueAt: entry.dueAt,
    expiresAt: entry.expiresAt,
    outcome: entry.outcome,
    settledAt: entry.settledAt,
    forgetAt: entry.forgetAt,
  };
}
