// One loop over what happens in this process: it takes what is there, waits for more, and can be left while it waits.
import { type Deferred, deferred } from "../deferred.ts";

/** What a loop is over. */
export interface LoopSource<Item> {
  /** The next one that is there; `undefined` for none. */
  take(): Item | undefined;
  /** Where nothing comes any more, how it ends; asked where nothing is there. */
  end(): { readonly error: Error | undefined } | undefined;
  /** Nobody reads it any more. */
  leave(): void;
}

type Result<Item> = IteratorResult<Item, undefined>;

export class LocalLoop<Item> implements AsyncIterator<Item, undefined, undefined> {
  readonly #source: LoopSource<Item>;
  readonly #onLeft: () => void;
  readonly #readers: Deferred<Result<Item>>[] = [];
  #failure: { readonly error: Error } | undefined;
  #isLeft = false;

  /** @param open gets what is to be called when there may be more */
  constructor(open: (wake: () => void) => LoopSource<Item>, onLeft: () => void) {
    this.#onLeft = onLeft;
    this.#source = open(() => this.#serve());
  }

  next(): Promise<Result<Item>> {
    const reader = deferred<Result<Item>>();
    this.#readers.push(reader);
    this.#serve();
    return reader.promise;
  }

  /** Ends the loop: also one that waits. */
  async return(): Promise<Result<Item>> {
    this.#leave();
    return { done: true, value: undefined };
  }

  /** There will be nothing more. What has come already is told before. */
  fail(error: Error): void {
    this.#failure ??= { error };
    this.#serve();
  }

  #serve(): void {
    if (this.#isLeft) this.#leave();
    while (this.#readers.length > 0) {
      const value = this.#source.take();
      if (value !== undefined) {
        this.#readers.shift()?.resolve({ done: false, value });
        continue;
      }
      const end = this.#failure ?? this.#source.end();
      if (end === undefined) return;
      if (end.error !== undefined) this.#readers.shift()?.reject(end.error);
      this.#leave();
    }
  }

  #leave(): void {
    this.#isLeft = true;
    this.#source.leave();
    this.#onLeft();
    for (const reader of this.#readers.splice(0)) reader.resolve({ done: true, value: undefined });
  }
}

/** What of a source is wanted, as it is wanted: `pick` returns `undefined` for what is passed over. */
export function picked<Item, Picked>(
  source: LoopSource<Item>,
  pick: (item: Item) => Picked | undefined,
): LoopSource<Picked> {
  return {
    take: () => {
      for (;;) {
        const item = source.take();
        if (item === undefined) return undefined;
        const wanted = pick(item);
        if (wanted !== undefined) return wanted;
      }
    },
    end: () => source.end(),
    leave: () => source.leave(),
  };
}
