// Items that never wait for anything would let nothing else happen: they are taken by turns.
import type { Scope } from "./scope.ts";

const maxTurnMs = 10;
// The genuine one, also where a test has put its own clock in place of the timers.
const defer = setImmediate;

export class Turns {
  readonly #now: () => number;
  #since: number;

  /** By the clock of the run: where time is virtual, none passes while items are made. */
  constructor(scope: Scope | undefined) {
    this.#now = () => scope?.now?.() ?? performance.now();
    this.#since = this.#now();
  }

  get isOver(): boolean {
    return this.#now() - this.#since >= maxTurnMs;
  }

  /** Everything else happens, and the next turn begins. */
  async end(): Promise<void> {
    await new Promise((resolve) => defer(resolve));
    this.#since = this.#now();
  }
}
