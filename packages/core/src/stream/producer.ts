// The end of a stream that items come from: pulls them as far as the consumer has room, and keeps them until they arrived.

import { Deque } from "../collections/deque.ts";
import { errorToWire, TooLargeError } from "../errors.ts";
import { ErrorCode } from "../protocol/error-codes.ts";
import { isDeeperThan, isLongerThan } from "../protocol/json.ts";
import { type ErrorObject, errorObject } from "../protocol/messages.ts";
import type { StreamGrant, StreamWindow } from "../protocol/streams.ts";
import { checkedResult, closeIterator } from "./result.ts";

/** A batch as it is sent: its items are JSON already. */
export interface EncodedBatch {
  readonly seq: number;
  /** A JSON array. */
  readonly items: string;
  readonly bytes: number;
  readonly end?: true;
  readonly error?: ErrorObject;
}

/** What a single item may be. */
export interface ItemLimits {
  readonly bytes: number;
  /** How deep it may nest. */
  readonly depth: number;
}

export interface ProducerOptions {
  readonly window: StreamWindow;
  readonly limits: () => ItemLimits;
  /** Sends a batch, or loses it: then `resume` is called, or the consumer asks for it again. */
  readonly send: (batch: EncodedBatch) => void;
  /**
   * Who is told of what the iterable threw: the consumer, as the end of its items, or the caller of `run`, once the
   * consumer has all items before it.
   */
  readonly errors: "sent" | "thrown";
  /** Calls back when this tick is over: what it produced leaves as one batch. @default setImmediate */
  readonly defer?: (callback: () => void) => void;
  /** In milliseconds. @default performance.now */
  readonly now?: (() => number) | undefined;
}

interface Kept {
  readonly batch: EncodedBatch;
  /** How many items there are up to the end of this batch. */
  readonly until: number;
}

/** After so long without an end of the tick, what is there is sent, and what came is heard: some iterables only compute. */
const maxTickMs = 10;
const maxBatchItems = 256;
const maxBatchBytes = 64 * 1024;
/** Around an item in its message. */
const envelopeBytes = 1_024;
const envelopeDepth = 2;
/** What is left of the texts of an error that is too large to be sent. */
const maxErrorLength = 200;

export class StreamProducer {
  readonly #options: ProducerOptions;
  readonly #defer: (callback: () => void) => void;
  readonly #now: () => number;
  readonly #maxItems: number;
  /** Sent, and not known to be taken. */
  readonly #kept = new Deque<Kept>();
  #keptBytes = 0;
  /** Items that wait to be sent together. */
  #texts: string[] = [];
  #textBytes = 0;
  #isDeferred = false;
  /** When this tick began, or a later time. */
  #tickAt = 0;
  /** Items that were produced, and where the end stands, if there is one. */
  #count = 0;
  #last = Number.POSITIVE_INFINITY;
  #taken = 0;
  #received = 0;
  #isStopped = false;
  #wake: (() => void) | undefined;
  #onStopped: (() => void) | undefined;

  constructor(options: ProducerOptions) {
    this.#options = options;
    this.#defer = options.defer ?? ((callback) => void setImmediate(callback));
    this.#now = options.now ?? (() => performance.now());
    this.#maxItems = Math.max(1, Math.min(maxBatchItems, Math.floor(options.window.items / 4)));
  }

  /**
   * Sends all items.
   * @returns when the consumer has received them, or after `stop` when the iterable was closed
   * @throws what the iterable threw, and TypeError or TooLargeError for an item that can't be sent, unless errors are sent
   */
  async run(items: AsyncIterable<unknown>): Promise<void> {
    if (this.#isStopped) return closeIterator(items[Symbol.asyncIterator]());
    let iterator: AsyncIterator<unknown>;
    try {
      iterator = items[Symbol.asyncIterator]();
    } catch (error) {
      return this.#finish({ error });
    }
    const stopped = new Promise<void>((resolve, reject) => {
      this.#onStopped = () => void closeIterator(iterator).then(resolve, reject);
    });
    await Promise.race([this.#all(iterator, stopped), stopped]);
    this.#onStopped = undefined;
  }

  /** What the consumer told. */
  onGrant({ taken, received, again = false, closed = false }: StreamGrant): void {
    if (closed) {
      this.stop();
      return;
    }
    const end = Number.isFinite(this.#last) ? this.#last + 1 : this.#count;
    this.#taken = Math.max(this.#taken, Math.min(taken, this.#count));
    this.#received = Math.max(this.#received, Math.min(received, end));
    for (let first = this.#kept.peek(); first && this.#isDone(first); first = this.#kept.peek()) {
      this.#kept.shift();
      this.#keptBytes -= first.batch.bytes;
    }
    if (again) this.#sendAgain();
    this.#wakeUp();
  }

  /** What was sent, or told, may have got lost: sends all of it again that is not known to have arrived. */
  resume(): void {
    if (this.#isStopped) return;
    this.#sendAgain();
    // What has arrived already is answered with how far it was taken: that may have got lost as well.
    this.#options.send({ seq: 0, items: "[]", bytes: 0 });
  }

  /** Nobody wants any more: the iterable is closed, so that its `finally` blocks run, and nothing more is sent. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#kept.retain(() => false);
    this.#texts = [];
    this.#onStopped?.();
    this.#wakeUp();
  }

  #sendAgain(): void {
    for (const { batch, until } of this.#kept) if (until > this.#received) this.#options.send(batch);
  }

  async #all(iterator: AsyncIterator<unknown>, stopped: Promise<void>): Promise<void> {
    let failure: { readonly error: unknown } | undefined;
    try {
      await this.#pump(iterator);
    } catch (error) {
      failure = { error };
    }
    if (this.#isStopped) return stopped;
    await this.#finish(failure);
  }

  async #pump(iterator: AsyncIterator<unknown>): Promise<void> {
    this.#tickAt = this.#now();
    for (;;) {
      while (!this.#hasRoom && !this.#isStopped) {
        await this.#change();
        this.#tickAt = this.#now();
      }
      if (this.#isStopped) return;
      const result: unknown = await iterator.next();
      if (this.#isStopped) return;
      const { done, value } = checkedResult(result);
      if (done === true) return;
      try {
        this.#add(value);
      } catch (error) {
        await closeIterator(iterator).catch(() => undefined);
        throw error;
      }
      if (this.#now() - this.#tickAt >= maxTickMs) await this.#tick();
    }
  }

  async #finish(failure: { readonly error: unknown } | undefined): Promise<void> {
    const isSent = this.#options.errors === "sent";
    // An output ends with its task; that all has arrived has to be known before.
    if (isSent || this.#count > this.#received) {
      const error = isSent && failure !== undefined ? this.#errorOf(failure.error) : undefined;
      // It may be about as large as a message may be.
      if (error !== undefined) this.#flush();
      this.#last = this.#count;
      this.#flush(error);
      while (this.#received <= this.#last && !this.#isStopped) await this.#change();
    }
    if (failure !== undefined && !isSent) throw failure.error;
  }

  #errorOf(thrown: unknown): ErrorObject {
    const error = errorToWire(thrown);
    if (!isLongerThan(JSON.stringify(error), this.#options.limits().bytes - envelopeBytes)) return error;
    const { name } = (error.data ?? {}) as { readonly name?: unknown };
    const message = `${error.message.slice(0, maxErrorLength)}…`;
    if (typeof name !== "string") return errorObject(error.code, message);
    return errorObject(error.code, message, { name: name.slice(0, maxErrorLength), message });
  }

  get #hasRoom(): boolean {
    const { items, bytes } = this.#options.window;
    return this.#count - this.#taken < items && this.#keptBytes + this.#textBytes < bytes;
  }

  #add(item: unknown): void {
    const limits = this.#options.limits();
    const text = encodeItem(item, limits);
    const bytes = Buffer.byteLength(text) + 1;
    const most = Math.min(maxBatchBytes, limits.bytes - envelopeBytes);
    // What is too large for a message together may not be so by itself.
    if (this.#textBytes + bytes > most) this.#flush();
    this.#texts.push(text);
    this.#textBytes += bytes;
    this.#count++;
    if (this.#texts.length >= this.#maxItems || this.#textBytes >= most) this.#flush();
    else if (!this.#isDeferred) {
      this.#isDeferred = true;
      this.#defer(() => {
        this.#isDeferred = false;
        this.#tickAt = this.#now();
        if (this.#texts.length > 0) this.#flush();
      });
    }
  }

  /** Sends what is there, and lets everybody else do something. */
  async #tick(): Promise<void> {
    this.#flush();
    await new Promise<void>((resolve) => this.#defer(resolve));
    this.#tickAt = this.#now();
  }

  #flush(error?: ErrorObject): void {
    const isLast = this.#last === this.#count;
    if (this.#isStopped || (this.#texts.length === 0 && !isLast)) return;
    const until = this.#count + (isLast ? 1 : 0);
    const batch: EncodedBatch = {
      seq: this.#count - this.#texts.length,
      items: `[${this.#texts.join(",")}]`,
      bytes: this.#textBytes,
      ...(isLast && { end: true }),
      ...(error !== undefined && { error }),
    };
    this.#keptBytes += this.#textBytes;
    this.#texts = [];
    this.#textBytes = 0;
    this.#kept.push({ batch, until });
    this.#options.send(batch);
  }

  /** Bytes are given back when all of a batch was taken: its consumer counts them so, too. */
  #isDone({ until }: Kept): boolean {
    return until <= this.#taken || (until > this.#last && until <= this.#received);
  }

  #change(): Promise<void> {
    // What the consumer is to make room for has to reach it first.
    if (this.#texts.length > 0) this.#flush();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

function encodeItem(item: unknown, { bytes, depth }: ItemLimits): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(item);
  } catch (error) {
    throw new TypeError(`An item can't be sent as JSON: ${(error as Error).message}`, { cause: error });
  }
  if (text === undefined) {
    if (item !== undefined)
      throw new TypeError(`An item can't be sent as JSON: it has nothing for this ${typeof item}`);
    return "null";
  }
  const most = bytes - envelopeBytes;
  if (isLongerThan(text, most)) {
    const message = `Expected items of at most ${most} bytes, got one of ${Buffer.byteLength(text)}`;
    throw new TooLargeError(message, ErrorCode.TooLarge);
  }
  if (isDeeperThan(item, depth - envelopeDepth)) {
    const message = `Expected items of at most ${depth - envelopeDepth} levels of nesting, got more`;
    throw new TooLargeError(message, ErrorCode.TooLarge);
  }
  return text;
}
