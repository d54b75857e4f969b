// A map for entries that come and go a hundred thousand times a second, beside millions that stay.
//
// A `Map` copies its table whenever inserts have used it up, and V8 lets the old table point to its successor.
// Once such a table has reached the old generation, every later one is kept alive, with all that was in it,
// until the next full collection. Here short-lived entries live in tables that are thrown away instead.

/** How many inserts make a generation. Entries that outlive two of them are taken to stay. */
const generation = 8_192;

export class GenerationalMap<K, V> {
  #young = new Map<K, V>();
  #middle = new Map<K, V>();
  readonly #old = new Map<K, V>();
  #inserts = 0;

  get size(): number {
    return this.#young.size + this.#middle.size + this.#old.size;
  }

  get(key: K): V | undefined {
    return this.#young.get(key) ?? this.#middle.get(key) ?? this.#old.get(key);
  }

  /** Adds an entry whose key is not there yet. */
  add(key: K, value: V): void {
    if (++this.#inserts > generation) this.#age();
    this.#young.set(key, value);
  }

  delete(key: K): boolean {
    return this.#young.delete(key) || this.#middle.delete(key) || this.#old.delete(key);
  }

  clear(): void {
    this.#young = new Map();
    this.#middle = new Map();
    this.#old.clear();
  }

  /** In order of insertion. */
  *[Symbol.iterator](): Generator<[K, V]> {
    yield* this.#old;
    yield* this.#middle;
    yield* this.#young;
  }

  #age(): void {
    for (const [key, value] of this.#middle) this.#old.set(key, value);
    this.#middle = this.#young;
    this.#young = new Map();
    this.#inserts = 1;
  }
}
