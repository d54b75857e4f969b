// How the starts of a pool's workers go: how long they may take, when the next one may be, and when there is none to wait for.

/** How long to wait after workers that died without having done anything; doubled each time, up to the last. */
export const respawnMs = 100;
const maxRespawnMs = 10_000;
/** How long tasks wait for a pool none of whose workers is ready. Then other nodes may have them. */
export const downMs = 5_000;
/** A worker has loaded its modules within this time, or within twice of what the slowest one took. */
export const loadMs = 60_000;

export class Starts {
  /** Workers in a row that died without having done anything. */
  #failures = 0;
  /** When there may be the next one, after some that failed. */
  #nextAt: number | undefined;
  #slowestMs = 0;
  /** Since when something has waited, and no worker was ready. */
  #downSince: number | undefined;

  get nextAt(): number | undefined {
    return this.#nextAt;
  }

  get mostLoadMs(): number {
    return Math.max(loadMs, this.#slowestMs * 2);
  }

  onReady(tookMs: number): void {
    this.#slowestMs = Math.max(this.#slowestMs, tookMs);
    this.#downSince = undefined;
  }

  onWorked(): void {
    this.#failures = 0;
  }

  /** @returns when there may be the next one */
  onFailed(now: number): number {
    this.#nextAt = now + Math.min(maxRespawnMs, respawnMs * 2 ** this.#failures++);
    return this.#nextAt;
  }

  onTick(now: number): void {
    if (this.#nextAt !== undefined && this.#nextAt <= now) this.#nextAt = undefined;
  }

  mayStart(now: number): boolean {
    return this.#nextAt === undefined || this.#nextAt <= now;
  }

  /** Something waits, and no worker is ready. @returns from when on it should not wait here */
  hopelessAt(now: number): number {
    if (this.#failures > 0) return now;
    this.#downSince ??= now;
    return this.#downSince + downMs;
  }
}
