// When a node may leave because nothing is left for it: once all its brokers have said so, with none in doubt since.

/** Ask the broker of this link whether it is empty; with `wait`, for an answer once it is. */
export interface EmptinessQuestion {
  readonly link: number;
  readonly wait: boolean;
}

type Known = "unknown" | "waiting" | "confirming" | "empty";

export class EmptinessState {
  readonly #links = new Map<number, Known>();
  /** Whether all were empty once, and are being asked for a second time. */
  #isConfirming = false;

  /** @param links those that there are, and whether each is connected */
  constructor(links: Iterable<readonly [link: number, isConnected: boolean]>) {
    for (const [link, isConnected] of links) this.#links.set(link, isConnected ? "waiting" : "unknown");
  }

  /** What to ask at first. */
  get questions(): EmptinessQuestion[] {
    return [...this.#links].flatMap(([link, known]) => (known === "waiting" ? [{ link, wait: true }] : []));
  }

  /** Whether all brokers are empty. */
  get isEmpty(): boolean {
    const isEach = [...this.#links.values()].every((known) => known === "empty");
    // What was empty first may have got something while others were waited for.
    return isEach && (this.#isConfirming || this.#links.size <= 1);
  }

  /** The link is (again) there, and knows of no earlier question. */
  welcomed(link: number): EmptinessQuestion[] {
    this.#isConfirming = false;
    return this.#wait(link);
  }

  lost(link: number): void {
    this.#isConfirming = false;
    this.#links.set(link, "unknown");
  }

  /** The answer to the last question to this link. @returns what to ask next */
  answered(link: number, empty: boolean): EmptinessQuestion[] {
    if (!empty) {
      this.#isConfirming = false;
      return this.#wait(link);
    }
    this.#links.set(link, "empty");
    if (this.isEmpty || [...this.#links.values()].some((known) => known !== "empty")) return [];
    this.#isConfirming = true;
    return [...this.#links.keys()].map((each) => {
      this.#links.set(each, "confirming");
      return { link: each, wait: false };
    });
  }

  #wait(link: number): EmptinessQuestion[] {
    this.#links.set(link, "waiting");
    return [{ link, wait: true }];
  }
}
