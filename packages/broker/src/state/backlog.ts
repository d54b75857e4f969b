// The window: which stored tasks are held in memory, and when more of them are claimed from a store.
import type { Deadlines } from "zerotask-core";
import { busy } from "./command.ts";
import type { Due } from "./due.ts";
import type { Behind, MethodQueue } from "./method-queue.ts";
import type { Storages } from "./storages.ts";
import type { Claimed, Durability, StoredTask, StoreSummary } from "./stored-task.ts";
import type { Turn } from "./turn.ts";

/** So many tasks of one method may wait in memory; more are left to the store. */
const windowTasks = 10_000;
/** With fewer than this, more are claimed: a page at a time. */
const lowTasks = 1_000;
const pageTasks = 2_000;
const pageBytes = 4 * 1024 * 1024;
/** So many bytes of tasks of all methods may be held in memory, and as many more while they are being stored. */
const windowBytes = 128 * 1024 * 1024;
const mostBytes = 4 * windowBytes;
/** What a task takes besides its params, about. */
const overhead = 500;

const levels: readonly Durability[] = ["memory", "disk"];

export interface BacklogHandlers {
  /** Whether anybody could run tasks of this method. */
  isServed(method: MethodQueue): boolean;
  method(name: string): MethodQueue;
  onClaimed(task: StoredTask, level: Durability): void;
}

export class Backlog {
  readonly #turn: Turn;
  readonly #deadlines: Deadlines<Due>;
  readonly #storages: Storages;
  readonly #handlers: BacklogHandlers;
  /** Bytes of the stored tasks that are held in memory. */
  #heldBytes = 0;
  /** Until then nothing is claimed: nodes may come back with what they were running. */
  #heldUntil = 0;
  /** Methods that waited for that. */
  readonly #postponed = new Set<MethodQueue>();
  /** When the first of what was left to the stores has waited too long. */
  #nextExpiry = Number.POSITIVE_INFINITY;

  constructor(turn: Turn, deadlines: Deadlines<Due>, storages: Storages, handlers: BacklogHandlers) {
    this.#turn = turn;
    this.#deadlines = deadlines;
    this.#storages = storages;
    this.#handlers = handlers;
  }

  /** What a store had when it was opened; none of it is claimed before `heldUntil`. */
  load(level: Durability, { backlog, nextExpiry }: StoreSummary, heldUntil: number): void {
    for (const { method: name, count, nextAt } of backlog) {
      const method = this.#handlers.method(name);
      const behind = method.behind[level];
      behind.count = count;
      behind.nextAt = nextAt;
      this.#postponed.add(method);
    }
    if (this.#postponed.size > 0) this.#heldUntil = heldUntil;
    this.#nextExpiry = Math.min(this.#nextExpiry, nextExpiry ?? Number.POSITIVE_INFINITY);
  }

  /** When something has to be done, if nothing else happens. */
  get next(): number {
    const held = this.#postponed.size > 0 ? this.#heldUntil : Number.POSITIVE_INFINITY;
    return Math.min(held, Math.max(this.#nextExpiry, this.#heldUntil));
  }

  /** Whether a new task can be held in memory: what is behind in the store comes first. */
  hasRoomFor(method: MethodQueue, level: Durability, bytes: number): boolean {
    const { count, nextAt } = method.behind[level];
    if (count > 0 && nextAt <= this.#turn.now) return false;
    if (method.length + method.arriving >= windowTasks || this.#heldBytes + bytes > windowBytes) return false;
    return this.#handlers.isServed(method);
  }

  hold(bytes: number): void {
    this.#heldBytes += bytes + overhead;
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes + overhead;
  }

  /** @throws Refusal when so much is on its way to the stores that they don't keep up */
  checkRoom(): void {
    if (this.#heldBytes > mostBytes) throw busy("bytes of tasks that are being stored", mostBytes);
  }

  /** A task was left to its store. */
  leave(method: MethodQueue, level: Durability, dueAt: number, expiresAt: number | undefined): void {
    const behind = method.behind[level];
    behind.count++;
    behind.nextAt = Math.min(behind.nextAt, dueAt);
    this.#nextExpiry = Math.min(this.#nextExpiry, expiresAt ?? Number.POSITIVE_INFINITY);
    this.refill(method);
  }

  /** A task that was behind was claimed by its id. */
  taken(method: MethodQueue, level: Durability): void {
    const behind = method.behind[level];
    behind.count = Math.max(0, behind.count - 1);
  }

  /** Claims more of this method, if few wait and somebody could run them. */
  refill(method: MethodQueue): void {
    if (!method.isBehind) return;
    for (const level of levels) {
      const behind = method.behind[level];
      if (behind.count === 0 || behind.isClaiming || method.length > lowTasks) continue;
      if (!this.#handlers.isServed(method)) continue;
      if (this.#heldUntil > this.#turn.now) this.#postponed.add(method);
      else if (behind.nextAt > this.#turn.now) this.#arm(method, behind.nextAt);
      else this.#claim(method, level);
    }
  }

  /** What became due by itself. */
  doDue(): void {
    const { now } = this.#turn;
    if (this.#postponed.size > 0 && this.#heldUntil <= now) {
      const postponed = [...this.#postponed];
      this.#postponed.clear();
      for (const method of postponed) this.refill(method);
    }
    if (Math.max(this.#nextExpiry, this.#heldUntil) > now) return;
    this.#nextExpiry = Number.POSITIVE_INFINITY;
    for (const { level } of this.#storages) this.#claimExpired(level);
  }

  #claim(method: MethodQueue, level: Durability): void {
    const behind = method.behind[level];
    behind.isClaiming = true;
    const { now } = this.#turn;
    const claim = { method: method.name, now, limit: pageTasks, maxBytes: pageBytes };
    this.#storages.for(level).claim(claim, (claimed) => {
      behind.isClaiming = false;
      if (claimed === undefined) return;
      correct(behind, claimed);
      for (const task of claimed.tasks) this.#handlers.onClaimed(task, level);
      this.refill(method);
    });
  }

  #claimExpired(level: Durability): void {
    const limit = pageTasks;
    this.#storages.for(level).claimExpired(this.#turn.now, limit, (claimed: Claimed | undefined) => {
      for (const task of claimed?.tasks ?? []) {
        this.taken(this.#handlers.method(task.method), level);
        this.#handlers.onClaimed(task, level);
      }
      this.#nextExpiry = Math.min(this.#nextExpiry, claimed?.nextAt ?? Number.POSITIVE_INFINITY);
    });
  }

  #arm(method: MethodQueue, at: number): void {
    if (method.backlogDeadline !== undefined && method.backlogDeadline.at <= at) return;
    if (method.backlogDeadline !== undefined) this.#deadlines.delete(method.backlogDeadline);
    method.backlogDeadline = this.#deadlines.add(at, { type: "backlog", method });
  }
}

/**
 * The store knows best: what it does not have was settled, or claimed by another broker. It answers in order, so
 * its answer knows of all that was left to it until now.
 */
function correct(behind: Behind, { tasks, nextAt }: Claimed): void {
  behind.count = nextAt === undefined ? 0 : Math.max(1, behind.count - tasks.length);
  behind.nextAt = nextAt ?? Number.POSITIVE_INFINITY;
}
