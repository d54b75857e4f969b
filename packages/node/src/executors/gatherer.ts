// Gathers the tasks of batch handlers that run in a pool: a worker gets those of one run at once.
import type { BatchRule, Runtime, Timer } from "zerotask-core";
import type { PoolUnit } from "./unit.ts";

interface Gathering {
  readonly unit: PoolUnit;
  timer: Timer | undefined;
}

export class Gatherer {
  readonly #runtime: Runtime;
  readonly #submit: (unit: PoolUnit) => void;
  readonly #byMethod = new Map<string, Gathering>();

  constructor(runtime: Runtime, submit: (unit: PoolUnit) => void) {
    this.#runtime = runtime;
    this.#submit = submit;
  }

  /** The batch that a task of this method is to be added to; then `added` has to be called. */
  unitOf(method: string, make: () => PoolUnit): PoolUnit {
    let gathering = this.#byMethod.get(method);
    if (gathering === undefined) {
      gathering = { unit: make(), timer: undefined };
      this.#byMethod.set(method, gathering);
    }
    return gathering.unit;
  }

  added(unit: PoolUnit, { max, waitMs }: BatchRule): void {
    if (unit.parts.length >= max) this.#end(unit);
    else if (unit.parts.length === 1) this.#arm(unit, waitMs);
  }

  /** Whether it still waits for others. */
  isGathering(unit: PoolUnit): boolean {
    return this.#byMethod.get(unit.method)?.unit === unit;
  }

  /** It has been left by all. */
  drop(unit: PoolUnit): void {
    if (!this.isGathering(unit)) return;
    this.#byMethod.get(unit.method)?.timer?.cancel();
    this.#byMethod.delete(unit.method);
  }

  flush(): void {
    for (const { unit } of [...this.#byMethod.values()]) this.#end(unit);
  }

  #arm(unit: PoolUnit, waitMs: number): void {
    const end = (): void => this.#end(unit);
    const gathering = this.#byMethod.get(unit.method);
    if (waitMs === 0) queueMicrotask(end);
    else if (gathering !== undefined) gathering.timer = this.#runtime.after(waitMs, end);
  }

  #end(unit: PoolUnit): void {
    const gathering = this.#byMethod.get(unit.method);
    if (gathering?.unit !== unit) return;
    this.drop(unit);
    this.#submit(unit);
  }
}
