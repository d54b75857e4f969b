// How long a run of each method should take, going by those before.

/** How much the longest runs count less with each run after them. */
const forgetting = 0.1;
/** Less than this is not measured: it keeps what may lie ahead of a worker bounded. */
const leastMs = 0.005;
/** What never ran may take any time: a number that can be added up, unlike Infinity. */
const unknownMs = 1e9;

interface Longest {
  first: number;
  second: number;
}

/**
 * What a run should take is what the second-longest of the recent ones took: that a worker was once held up, by the system or
 * by collecting garbage, says nothing of its method.
 */
export class RunTimes {
  readonly #byMethod = new Map<string, Longest>();

  note(method: string, ms: number): void {
    const took = Math.max(ms, leastMs);
    const longest = this.#byMethod.get(method);
    if (longest === undefined) {
      this.#byMethod.set(method, { first: took, second: took });
      return;
    }
    const first = longest.first * (1 - forgetting);
    const second = longest.second * (1 - forgetting);
    longest.first = Math.max(first, took);
    longest.second = Math.max(second, Math.min(first, took));
  }

  /** In milliseconds. */
  expect(method: string): number {
    return this.#byMethod.get(method)?.second ?? unknownMs;
  }
}
