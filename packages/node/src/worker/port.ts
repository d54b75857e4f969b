// What a worker sends: lines, gathered while it has more to do.

export interface Port {
  /** Sends one message. */
  send(text: string): void;
  /** Notes, for the node to read whatever becomes of this worker, which unit begins here. */
  mark(unit: number): void;
}

/** What is done is told no later than this, while more is done. In milliseconds. */
const gatherMs = 1;

export class Lines {
  readonly #port: Port;
  #lines: string[] = [];
  #sentAt = 0;
  #isSoon = false;

  constructor(port: Port) {
    this.#port = port;
  }

  /** Adds a line, to be sent with others. */
  add(line: string): void {
    this.#lines.push(line);
  }

  /** Sends a line now, after those before it: what runs may keep this thread busy. */
  send(line: string): void {
    this.add(line);
    this.flush();
  }

  flush(): void {
    if (this.#lines.length === 0) return;
    const text = this.#lines.length === 1 ? (this.#lines[0] ?? "") : this.#lines.join("\n");
    this.#lines = [];
    this.#sentAt = performance.now();
    this.#port.send(text);
  }

  /** Sends them when this turn of the event loop is over: until then handlers may end that only await what is there. */
  flushSoon(): void {
    if (this.#lines.length === 0 || this.#isSoon) return;
    this.#isSoon = true;
    setImmediate(() => {
      this.#isSoon = false;
      this.flush();
    });
  }

  /** Sends what has been there for long enough. */
  flushAt(now: number): void {
    if (now - this.#sentAt >= gatherMs) this.flush();
  }
}
