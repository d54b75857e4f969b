// What happened to a task, kept within bounds, for readers that come early or late.

/** Numbered from 1, in order. */
export class Journal<Entry> {
  readonly #most: number;
  #entries: Entry[] = [];
  /** How many entries are kept no longer. */
  #dropped = 0;
  #hasEnded = false;
  #waiting = new Set<() => void>();

  /** @param most how many entries are kept: the oldest go first */
  constructor(most: number) {
    this.#most = most;
  }

  /** @param make gets the number of the entry */
  add(make: (seq: number) => Entry): void {
    if (this.#hasEnded) return;
    this.#entries.push(make(this.#dropped + this.#entries.length + 1));
    // Many at once, as each time what is left is copied.
    if (this.#entries.length >= this.#most * 2) {
      this.#dropped += this.#entries.length - this.#most;
      this.#entries = this.#entries.slice(-this.#most);
    }
    this.#wake();
  }

  /** Nothing more happens. */
  end(): void {
    this.#hasEnded = true;
    this.#wake();
  }

  /** Every entry that is kept, and with `follow` those that come, until the end. */
  async *read(follow: boolean): AsyncGenerator<Entry> {
    for (let next = 0; ; ) {
      next = Math.max(next, this.#dropped);
      const entry = this.#entries[next - this.#dropped];
      if (entry !== undefined) {
        next++;
        yield entry;
      } else if (this.#hasEnded || !follow) return;
      else await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const wake of waiting) wake();
  }
}
