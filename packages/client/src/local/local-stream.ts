// A stream within a process: the reader asks for one item, and only then does the handler go on to make it.
import { checkedResult, closeIterator, currentScope, Turns } from "zerotask-core";
import type { Deferred } from "../deferred.ts";
import { deferred } from "../deferred.ts";
import { copyValue } from "./copy.ts";

type Item = IteratorResult<unknown, undefined>;

const done: Item = { done: true, value: undefined };

export interface StreamHandlers {
  /** The first item is asked for. */
  onStart(): void;
  /** The reader leaves before the end. */
  onLeft(): void;
  /** The task is settled. */
  onEnded(): void;
}

/** For one reader: each item is given out once. */
export class LocalStream implements AsyncIterableIterator<unknown> {
  readonly #handlers: StreamHandlers;
  readonly #readers: Deferred<Item>[] = [];
  #state: "new" | "open" | "left" | "ended" = "new";
  #error: Error | undefined;
  /** Wakes up the handler that waits to be asked. */
  #onAsked: (() => void) | undefined;
  /** Closes what the handler returned. */
  #onUnwanted: (() => void) | undefined;
  /** Whether the handler returned something to read from. */
  wasOpened = false;
  /** Whether anything was given out: then the task can't begin again. */
  hasFlowed = false;

  constructor(handlers: StreamHandlers) {
    this.#handlers = handlers;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Item> {
    if (this.#state === "left") return Promise.resolve(done);
    if (this.#state === "ended") return this.#atEnd();
    const reader = deferred<Item>();
    this.#readers.push(reader);
    if (this.#state === "new") {
      this.#state = "open";
      this.#handlers.onStart();
    }
    this.#onAsked?.();
    return reader.promise;
  }

  /** Stops the handler. Whoever leaves the loop does not wait for its `finally` blocks. */
  async return(): Promise<Item> {
    if (this.#state === "new") this.#state = "left";
    if (this.#state !== "open") return done;
    this.#state = "left";
    for (const reader of this.#readers.splice(0)) reader.resolve(done);
    this.#handlers.onLeft();
    this.#onUnwanted?.();
    return done;
  }

  /** The reader has no more time: it gets the error, and the handler is stopped. */
  giveUp(error: Error): void {
    if (this.#state !== "open") return;
    this.#finish(error);
    this.#handlers.onLeft();
    this.#onUnwanted?.();
  }

  /** Takes what the handler makes, as far as it is asked for, and closes it where nobody wants more. */
  async consume(items: AsyncIterable<unknown>): Promise<null> {
    this.wasOpened = true;
    const iterator = items[Symbol.asyncIterator]();
    const unwanted = new Promise<void>((resolve) => {
      this.#onUnwanted = resolve;
    });
    // Also while it makes an item; here, as a handler is in its run where it is told to end.
    const closed = unwanted.then(() => closeIterator(iterator));
    if (this.#state !== "open") this.#onUnwanted?.();
    try {
      await Promise.race([this.#give(iterator, closed), closed]);
    } finally {
      this.#onUnwanted = undefined;
    }
    return null;
  }

  async #give(iterator: AsyncIterator<unknown>, closed: Promise<void>): Promise<void> {
    const turns = new Turns(currentScope());
    while (await this.#isAsked()) {
      if (turns.isOver) await turns.end();
      const { done: isOver, value } = checkedResult(await iterator.next());
      if (isOver === true) return;
      let item: unknown;
      try {
        item = copyValue("items", value) ?? null;
      } catch (error) {
        await closeIterator(iterator);
        throw error;
      }
      this.hasFlowed = true;
      this.#readers.shift()?.resolve({ done: false, value: item });
    }
    await closed;
  }

  /** The task is settled: whoever reads on gets the error once, or the end. */
  end(error: Error | undefined): void {
    this.#handlers.onEnded();
    if (this.#state !== "left" && this.#state !== "ended") this.#finish(error);
    this.#onUnwanted?.();
  }

  #finish(error: Error | undefined): void {
    this.#state = "ended";
    this.#error = error;
    for (const reader of this.#readers.splice(0)) this.#atEnd().then(reader.resolve, reader.reject);
  }

  async #atEnd(): Promise<Item> {
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) throw error;
    return done;
  }

  /** Resolves when an item is asked for, or none ever will be. */
  async #isAsked(): Promise<boolean> {
    while (this.#state === "open" && this.#readers.length === 0) {
      await new Promise<void>((resolve) => {
        this.#onAsked = resolve;
      });
      this.#onAsked = undefined;
    }
    return this.#state === "open";
  }
}
