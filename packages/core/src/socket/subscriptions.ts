// Which prefixes somebody subscribed to, and whether a text is heard by anybody: asked for each announcement.

export class Subscriptions {
  readonly #most: number;
  readonly #prefixes = new Set<string>();
  /** In order, so that those that begin with a text are found. */
  readonly #sorted: string[] = [];
  /** How many there are of each length. */
  readonly #lengths = new Map<number, number>();

  /** @param most over so many, somebody listens to everything: bytes from anybody must not fill the memory */
  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#prefixes.size;
  }

  add(prefix: string): void {
    const added = this.#prefixes.size < this.#most ? prefix : "";
    if (this.#prefixes.has(added)) return;
    this.#prefixes.add(added);
    this.#sorted.splice(this.#placeOf(added), 0, added);
    this.#lengths.set(added.length, (this.#lengths.get(added.length) ?? 0) + 1);
  }

  delete(prefix: string): void {
    if (!this.#prefixes.delete(prefix)) return;
    this.#sorted.splice(this.#placeOf(prefix), 1);
    const left = (this.#lengths.get(prefix.length) ?? 1) - 1;
    if (left === 0) this.#lengths.delete(prefix.length);
    else this.#lengths.set(prefix.length, left);
  }

  /** Whether anybody subscribed to a prefix of `text`, or to something that begins with `text`. */
  hears(text: string): boolean {
    if (this.#prefixes.size === 0) return false;
    for (const length of this.#lengths.keys()) {
      if (length <= text.length && this.#prefixes.has(text.slice(0, length))) return true;
    }
    return this.#sorted[this.#placeOf(text)]?.startsWith(text) === true;
  }

  /** The place of the first that is not before `text`. */
  #placeOf(text: string): number {
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#sorted[middle] as string) < text) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
