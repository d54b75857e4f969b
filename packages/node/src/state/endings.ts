// Runs that are to end: how much time they have for it, and whose end somebody waits for.

interface Ending {
  /** When it is ended by force. */
  killAt: number;
  /** The broker waits to hear how it ends. */
  isAwaited: boolean;
  /** Its time was over. */
  isKilled: boolean;
  /** That could not be done: only it itself can end it. */
  isUnstoppable: boolean;
}

export class Endings<A> {
  readonly #endings = new Map<A, Ending>();

  /** The run is to have ended by `killAt`; of two times the earlier counts, unless it outlived that. */
  begin(run: A, killAt: number, isAwaited: boolean): void {
    const known = this.#endings.get(run);
    if (known === undefined) {
      this.#endings.set(run, { killAt, isAwaited, isKilled: false, isUnstoppable: false });
      return;
    }
    known.isAwaited ||= isAwaited;
    if (known.isUnstoppable && known.isKilled && isAwaited) {
      // It is asked about once more, and has the time for it that is said now.
      known.isKilled = false;
      known.killAt = killAt;
    } else known.killAt = Math.min(known.killAt, killAt);
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

  /** The run could not be ended by force. @returns whether somebody waits for its end */
  couldNotKill(run: A): boolean {
    const ending = this.#endings.get(run);
    if (ending === undefined) return false;
    ending.isUnstoppable = true;
    return ending.isAwaited;
  }

  /** The run has ended. @returns how, if somebody waits for that */
  end(run: A): "cooperative" | "killed" | undefined {
    const ending = this.#endings.get(run);
    if (ending === undefined) return undefined;
    this.#endings.delete(run);
    if (!ending.isAwaited) return undefined;
    return ending.isKilled && !ending.isUnstoppable ? "killed" : "cooperative";
  }
}
