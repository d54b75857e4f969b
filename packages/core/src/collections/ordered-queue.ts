// What comes next in an order, at a few bytes an entry: most entries come in order and only wait in line; the rest go
// to a heap. Entries that no longer count are skipped, and cleared out before they pile up.
import { Deque } from "./deque.ts";

/** Fewer entries than this that no longer count are not worth clearing out. */
const minStale = 1_024;

/** The place of an entry in the order must not change while it is in here. */
export class OrderedQueue<T> {
  readonly #isBefore: (a: T, b: T) => boolean;
  readonly #counts: (entry: T) => boolean;
  readonly #inOrder = new Deque<T>();
  #last: T | undefined;
  #heap: T[] = [];
  #size = 0;

  constructor(isBefore: (a: T, b: T) => boolean, counts: (entry: T) => boolean) {
    this.#isBefore = isBefore;
    this.#counts = counts;
  }

  /** How many entries count. */
  get size(): number {
    return this.#size;
  }

  /** The last of the entries that came in order, or one that stood there before. */
  get last(): T | undefined {
    return this.#last;
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

  /** The first of the entries that count. */
  peek(): T | undefined {
    while (this.#inOrder.size > 0 && !this.#counts(this.#inOrder.peek() as T)) this.#inOrder.shift();
    while (this.#heap[0] !== undefined && !this.#counts(this.#heap[0])) this.#popHeap();
    const first = this.#inOrder.peek();
    if (first === undefined) this.#last = undefined;
    const other = this.#heap[0];
    return first === undefined || (other !== undefined && this.#isBefore(other, first)) ? other : first;
  }

  /** Takes out the first of the entries that count. */
  shift(): T | undefined {
    const first = this.peek();
    if (first === undefined) return undefined;
    this.#size--;
    if (this.#inOrder.peek() === first) this.#inOrder.shift();
    else this.#popHeap();
    return first;
  }

  /** To be told once of each entry that has ceased to count, and will never count again. */
  drop(): void {
    this.#size--;
    const held = this.#inOrder.size + this.#heap.length;
    if (held - this.#size >= Math.max(minStale, held / 2)) this.#retain(this.#counts);
  }

  /** Takes out an entry that counts, wherever it stands. Takes time in proportion to the size. */
  delete(entry: T): void {
    this.#size--;
    this.#retain((other) => other !== entry && this.#counts(other));
  }

  /** Every entry that counts, in no particular order. */
  *[Symbol.iterator](): Generator<T> {
    for (const entry of this.#inOrder) if (this.#counts(entry)) yield entry;
    for (const entry of this.#heap) if (this.#counts(entry)) yield entry;
  }

  #retain(condition: (entry: T) => boolean): void {
    this.#inOrder.retain(condition);
    // What was taken out may come back with another place: it must not be what others are compared with.
    this.#last = this.#inOrder.last();
    // A sorted array is a heap.
    this.#heap = this.#heap.filter(condition).sort((a, b) => (this.#isBefore(a, b) ? -1 : 1));
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
