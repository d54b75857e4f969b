// One counter for all that is told of tasks. It rises over restarts of the broker: it begins at the clock.

/** So many numbers for each millisecond: fewer are used than that, so the next run begins above them. */
const perMs = 1_000;

export class Numbers {
  #first = 0;
  #last = 0;

  /** The first number of this run, and the last one; 0 before the first. */
  get first(): number {
    return this.#first;
  }

  get last(): number {
    return this.#last;
  }

  next(now: number): number {
    if (this.#last === 0) {
      this.#first = Math.floor(now) * perMs + 1;
      this.#last = this.#first;
    } else this.#last++;
    return this.#last;
  }
}
