// What a worker sends: lines, gathered while it has more to do.

export interface Port {
  /** Sends one message. */
  send(text: string): void;
  /** Notes, for the node to read whatever becomes of this worker, which unit begins here. */
  mark(unit: number): void;
  /**
   * The same for one that is about to begin, the `order`th that the node gave to this worker.
   * @returns whether it may: the node may have revoked it. Each of the two writes its own word before it reads the other's, so
   * that one of them at least sees the other: a worker that sees a revocation begins nothing, and what a node does not see begun
   * never will be.
   */
  claim(unit: number, order: number): boolean;
  /** How much of all reports the node has taken and passed on, in UTF-16 units and 32 bits; also while this thread is busy. */
  reportsTaken(): number;
}

/** What a worker and its node share, in words of 32 bits: the unit that it began last, its order, two flags, and a count. */
export const unitWord = 0;
export const orderWord = 1;
export const isRevokedWord = 2;
/** Only of processes: it ended itself, as it needed too much memory. */
export const isMemoryWord = 3;
export const takenWord = 4;
export const words = 5;

const orders = 2 ** 30;

/** Units are counted by both sides, from 1 on, and after very many from 0 on. */
export function orderAfter(order: number): number {
  return (order + 1) % orders;
}

export function isLater(order: number, than: number): boolean {
  const ahead = (order - than + orders) % orders;
  return ahead > 0 && ahead < orders / 2;
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
