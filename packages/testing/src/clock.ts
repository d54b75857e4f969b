// The clock that a test sets forward: what is due at once happens by itself, and nothing else until it is told to.
import { currentScope, OptionError, type Span, spanOption } from "zerotask-core";
import type { VirtualTime } from "./virtual-time.ts";

/** Virtual time. It stands still until `advance` or `until` lets it pass. */
export interface Clock {
  /** What it says, in milliseconds since the epoch. It begins at 2023-11-14T22:13:20Z. */
  now(): number;
  /**
   * Lets time pass, and everything happen that is due in it, in order. Before time goes on, all that follows from promises
   * has happened; what waits for the real world (a file, a real timer) is not waited for.
   * @param span milliseconds, or words such as `"2 hours 30 minutes"`
   * @throws OptionError for what is no span; Error where a handler calls it while somebody lets time pass: it is to `sleep`
   */
  advance(span: Span): Promise<void>;
  /** For handlers: resolves when as much time has passed. @throws OptionError for what is no span */
  sleep(span: Span): Promise<void>;
  /**
   * Lets time pass until a promise is settled, and resolves or rejects with it.
   * @param most how much time may pass; rejects with an Error when that is over. @default "1 day"
   * @throws Error as `advance` does
   */
  until<T>(promise: PromiseLike<T>, most?: Span): Promise<T>;
}

// Also where a test has put its own clock in place of the timers.
const genuineImmediate = setImmediate;

export class VirtualClock implements Clock {
  readonly #time: VirtualTime;
  /** One at a time lets things happen. */
  #busy: Promise<void> = Promise.resolve();
  #isPumping = false;
  /** Somebody lets time pass. */
  #isPassing = false;
  #isEnded = false;

  constructor(time: VirtualTime) {
    this.#time = time;
    time.onDue = () => this.#pump();
  }

  now(): number {
    return this.#time.now;
  }

  async advance(span: Span): Promise<void> {
    const ms = spanOption("span", span);
    await this.#passing(async () => {
      const until = this.#time.elapsed + ms;
      await quiet();
      while (this.#isDue(until)) await this.#step();
      this.#time.pass(until);
    });
  }

  async sleep(span: Span): Promise<void> {
    const ms = spanOption("span", span);
    await new Promise<void>((resolve) => {
      this.#time.after(ms, resolve);
    });
  }

  async until<T>(promise: PromiseLike<T>, most: Span = "1 day"): Promise<T> {
    const ms = spanOption("most", most);
    if (typeof (promise as { then?: unknown } | undefined)?.then !== "function") {
      throw new OptionError("promise", "a promise", promise);
    }
    let isSettled = false;
    const settled = (): void => {
      isSettled = true;
    };
    promise.then(settled, settled);
    await this.#passing(async () => {
      const until = this.#time.elapsed + ms;
      await quiet();
      while (!isSettled && this.#isDue(until)) await this.#step();
      if (!isSettled) this.#time.pass(until);
    });
    if (!isSettled) throw new Error(`Expected the promise to be settled within ${JSON.stringify(most)}`);
    return promise;
  }

  /** Nothing happens by itself any more. */
  end(): void {
    this.#isEnded = true;
    this.#time.onDue = undefined;
  }

  #isDue(until: number): boolean {
    const { next } = this.#time;
    return next !== undefined && next <= until && !this.#isEnded;
  }

  async #step(): Promise<void> {
    this.#time.happen();
    await promisesSettled();
    const { next } = this.#time;
    // Before time goes on: handlers may wait for a turn of the event loop.
    if (next === undefined || next > this.#time.elapsed) await quiet();
  }

  /** What is due at once happens, though nobody lets time pass. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    void this.#alone(async () => {
      await quiet();
      this.#isPumping = false;
      while (this.#isDue(this.#time.elapsed)) await this.#step();
    });
  }

  /** A handler that waits for time to pass, which waits for the handler, would wait for ever. */
  async #passing(run: () => Promise<void>): Promise<void> {
    if (this.#isPassing && currentScope() !== undefined) {
      throw new Error("Expected a handler to wait by `clock.sleep`: somebody lets time pass already");
    }
    await this.#alone(async () => {
      this.#isPassing = true;
      await run().finally(() => {
        this.#isPassing = false;
      });
    });
  }

  #alone(run: () => Promise<void>): Promise<void> {
    const before = this.#busy;
    this.#busy = before.then(run);
    return this.#busy;
  }
}

/** What follows from promises has happened: a tick comes when no microtask is left. */
function promisesSettled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

function quiet(): Promise<void> {
  return new Promise((resolve) => genuineImmediate(resolve));
}
