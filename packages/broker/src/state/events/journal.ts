// What was told of tasks lately: numbered, kept within bounds, and found again by task, by method, or all of it.
import { Deque } from "zerotask-core";
import type { Numbers } from "./numbers.ts";
import { type Place, Trail } from "./trail.ts";

export interface JournalBounds {
  /** How many entries are kept in all, and their bytes: over a bound the oldest go first. */
  readonly kept: number;
  readonly keptBytes: number;
  /** How many are kept of one task: the oldest of that task go first. */
  readonly keptPerTask: number;
}

/**
 * Numbers of the entries before this one: of its task, of its method, of all; 0 where there was none. Where they are not
 * kept any more, it is a number that none of them is above.
 */
export interface Previous {
  readonly task: number;
  readonly method: number;
  readonly all: number;
}

export interface Entry<Body> {
  readonly seq: number;
  readonly prev: Previous;
  /** When it happened: milliseconds since the epoch, by the clock on the wall. */
  readonly at: number;
  readonly taskId: string;
  readonly method: string;
  readonly body: Body;
}

export interface JournalQuery<Body> {
  /** Of this task, or else of all. */
  readonly taskId?: string | undefined;
  readonly method?: string | undefined;
  readonly matches?: ((entry: Entry<Body>) => boolean) | undefined;
  /** With higher numbers than this one. */
  readonly after: number;
  readonly limit: number;
  /** How much may be read. What this query reads is taken off it. @default a page of 1 MiB */
  readonly allowance?: Allowance | undefined;
}

/** How much may be read. Without any left, a page is empty, and tells that there is more. */
export interface Allowance {
  /** How many entries may be looked at. */
  entries: number;
  /** How many bytes a page may have, but for one that has a single entry. */
  bytes: number;
}

/** A page has no more bytes than this. */
const pageBytes = 1024 * 1024;
/** So many entries are looked at for one message: a few milliseconds of work. */
const entriesPerMessage = 20_000;

/** What all that one message asks for shares. */
export function messageAllowance(): Allowance {
  return { entries: entriesPerMessage, bytes: pageBytes };
}

export interface JournalPage<Body> {
  readonly entries: readonly Entry<Body>[];
  /** All up to this number was looked at. */
  readonly next: number;
  /** Whether there are more. */
  readonly hasMore: boolean;
  /** Whether some after the number that was asked for are not kept any more. */
  readonly hasLost: boolean;
}

interface KeptEntry<Body> extends Entry<Body> {
  readonly bytes: number;
  isGone: boolean;
  /** Where it stands among those of its task, and of its method. */
  ofTask: Place<KeptEntry<Body>> | undefined;
  ofMethod: Place<KeptEntry<Body>> | undefined;
}

/** What an entry takes besides its ids and its data, about. */
const overhead = 550;
/** What a query takes, in entries that are looked at. */
const queryCost = 5;
/** So many of a task are gone back over from its end; with more than that after it, a place is looked for among all. */
const mostBack = 1_000;
/** So many that are gone may stand among those that are kept. */
const mostGone = 1_000;

export class Journal<Body> {
  readonly #bounds: JournalBounds;
  readonly #numbers: Numbers;
  /** By number. Those of which too many were of one task are gone, but stand here for a while. */
  readonly #all = new Deque<KeptEntry<Body>>();
  readonly #tasks = new Map<string, Trail<KeptEntry<Body>>>();
  readonly #methods = new Map<string, Trail<KeptEntry<Body>>>();
  #gone = 0;
  #bytes = 0;
  #last = 0;
  /** The highest number that is not kept any more; and of those that were the oldest of all. */
  #lost = 0;
  #swept = 0;

  constructor(numbers: Numbers, bounds: JournalBounds) {
    this.#numbers = numbers;
    this.#bounds = bounds;
  }

  /** How many are kept. */
  get size(): number {
    return this.#all.size - this.#gone;
  }

  /** About how many bytes they take. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @param bytes of its data */
  append(
    now: number,
    entry: Pick<Entry<Body>, "at" | "taskId" | "method" | "body">,
    bytes: number,
  ): Entry<Body> {
    const { at, taskId, method, body } = entry;
    const task = trailOf(this.#tasks, taskId, this.#swept);
    const trail = trailOf(this.#methods, method, this.#swept);
    const seq = this.#numbers.next(now);
    const kept: KeptEntry<Body> = {
      seq,
      prev: { task: task.last, method: trail.last, all: this.#last },
      at,
      taskId,
      method,
      body,
      bytes: bytes + overhead + taskId.length,
      isGone: false,
      ofTask: undefined,
      ofMethod: undefined,
    };
    kept.ofTask = task.add(kept, seq);
    kept.ofMethod = trail.add(kept, seq);
    this.#last = seq;
    this.#bytes += kept.bytes;
    this.#all.push(kept);
    this.#keepBounds(task);
    return kept;
  }

  /**
   * Gives a number to one that is not kept: who reads on learns that something is lost.
   * @returns false where nothing is kept of the task
   */
  skip(now: number, taskId: string): boolean {
    const task = this.#tasks.get(taskId);
    const trail = this.#methods.get(task?.newest?.entry.method ?? "");
    if (task === undefined || trail === undefined) return false;
    const seq = this.#numbers.next(now);
    task.skip(seq);
    trail.skip(seq);
    this.#last = seq;
    this.#lost = seq;
    return true;
  }

  find({ taskId, method, matches, after, limit, allowance }: JournalQuery<Body>): JournalPage<Body> {
    const left = allowance ?? { entries: Number.POSITIVE_INFINITY, bytes: pageBytes };
    left.entries -= queryCost;
    if (left.entries <= 0 || left.bytes <= 0)
      return { entries: [], next: after, hasMore: true, hasLost: false };
    const entries: Entry<Body>[] = [];
    let next = after;
    let hasMore = false;
    for (const entry of this.#source(taskId, method, after, left)) {
      const isOf =
        (taskId === undefined || entry.taskId === taskId) &&
        (method === undefined || entry.method === method);
      const isFound = isOf && (matches?.(entry) ?? true);
      const isFull = entries.length >= limit || (entries.length > 0 && left.bytes < entry.bytes);
      hasMore = left.entries-- <= 0 || (isFound && isFull);
      if (hasMore) break;
      next = entry.seq;
      if (!isFound) continue;
      left.bytes -= entry.bytes;
      entries.push(entry);
    }
    return { entries, next, hasMore, hasLost: this.#hasLost(taskId, method, after) };
  }

  /** Those after a number that may be what is asked for. */
  #source(
    taskId: string | undefined,
    method: string | undefined,
    after: number,
    left: Allowance,
  ): Iterable<KeptEntry<Body>> {
    if (taskId !== undefined) return this.#ofTaskAfter(this.#tasks.get(taskId), after, left);
    if (method === undefined) return this.#allFrom(this.#indexAfter(after));
    return this.#ofMethodAfter(this.#methods.get(method), after);
  }

  /** Nothing is known of what an earlier run of the broker told. */
  #hasLost(taskId: string | undefined, method: string | undefined, after: number): boolean {
    // Who begins with a task's first entry misses it; who begins with others has seen nothing yet, and misses nothing.
    if (after === 0) return taskId !== undefined && this.#tasks.get(taskId)?.hasDropped === true;
    if (after < this.#numbers.first) return false;
    if (taskId === undefined && method === undefined) return after < this.#lost;
    const trail = taskId === undefined ? this.#methods.get(method ?? "") : this.#tasks.get(taskId);
    return after < (trail === undefined ? this.#swept : trail.lost);
  }

  #keepBounds(task: Trail<KeptEntry<Body>>): void {
    const { kept, keptBytes, keptPerTask } = this.#bounds;
    while (task.count > keptPerTask && task.oldest !== undefined) {
      this.#drop(task.oldest.entry);
      this.#gone++;
    }
    for (let first = this.#all.peek(); first !== undefined; first = this.#all.peek()) {
      if (first.isGone) this.#gone--;
      else if (this.size > kept || this.#bytes > keptBytes) {
        this.#swept = first.seq;
        this.#drop(first);
      } else break;
      this.#all.shift();
    }
    if (this.#gone <= mostGone + this.size) return;
    this.#all.retain(({ isGone }) => !isGone);
    this.#gone = 0;
  }

  #drop(entry: KeptEntry<Body>): void {
    const { seq, taskId, method } = entry;
    entry.isGone = true;
    this.#bytes -= entry.bytes;
    this.#lost = Math.max(this.#lost, seq);
    lose(this.#tasks, taskId, entry.ofTask, seq);
    lose(this.#methods, method, entry.ofMethod, seq);
    entry.ofTask = entry.ofMethod = undefined;
  }

  /** The place of the first with a higher number. */
  #indexAfter(after: number): number {
    let [low, high] = [0, this.#all.size];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#all.at(middle)?.seq ?? 0) <= after) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  *#allFrom(index: number): Generator<KeptEntry<Body>> {
    for (let i = index; i < this.#all.size; i++) {
      const entry = this.#all.at(i);
      if (entry !== undefined && !entry.isGone) yield entry;
    }
  }

  /** From the end, unless it is from the beginning, or from far before: what is asked for are the last ones, mostly. */
  *#ofTaskAfter(
    trail: Trail<KeptEntry<Body>> | undefined,
    after: number,
    left: Allowance,
  ): Generator<KeptEntry<Body>> {
    const { oldest, newest } = trail ?? {};
    if (oldest === undefined || newest === undefined || newest.entry.seq <= after) return;
    let place: Place<KeptEntry<Body>> | undefined = newest;
    if (oldest.entry.seq > after) place = oldest;
    const end = left.entries - mostBack;
    for (; place.older !== undefined && place.older.entry.seq > after; place = place.older) {
      if (--left.entries > end) continue;
      yield* this.#allFrom(this.#indexAfter(after));
      return;
    }
    for (; place !== undefined; place = place.newer) yield place.entry;
  }

  /** Who reads on from one of the method follows the list; else the next one is looked for among all. */
  *#ofMethodAfter(trail: Trail<KeptEntry<Body>> | undefined, after: number): Generator<KeptEntry<Body>> {
    const { oldest, newest } = trail ?? {};
    if (oldest === undefined || newest === undefined || newest.entry.seq <= after) return;
    const { method } = oldest.entry;
    let place: Place<KeptEntry<Body>> | undefined = oldest;
    if (oldest.entry.seq <= after) {
      const index = this.#indexAfter(after);
      const before = this.#all.at(index - 1);
      place = before?.method === method ? before.ofMethod?.newer : undefined;
      if (place === undefined) {
        for (const entry of this.#allFrom(index)) {
          place = entry.method === method ? entry.ofMethod : undefined;
          if (place !== undefined) break;
          yield entry;
        }
      }
    }
    for (; place !== undefined; place = place.newer) yield place.entry;
  }
}

/** @param lost the highest number that one of an unknown name may have had */
function trailOf<Kept>(trails: Map<string, Trail<Kept>>, name: string, lost: number): Trail<Kept> {
  let trail = trails.get(name);
  if (trail === undefined) {
    trail = new Trail(lost);
    trails.set(name, trail);
  }
  return trail;
}

function lose<Kept>(
  trails: Map<string, Trail<Kept>>,
  name: string,
  place: Place<Kept> | undefined,
  seq: number,
): void {
  const trail = trails.get(name);
  if (trail === undefined || place === undefined) return;
  trail.drop(place, seq);
  if (trail.count === 0) trails.delete(name);
}
