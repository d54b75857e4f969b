// Which prefixes somebody subscribed to, and whether a text is heard by anybody: asked for each announcement.

/** So many of those that are too many are told apart; of more than that it is only counted that they are there. */
const mostHashes = 100_000;

export class Subscriptions {
  readonly #most: number;
  readonly #prefixes = new Set<string>();
  /** In order, so that those that begin with a text are found. */
  readonly #sorted: string[] = [];
  /** Hashes of those that are too many: they come more than once, but leave once. */
  readonly #others = new Set<number>();
  #beyond = 0;

  /**
   * @param most while there are more than so many, somebody listens to everything: bytes from anybody must not fill
   * the memory
   */
  constructor(most: number) {
    this.#most = most;
  }

  /** How many are known. */
  get size(): number {
    return this.#prefixes.size;
  }

  add(prefix: string): void {
    if (this.#prefixes.has(prefix)) return;
    if (this.#prefixes.size >= this.#most) {
      this.#addOther(prefix);
      return;
    }
    this.#prefixes.add(prefix);
    this.#sorted.splice(this.#placeOf(prefix), 0, prefix);
  }

  delete(prefix: string): void {
    if (this.#prefixes.delete(prefix)) {
      this.#sorted.splice(this.#placeOf(prefix), 1);
      // It may have been among those that were too many before there was room for it.
      if (this.#others.size > 0) this.#others.delete(hashOf(prefix));
    } else if (!this.#others.delete(hashOf(prefix)) && this.#beyond > 0) this.#beyond--;
  }

  /** Whether anybody subscribed to a prefix of `text`, or to something that begins with `text`. */
  hears(text: string): boolean {
    if (this.#others.size > 0 || this.#beyond > 0) return true;
    if (this.#prefixes.size === 0) return false;
    let at = this.#placeOf(text);
    if (this.#sorted[at]?.startsWith(text) === true) return true;
    // A prefix of the text is also one of all that stand between the two.
    for (let shared = text.length; ; at = this.#placeOf(text.slice(0, shared))) {
      const [before, next] = [this.#sorted[at - 1], this.#sorted[at]];
      if (next !== undefined && text.startsWith(next)) return true;
      if (before === undefined) return false;
      if (text.startsWith(before)) return true;
      shared = sharedLength(before, text);
    }
  }

  #addOther(prefix: string): void {
    const hash = hashOf(prefix);
    if (this.#others.has(hash)) return;
    if (this.#others.size < mostHashes) this.#others.add(hash);
    else this.#beyond++;
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

/** Of how many units at their beginning two texts are the same. */
function sharedLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a.charCodeAt(length) === b.charCodeAt(length)) length++;
  return length;
}

/** FNV-1a, twice, of 53 bits. */
function hashOf(text: string): number {
  let [low, high] = [0x811c9dc5, 0x01000193];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ unit, 0x85ebca6b);
  }
  return (high >>> 11) * 0x1_0000_0000 + (low >>> 0);
}
