// Runs that are to end: how much time they have for it, and whose end somebody waits for.

interface Ending {
  /** When it is ended by force. */
  killAt: number;
  /** The broker waits to hear how it ends. */
  isAwaited: boolean;
  isKilled: boolean;
}

export class Endings<A> {
  readonly #endings = new Map<A, Ending>();

  /** The run is to have ended by `killAt`; of two times the earlier counts. */
  begin(run: A, killAt: number, isAwaited: boolean): void {
    const known = this.#endings.get(run);
    if (known === undefined) {
      this.#endings.set(run, { killAt, isAwaited, isKilled: false });
      return;
    }
    known.isAwaited ||= isAwaited;
    // One that could not be killed is asked about once more.
    if (known.isKilled && isAwaited) known.isKilled = false;
    known.killAt = Math.min(known.killAt, killAt);
  }

  /** Those whose time is over now, each once. */
  takeDue(now: number): A[] {
    const due: A[] = [];
    for (const [run, ending] of this.#endings) {
      if (ending.isKilled || ending.killAt > now) continue;
      ending.isKilled = true;
      due.push(run);
    }
    return due;
  }

  /** When the next one's time is over. */
  get next(): number | undefined {
    let next: number | undefined;
    for (const { isKilled, killAt } of this.#endings.values()) {
      if (!isKilled && (next === undefined || killAt < next)) next = killAt;
    }
    return next;
  }

  /** Whether somebody waits for the end of this run. */
  isAwaited(run: A): boolean {
    return this.#endings.get(run)?.isAwaited === true;
  }

  /** The run has ended. @returns how, if somebody waits for that */
  end(run: A): "cooperative" | "killed" | undefined {
    const ending = this.#endings.get(run);
    if (ending === undefined) return undefined;
    this.#endings.delete(run);
    if (!ending.isAwaited) return undefined;
    return ending.isKilled ? "killed" : "cooperative";
  }
}
