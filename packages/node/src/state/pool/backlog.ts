// What waits in a pool for a worker: first come, first served, but for what a worker gave back, which goes on before all.
import { Deque } from "zerotask-core";

export class Backlog<U> {
  /** In order; those that were taken out are passed over. */
  #queue = new Deque<U>();
  readonly #waiting = new Set<U>();

  get size(): number {
    return this.#waiting.size;
  }

  push(unit: U): void {
    this.#waiting.add(unit);
    this.#queue.push(unit);
  }

  /** In their order, before all that is there. */
  putFirst(units: readonly U[]): void {
    if (units.length === 0) return;
    const queue = new Deque<U>();
    for (const unit of units) {
      this.#waiting.add(unit);
      queue.push(unit);
    }
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) queue.push(next);
    this.#queue = queue;
  }

  /** The next one, which stays. */
  peek(): U | undefined {
    let unit = this.#queue.peek();
    while (unit !== undefined && !this.#waiting.has(unit)) {
      this.#queue.shift();
      unit = this.#queue.peek();
    }
    return unit;
  }

  /** Takes out what `peek` returned. */
  shift(): void {
    const unit = this.#queue.shift();
    if (unit !== undefined) this.#waiting.delete(unit);
  }

  /** @returns whether it was there */
  takeOut(unit: U): boolean {
    return this.#waiting.delete(unit);
  }

  /** @returns all for which `isMeant`, which are taken out */
  takeAll(isMeant: (unit: U) => boolean): U[] {
    const taken = [...this.#waiting].filter(isMeant);
    for (const unit of taken) this.#waiting.delete(unit);
    return taken;
  }
}
