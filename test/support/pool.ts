// A pool of workers as tests drive it: ready, taught how long runs take, and at the time 0.
import type { PoolEffect } from "../../packages/node/src/state/pool/pool-events.ts";
import { PoolState } from "../../packages/node/src/state/pool/pool-state.ts";

export interface Unit {
  readonly method: string;
  readonly name: string;
}

export const unit = (name: string, method = "add"): Unit => ({ name, method });

/** A pool whose workers are ready, and at the time 0. */
export function opened(size: number, maxMore = 2): PoolState<Unit> {
  const pool = new PoolState<Unit>({ size, maxMore });
  pool.handle({ type: "start" }, 0);
  for (let worker = 1; worker <= size; worker++) pool.handle({ type: "ready", worker }, 0);
  return pool;
}

/** What was given to whom, as text. */
export const given = (effects: readonly PoolEffect<Unit>[]): string[] =>
  effects.flatMap((effect) => (effect.type === "give" ? [`${effect.unit.name}→${effect.worker}`] : []));

/** All but when it wants to be woken. */
export const acts = (effects: readonly PoolEffect<Unit>[]): PoolEffect<Unit>[] =>
  effects.filter(({ type }) => type !== "wake");

export const submit = (pool: PoolState<Unit>, ...units: Unit[]): PoolEffect<Unit>[] =>
  units.flatMap((each) => pool.handle({ type: "submit", unit: each }, 0));

/** Lets the pool know how long runs of a method take. */
export function teach(pool: PoolState<Unit>, tookMs: number, method = "add"): void {
  const lesson = unit("lesson", method);
  const [give] = submit(pool, lesson);
  if (give?.type !== "give") throw new Error("Expected an idle worker");
  pool.handle({ type: "answered", worker: give.worker, unit: lesson, tookMs }, 0);
}

export const units = (count: number, method = "add"): Unit[] =>
  Array.from({ length: count }, (_, i) => unit(`${i}`, method));
