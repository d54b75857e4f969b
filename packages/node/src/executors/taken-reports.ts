// Tells a worker how much of its reports was passed on, which it may tell anew: not while its broker is behind with them.
import type { Timer } from "zerotask-core";
import type { PoolHost } from "./pool-host.ts";

/** How often it is looked whether a broker is still behind. */
const lookMs = 20;

export class TakenReports {
  readonly #host: Pick<PoolHost, "isBehind" | "runtime">;
  readonly #tell: (total: number) => void;
  #total = 0;
  /** Whose reports were passed on since that was told last. */
  readonly #links = new Set<number>();
  #timer: Timer | undefined;
  #isSoon = false;
  #isClosed = false;

  /** @param tell is given the length of all reports so far, in 32 bits */
  constructor(host: Pick<PoolHost, "isBehind" | "runtime">, tell: (total: number) => void) {
    this.#host = host;
    this.#tell = tell;
  }

  /** A report for the broker of this link was passed on. */
  took(link: number, length: number): void {
    this.#total = (this.#total + length) >>> 0;
    this.#links.add(link);
    if (this.#isSoon || this.#timer !== undefined) return;
    this.#isSoon = true;
    // Once for all that came in one message.
    queueMicrotask(() => {
      this.#isSoon = false;
      this.#look();
    });
  }

  close(): void {
    this.#timer?.cancel();
    this.#isClosed = true;
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#isClosed) return;
    for (const link of this.#links) {
      if (!this.#host.isBehind(link)) continue;
      this.#timer = this.#host.runtime.after(lookMs, () => this.#look());
      return;
    }
    this.#links.clear();
    this.#tell(this.#total);
  }
}
