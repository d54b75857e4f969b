// The end of a stream that items are read from: puts batches in order, and tells the producer how far it may go on.
import { Deque } from "../collections/deque.ts";
import { errorFromWire } from "../errors.ts";
import type { StreamBatch, StreamGrant, StreamWindow } from "../protocol/streams.ts";

export interface ConsumerOptions {
  readonly window: StreamWindow;
  /** Whether the producer's last batch ends it, or only `finish`. */
  readonly endsByItself: boolean;
  /** Tells the producer, or is lost: then `resume` is called, or the producer sends something again. */
  readonly grant: (grant: StreamGrant) => void;
  /** Called when the first item is asked for. */
  readonly onStart?: () => void;
  /** Called when the reader leaves before the end. */
  readonly onLeft?: () => void;
}

interface Waiting {
  readonly items: readonly unknown[];
  readonly bytes: number;
}

interface Reader {
  readonly resolve: (result: IteratorResult<unknown>) => void;
  readonly reject: (error: unknown) => void;
}

/** For one reader: each item is given out once. */
export class StreamConsumer implements AsyncIterableIterator<unknown> {
  readonly #options: ConsumerOptions;
  readonly #batches = new Deque<Waiting>();
  readonly #readers = new Deque<Reader>();
  /** The place of the next item in the first batch. */
  #place = 0;
  #received = 0;
  #taken = 0;
  #takenBytes = 0;
  /** What was told last. */
  #toldTaken = 0;
  /** Up to where it was when something was asked for again: that is on its way. */
  #askedAt = -1;
  #hasStarted = false;
  #isLeft = false;
  #isFinished = false;
  #end: { readonly error: unknown } | undefined;

  constructor(options: ConsumerOptions) {
    this.#options = options;
  }

  /** Items that have arrived so far. */
  get received(): number {
    return this.#received;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown>> {
    if (!this.#hasStarted && this.#end === undefined) {
      this.#hasStarted = true;
      this.#options.onStart?.();
    }
    const first = this.#batches.peek();
    if (first !== undefined) return Promise.resolve({ done: false, value: this.#take(first) });
    if (this.#end !== undefined || this.#isLeft) return this.#ended();
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  /** Leaves: nothing more is wanted. */
  return(): Promise<IteratorResult<unknown>> {
    this.#leave();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Takes what arrived, in any order and as often as it comes. */
  onBatch({ seq, items, bytes, end = false, error }: StreamBatch): void {
    if (this.#isLeft) {
      this.#tell(false);
      return;
    }
    const until = seq + items.length + (end ? 1 : 0);
    if (seq > this.#received) {
      if (this.#askedAt !== this.#received) this.#tell(true);
      return;
    }
    // It was sent again: the producer doesn't know how far this has got.
    if (until <= this.#received) {
      if (this.#isUsed) this.#tell(false);
      return;
    }
    const news = seq === this.#received ? items : items.slice(this.#received - seq);
    this.#received = until;
    if (news.length > 0) this.#batches.push({ items: news, bytes });
    if (end && this.#options.endsByItself) {
      this.#end ??= { error: error === undefined ? undefined : errorFromWire(error) };
    }
    // The producer waits for it to be known that all has arrived.
    if (end) this.#tell(false);
    this.#serve();
  }

  /** Nothing more comes: after what has arrived, the reader gets the end, or `error`. */
  finish(error?: unknown): void {
    this.#isFinished = true;
    this.#end = { error: error ?? this.#end?.error };
    this.#serve();
  }

  /** What was sent or told may have got lost. */
  resume(): void {
    if (this.#isUsed && !this.#isFinished) this.#tell(true);
  }

  /** Before that, the producer is not to begin. */
  get #isUsed(): boolean {
    return this.#hasStarted || this.#received > 0;
  }

  #serve(): void {
    while (this.#readers.size > 0) {
      const first = this.#batches.peek();
      if (first === undefined && this.#end === undefined) return;
      const reader = this.#readers.shift();
      if (first !== undefined) reader?.resolve({ done: false, value: this.#take(first) });
      else this.#ended().then(reader?.resolve, reader?.reject);
    }
  }

  #take({ items, bytes }: Waiting): unknown {
    const item = items[this.#place++];
    this.#taken++;
    if (this.#place === items.length) {
      this.#place = 0;
      this.#batches.shift();
      this.#takenBytes += bytes;
    }
    const { window } = this.#options;
    // Half a window is on its way while the other half is read. Where all was read, at least this much was.
    const isDue = (this.#taken - this.#toldTaken) * 2 >= window.items || this.#takenBytes * 2 >= window.bytes;
    if (isDue && this.#end === undefined) this.#tell(false);
    return item;
  }

  /** An error is thrown once. */
  #ended(): Promise<IteratorResult<unknown>> {
    const error = this.#end?.error;
    this.#end = { error: undefined };
    return error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error);
  }

  #leave(): void {
    if (this.#isLeft) return;
    const wasOpen = this.#end === undefined;
    this.#isLeft = true;
    this.#end = { error: undefined };
    this.#place = 0;
    this.#batches.retain(() => false);
    this.#serve();
    if (!wasOpen) return;
    this.#options.onLeft?.();
    this.#tell(false);
  }

  #tell(again: boolean): void {
    this.#toldTaken = this.#taken;
    this.#takenBytes = 0;
    if (again) this.#askedAt = this.#received;
    this.#options.grant({
      taken: this.#taken,
      received: this.#received,
      ...(again && { again }),
      ...(this.#isLeft && { closed: true }),
    });
  }
}
