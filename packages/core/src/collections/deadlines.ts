// What is due when: a binary heap, so that a million deadlines cost no timers.

/** One deadline, by which it can be taken back. */
export interface Deadline<T> {
  readonly at: number;
  readonly item: T;
  /** Its place in the heap; below zero when it is not there any more. */
  index: number;
}

export class Deadlines<T> {
  readonly #heap: Deadline<T>[] = [];

  /** The time of the earliest deadline. */
  get next(): number | undefined {
    return this.#heap[0]?.at;
  }

  get size(): number {
    return this.#heap.length;
  }

  add(at: number, item: T): Deadline<T> {
    const deadline = { at, item, index: this.#heap.length };
    this.#heap.push(deadline);
    this.#rise(deadline);
    return deadline;
  }

  /** Takes a deadline back. One that was taken before is passed over. */
  delete(deadline: Deadline<T>): void {
    const { index } = deadline;
    if (this.#heap[index] !== deadline) return;
    deadline.index = -1;
    const last = this.#heap.pop() as Deadline<T>;
    if (last === deadline) return;
    last.index = index;
    this.#sink(last);
    this.#rise(last);
  }

  /** Takes out the earliest item that is due at `now`, if any. */
  take(now: number): T | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.at > now) return undefined;
    this.delete(first);
    return first.item;
  }

  #rise(deadline: Deadline<T>): void {
    const heap = this.#heap;
    let { index } = deadline;
    while (index > 0) {
      const above = heap[(index - 1) >> 1] as Deadline<T>;
      if (above.at <= deadline.at) break;
      this.#put(above, index);
      index = (index - 1) >> 1;
    }
    this.#put(deadline, index);
  }

  #sink(deadline: Deadline<T>): void {
    const heap = this.#heap;
    let { index } = deadline;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as Deadline<T>).at < (heap[child] as Deadline<T>).at)
        child++;
      const below = heap[child] as Deadline<T>;
      if (below.at >= deadline.at) break;
      this.#put(below, index);
      index = child;
    }
    this.#put(deadline, index);
  }

  #put(deadline: Deadline<T>, index: number): void {
    this.#heap[index] = deadline;
    deadline.index = index;
  }
}
