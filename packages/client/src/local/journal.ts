// What happened to a task, kept within bounds, for readers that come early or late.
import { Deque } from "zerotask-core";
import type { LoopSource } from "./local-loop.ts";

interface Reader {
  readonly wake: () => void;
  /** How far it reads, once that is known. */
  end: End | undefined;
}

interface End {
  /** How many entries there were. */
  readonly count: number;
  /** What is thrown after them. */
  readonly error: Error | undefined;
}

export class Journal<Entry> {
  readonly #most: number;
  readonly #gap: (after: Entry) => Entry;
  readonly #entries = new Deque<Entry>();
  /** How many entries are kept no longer. */
  #dropped = 0;
  #end: End | undefined;
  readonly #readers = new Set<Reader>();

  /**
   * @param most how many entries are kept: the oldest go first
   * @param gap makes what a slow reader gets in place of those that are gone, after the last one that it got
   */
  constructor(most: number, gap: (after: Entry) => Entry) {
    this.#most = most;
    this.#gap = gap;
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  get #count(): number {
    return this.#dropped + this.#entries.size;
  }

  /** Nothing is added after the end. */
  add(entry: Entry): void {
    if (this.#end !== undefined) return;
    this.#entries.push(entry);
    if (this.#entries.size > this.#most) {
      this.#entries.shift();
      this.#dropped++;
    }
    for (const { wake } of this.#readers) wake();
  }

  /** Nothing more happens, as far as those know who read now. @param error what they throw then */
  end(error?: Error): void {
    this.#end = { count: this.#count, error };
    for (const reader of this.#readers) {
      reader.end = this.#end;
      reader.wake();
    }
    this.#readers.clear();
  }

  /** Something happens again. */
  reopen(): void {
    this.#end = undefined;
  }

  /**
   * Every entry that is kept, and with `follow` those that come, until the end.
   * @param wake called when there may be more
   */
  read(follow: boolean, wake: () => void): LoopSource<Entry> {
    const reader: Reader = { wake, end: this.#end };
    if (follow && this.#end === undefined) this.#readers.add(reader);
    else reader.end ??= { count: this.#count, error: undefined };
    let next = 0;
    let last: Entry | undefined;
    return {
      take: () => {
        if (next < this.#dropped) {
          next = this.#dropped;
          // Who has seen nothing yet misses nothing.
          if (last !== undefined) return this.#gap(last);
        }
        if (reader.end !== undefined && next >= reader.end.count) return undefined;
        const entry = this.#entries.at(next - this.#dropped);
        if (entry === undefined) return undefined;
        next++;
        last = entry;
        return entry;
      },
      end: () => (reader.end !== undefined && next >= reader.end.count ? reader.end : undefined),
      leave: () => void this.#readers.delete(reader),
    };
  }
}
