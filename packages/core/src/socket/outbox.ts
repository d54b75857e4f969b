// What waits to be sent to one peer. All that a tick produced leaves as one message: a JSON-RPC batch.

const maxEntries = 1_000;
const enough = 128;
/** In UTF-16 units, which is close enough to bytes for deciding where to cut a batch. */
const maxLength = 256 * 1024;

/** A FIFO of JSON texts that are taken out as few, bounded messages. */
export class Outbox {
  #texts: string[] = [];
  #next = 0;
  #length = 0;
  #maxEntries = maxEntries;
  #maxLength = maxLength;

  /** Keeps messages within what the peer takes. A UTF-16 unit may become three bytes. */
  limit({ entries, bytes }: { readonly entries: number; readonly bytes: number }): void {
    this.#maxEntries = Math.min(maxEntries, entries);
    this.#maxLength = Math.min(maxLength, Math.floor(bytes / 3) - this.#maxEntries - 2);
  }

  get isEmpty(): boolean {
    return this.#next === this.#texts.length;
  }

  /** Enough waits for a message: sending it now lets the peer begin while the rest is being made. */
  get isFull(): boolean {
    return this.#texts.length - this.#next >= enough;
  }

  /** Size of what waits, in UTF-16 units. */
  get length(): number {
    return this.#length;
  }

  push(text: string): void {
    this.#texts.push(text);
    this.#length += text.length;
  }

  /** The next message: one text as it is, several as a JSON array. Stays in the outbox until `drop`ped. */
  peek(): { readonly text: string; readonly count: number } {
    const start = this.#next;
    const limit = Math.min(this.#texts.length, start + this.#maxEntries);
    let end = start + 1;
    let length = this.#texts[start]?.length ?? 0;
    while (end < limit) {
      length += this.#texts[end]?.length ?? 0;
      if (length > this.#maxLength) break;
      end++;
    }
    if (end === start + 1) return { text: this.#texts[start] ?? "", count: 1 };
    const all = start === 0 && end === this.#texts.length;
    return { text: `[${(all ? this.#texts : this.#texts.slice(start, end)).join(",")}]`, count: end - start };
  }

  /** Forgets the first `count` texts: they were sent. */
  drop(count: number): void {
    const end = this.#next + count;
    if (end >= this.#texts.length) {
      this.#texts = [];
      this.#next = 0;
      this.#length = 0;
      return;
    }
    for (let i = this.#next; i < end; i++) this.#length -= this.#texts[i]?.length ?? 0;
    this.#next = end;
    if (this.#next > maxEntries && this.#next * 2 > this.#texts.length) {
      this.#texts = this.#texts.slice(this.#next);
      this.#next = 0;
    }
  }
}
