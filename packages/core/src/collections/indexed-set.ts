// A set of objects that know their place in it: adding and removing allocates nothing.

/** The order of the objects means nothing. `Index` names the field in which an object keeps its place. */
export class IndexedSet<Index extends string, T extends { [I in Index]: number }> {
  readonly #index: Index;
  readonly #items: T[] = [];

  constructor(index: Index) {
    this.#index = index;
  }

  get size(): number {
    return this.#items.length;
  }

  /** Adds an object that is in no other set with this index. */
  add(item: T): void {
    (item[this.#index] as number) = this.#items.length;
    this.#items.push(item);
  }

  /** Removes an object that is in the set. */
  delete(item: T): void {
    const place = item[this.#index];
    if (this.#items[place] !== item) return;
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#items[place] = last;
    (last[this.#index] as number) = place;
  }

  /** A copy, safe to go through while objects are removed. */
  toArray(): T[] {
    return [...this.#items];
  }
}
