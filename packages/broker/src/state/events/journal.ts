// What was told of tasks lately: numbered, kept within bounds, and found again by task, by method, or all of it.
import { Deque } from "zerotask-core";
import type { Numbers } from "./numbers.ts";

export interface JournalBounds {
  /** How many entries are kept in all, and their bytes: over a bound the oldest go first. */
  readonly kept: number;
  readonly keptBytes: number;
  /** How many are kept of one task: the oldest of that task go first. */
  readonly keptPerTask: number;
}

/** Numbers of the entries before this one: of its task, of its method, of all; 0 where that is not known. */
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
}

export interface JournalPage<Body> {
  readonly entries: readonly Entry<Body>[];
  /** Whether there are more. */
  readonly hasMore: boolean;
  /** Whether some after the number that was asked for are not kept any more. */
  readonly hasLost: boolean;
}

/** What is known of the entries of one task, or of one method, while any of them is kept. */
interface Trail<Body> {
  count: number;
  last: number;
  /** The highest number of those that are not kept any more. */
  lost: number;
  oldest: KeptEntry<Body> | undefined;
  newest: KeptEntry<Body> | undefined;
}

interface KeptEntry<Body> extends Entry<Body> {
  readonly bytes: number;
  readonly ofTask: Trail<Body>;
  readonly ofMethod: Trail<Body>;
  isGone: boolean;
  /** Its neighbours among those of its task. */
  older: KeptEntry<Body> | undefined;
  newer: KeptEntry<Body> | undefined;
}

/** What an entry takes besides its ids and its data, about. */
const overhead = 250;
/** A page has no more bytes than this, but at least one entry. */
const pageBytes = 1024 * 1024;
/** So many that are gone may stand among those that are kept. */
const mostGone = 1_000;

export class Journal<Body> {
  readonly #bounds: JournalBounds;
  readonly #numbers: Numbers;
  /** By number. Those of which too many were of one task are gone, but stand here for a while. */
  readonly #all = new Deque<KeptEntry<Body>>();
  readonly #tasks = new Map<string, Trail<Body>>();
  readonly #methods = new Map<string, Trail<Body>>();
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
    const ofTask = trailOf(this.#tasks, taskId);
    const ofMethod = trailOf(this.#methods, method);
    const seq = this.#numbers.next(now);
    const kept: KeptEntry<Body> = {
      seq,
      prev: { task: ofTask.last, method: ofMethod.last, all: this.#last },
      at,
      taskId,
      method,
      body,
      bytes: bytes + overhead + taskId.length,
      ofTask,
      ofMethod,
      isGone: false,
      older: ofTask.newest,
      newer: undefined,
    };
    if (ofTask.newest === undefined) ofTask.oldest = kept;
    else ofTask.newest.newer = kept;
    ofTask.newest = kept;
    ofTask.count++;
    ofMethod.count++;
    ofTask.last = ofMethod.last = this.#last = seq;
    this.#bytes += kept.bytes;
    this.#all.push(kept);
    this.#keepBounds(ofTask);
    return kept;
  }

  find({ taskId, method, matches, after, limit }: JournalQuery<Body>): JournalPage<Body> {
    const entries: Entry<Body>[] = [];
    let bytes = 0;
    let hasMore = false;
    const source = taskId === undefined ? this.#allAfter(after) : ofTaskAfter(this.#tasks.get(taskId), after);
    for (const entry of source) {
      if (method !== undefined && entry.method !== method) continue;
      if (matches !== undefined && !matches(entry)) continue;
      bytes += entry.bytes;
      hasMore = entries.length >= limit || (bytes > pageBytes && entries.length > 0);
      if (hasMore) break;
      entries.push(entry);
    }
    return { entries, hasMore, hasLost: this.#hasLost(taskId, method, after) };
  }

  /** Who has seen nothing yet misses nothing, and nothing is known of what an earlier run of the broker told. */
  #hasLost(taskId: string | undefined, method: string | undefined, after: number): boolean {
    if (after === 0 || after < this.#numbers.first) return false;
    if (taskId === undefined && method === undefined) return after < this.#lost;
    const trail = taskId === undefined ? this.#methods.get(method ?? "") : this.#tasks.get(taskId);
    return after < (trail === undefined ? this.#swept : trail.lost);
  }

  #keepBounds(ofTask: Trail<Body>): void {
    const { kept, keptBytes, keptPerTask } = this.#bounds;
    while (ofTask.count > keptPerTask && ofTask.oldest !== undefined) {
      this.#drop(ofTask.oldest);
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

  /** Takes out the oldest of a task. */
  #drop(entry: KeptEntry<Body>): void {
    const { ofTask, ofMethod, seq } = entry;
    entry.isGone = true;
    this.#bytes -= entry.bytes;
    this.#lost = Math.max(this.#lost, seq);
    ofTask.oldest = entry.newer;
    if (entry.newer === undefined) ofTask.newest = undefined;
    else entry.newer.older = undefined;
    entry.newer = undefined;
    lose(this.#tasks, entry.taskId, ofTask, seq);
    lose(this.#methods, entry.method, ofMethod, seq);
  }

  *#allAfter(after: number): Generator<KeptEntry<Body>> {
    const all = this.#all;
    let [low, high] = [0, all.size];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((all.at(middle)?.seq ?? 0) <= after) low = middle + 1;
      else high = middle;
    }
    for (let i = low; i < all.size; i++) {
      const entry = all.at(i);
      if (entry !== undefined && !entry.isGone) yield entry;
    }
  }
}

/** From the end: what is asked for are the last ones, mostly. */
function* ofTaskAfter<Body>(trail: Trail<Body> | undefined, after: number): Generator<KeptEntry<Body>> {
  let entry = trail?.newest;
  if (entry === undefined || entry.seq <= after) return;
  while (entry.older !== undefined && entry.older.seq > after) entry = entry.older;
  for (let next: KeptEntry<Body> | undefined = entry; next !== undefined; next = next.newer) yield next;
}

function trailOf<Body>(trails: Map<string, Trail<Body>>, name: string): Trail<Body> {
  let trail = trails.get(name);
  if (trail === undefined) {
    trail = { count: 0, last: 0, lost: 0, oldest: undefined, newest: undefined };
    trails.set(name, trail);
  }
  return trail;
}

function lose<Body>(trails: Map<string, Trail<Body>>, name: string, trail: Trail<Body>, seq: number): void {
  trail.lost = Math.max(trail.lost, seq);
  if (--trail.count === 0) trails.delete(name);
}
