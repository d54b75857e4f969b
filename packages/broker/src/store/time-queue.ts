// What comes next, by time and then by age, at a few bytes an entry: most entries come in order and only wait
// in line; the rest go to a heap. Entries that no longer count are skipped, and cleared out before they pile up.
import { Deque } from "zerotask-core";

/** Fewer entries than this that no longer count are not worth clearing out. */
const minStale = 1_024;

interface Aged {
  /** Greater for what came later. */
  readonly seq: number;
}

/** An entry's time must not change while it is in here, and an entry that no longer counts must never count again. */
export class TimeQueue<T extends Aged> {
  readonly #timeOf: (entry: T) => number;
  readonly #counts: (entry: T) => boolean;
  readonly #inOrder = new Deque<T>();
  #last: T | undefined;
  #heap: T[] = [];
  #size = 0;

  constructor(timeOf: (entry: T) => number, counts: (entry: T) => boolean) {
    this.#timeOf = timeOf;
    this.#counts = counts;
  }

  /** How many entries count. */
  get size(): number {
    return this.#size;
  }

  add(entry: T): void {
    this.#size++;
    if (this.#last !== undefined && this.#isBefore(entry, this.#last)) {
      this.#heap.push(entry);
      this.#raise(this.#heap.length - 1);
    } else {
      this.#inOrder.push(entry);
      this.#last = entry;
    }
  }

  /** The earliest of the entries that count. */
  peek(): T | undefined {
    while (this.#inOrder.size > 0 && !this.#counts(this.#inOrder.peek() as T)) this.#inOrder.shift();
    while (this.#heap[0] !== undefined && !this.#counts(this.#heap[0])) this.#popHeap();
    const first = this.#inOrder.peek();
    if (first === undefined) this.#last = undefined;
    const other = this.#heap[0];
    return first === undefined || (other !== undefined && this.#isBefore(other, first)) ? other : first;
  }

  /** To be told once of each entry that has ceased to count. */
  drop(): void {
    this.#size--;
    const held = this.#inOrder.size + this.#heap.length;
    if (held - this.#size < Math.max(minStale, held / 2)) return;
    this.#inOrder.retain(this.#counts);
    if (this.#inOrder.size === 0) this.#last = undefined;
    // A sorted array is a heap.
    this.#heap = this.#heap.filter(this.#counts).sort((a, b) => (this.#isBefore(a, b) ? -1 : 1));
  }

  #isBefore(a: T, b: T): boolean {
    const difference = this.#timeOf(a) - this.#timeOf(b);
    return difference < 0 || (difference === 0 && a.seq < b.seq);
  }

  #raise(from: number): void {
    const heap = this.#heap;
    const entry = heap[from] as T;
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as T;
      if (!this.#isBefore(entry, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = entry;
  }

  #popHeap(): void {
    const heap = this.#heap;
    const entry = heap.pop();
    if (entry === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#isBefore(heap[child + 1] as T, heap[child] as T)) child++;
      const below = heap[child] as T;
      if (!this.#isBefore(below, entry)) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = entry;
  }
}
