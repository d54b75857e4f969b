// An async iterable among the params as its handler reads it: items and errors as they would arrive from elsewhere.
import {
  checkedResult,
  closeIterator,
  currentScope,
  errorFromWire,
  errorToWire,
  type Params,
  runUnwanted,
  Turns,
} from "zerotask-core";

type Item = IteratorResult<unknown, undefined>;

const done: Item = { done: true, value: undefined };

/** For one reader: each item is given out once. */
export class LocalInput implements AsyncIterableIterator<unknown> {
  readonly #items: AsyncIterable<unknown>;
  readonly #copy: (item: unknown) => unknown;
  #iterator: AsyncIterator<unknown> | undefined;
  /** Of the handler that reads it. */
  #turns: Turns | undefined;
  /** Nothing more is taken from it. */
  #isOver = false;
  #failure: Error | undefined;
  /** Those who wait for an item. */
  readonly #waiting = new Set<(error: Error) => void>();

  /** @param copy makes of an item what arrives of it. May throw */
  constructor(items: AsyncIterable<unknown>, copy: (item: unknown) => unknown) {
    this.#items = items;
    this.#copy = copy;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Item> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#isOver) return Promise.resolve(done);
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      this.#take()
        .then(resolve, reject)
        .finally(() => this.#waiting.delete(reject));
    });
  }

  /** The handler reads no more. */
  async return(): Promise<Item> {
    this.close();
    return done;
  }

  /** Nobody wants the run any more: whoever reads hears so. */
  abort(): void {
    if (this.#isOver) return;
    this.#failure = runUnwanted();
    for (const reject of this.#waiting) reject(this.#failure);
  }

  /** The iterable is closed, so that its `finally` blocks run, also one that nobody has read. What it throws is nobody's. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#closeItems().catch(() => undefined);
  }

  async #take(): Promise<Item> {
    this.#turns ??= new Turns(currentScope());
    if (this.#turns.isOver) await this.#turns.end();
    try {
      const result = checkedResult(await this.#open().next());
      if (result.done !== true) return { done: false, value: this.#copied(result.value) };
    } catch (error) {
      this.#isOver = true;
      // Where it comes from another process, nothing is left of it but what is told.
      throw errorFromWire(errorToWire(error));
    }
    this.#isOver = true;
    return done;
  }

  async #closeItems(): Promise<void> {
    await closeIterator(this.#open());
  }

  #open(): AsyncIterator<unknown> {
    this.#iterator ??= this.#items[Symbol.asyncIterator]();
    return this.#iterator;
  }

  #copied(item: unknown): unknown {
    try {
      return this.#copy(item) ?? null;
    } catch (error) {
      this.close();
      throw error;
    }
  }
}

/** Those among params as a handler gets them. */
export function inputsOf(params: Params): LocalInput[] {
  return Object.values(params).filter((param) => param instanceof LocalInput);
}
