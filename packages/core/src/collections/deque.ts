// A first-in-first-out queue in one ring of slots: nothing is moved or copied but to grow.

const minCapacity = 16;

export class Deque<T> {
  #ring: (T | undefined)[] = new Array(minCapacity).fill(undefined);
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(item: T): void {
    if (this.#size === this.#ring.length) this.#resize(this.#ring.length * 2);
    this.#ring[(this.#head + this.#size) & (this.#ring.length - 1)] = item;
    this.#size++;
  }

  peek(): T | undefined {
    return this.#ring[this.#head];
  }

  /** The item at this place, counted from the first. */
  at(index: number): T | undefined {
    if (index < 0 || index >= this.#size) return undefined;
    return this.#ring[(this.#head + index) & (this.#ring.length - 1)];
  }

  /** The item that was pushed last. */
  last(): T | undefined {
    return this.#size === 0 ? undefined : this.#ring[(this.#head + this.#size - 1) & (this.#ring.length - 1)];
  }

  shift(): T | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#size--;
    // What a million entries took is given back when they are gone.
    if (this.#ring.length > 1_024 && this.#size * 8 < this.#ring.length) this.#resize(this.#ring.length / 4);
    return item;
  }

  /** Keeps only the items that fulfil `condition`. */
  retain(condition: (item: T) => boolean): void {
    const kept = [...this].filter(condition);
    this.#ring.fill(undefined);
    this.#head = 0;
    this.#size = 0;
    for (const item of kept) this.push(item);
  }

  *[Symbol.iterator](): Generator<T> {
    for (let i = 0; i < this.#size; i++) yield this.#ring[(this.#head + i) & (this.#ring.length - 1)] as T;
  }

  #resize(capacity: number): void {
    const items = [...this];
    this.#ring = new Array(capacity).fill(undefined);
    for (const [i, item] of items.entries()) this.#ring[i] = item;
    this.#head = 0;
  }
}
