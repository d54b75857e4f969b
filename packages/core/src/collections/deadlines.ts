// What is due when: a binary heap, so that a million deadlines cost no timers.

interface Entry<T> {
  readonly at: number;
  readonly item: T;
}

export class Deadlines<T> {
  readonly #heap: Entry<T>[] = [];

  /** The time of the earliest deadline. */
  get next(): number | undefined {
    return this.#heap[0]?.at;
  }

  add(at: number, item: T): void {
    const heap = this.#heap;
    const entry = { at, item };
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Entry<T>;
      if (above.at <= at) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = entry;
  }

  /** Takes out the earliest item that is due at `now`, if any. */
  take(now: number): T | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.at > now) return undefined;
    const last = this.#heap.pop() as Entry<T>;
    if (this.#heap.length > 0) this.#sink(last);
    return first.item;
  }

  #sink(entry: Entry<T>): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as Entry<T>).at < (heap[child] as Entry<T>).at) child++;
      const below = heap[child] as Entry<T>;
      if (below.at >= entry.at) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = entry;
  }
}
