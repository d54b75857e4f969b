// Who of a pool runs what, and what becomes of it when nobody wants it, or its worker dies.
import fc from "fast-check";
import { expect, it } from "vitest";
import type { PoolEvent } from "../../packages/node/src/state/pool/pool-events.ts";
import { PoolState, stuckMs } from "../../packages/node/src/state/pool/pool-state.ts";
import { aheadMs, wakeMs } from "../../packages/node/src/state/pool/worker-choice.ts";
import { acts, given, opened, submit, teach, type Unit, unit, units } from "../support/pool.ts";

it("gives nothing ahead of which it does not know how long it takes", () => {
  const pool = opened(2);
  const [a, b, c] = [unit("a"), unit("b"), unit("c")];
  expect(given(submit(pool, a, b, c))).toEqual(["a→1", "b→2"]);
  expect(given(pool.handle({ type: "answered", worker: 2, unit: b, tookMs: 50 }, 0))).toEqual(["c→2"]);
});

it("gives as much ahead as should be done within 5 ms", () => {
  const pool = opened(1);
  teach(pool, 1);
  expect(given(submit(pool, ...units(20)))).toHaveLength(aheadMs / 1);
});

it("gives nothing ahead once two runs were long, until shorter ones have made up for it", () => {
  const pool = opened(1);
  teach(pool, 1);
  teach(pool, 1_000);
  expect(given(submit(pool, unit("a"), unit("b")))).toEqual(["a→1", "b→1"]);
  const shut = opened(1);
  for (const tookMs of [1, 1_000, 1_000]) teach(shut, tookMs);
  expect(given(submit(shut, unit("a"), unit("b")))).toEqual(["a→1"]);
});

it("wakes no other worker for what one at work should have done at once", () => {
  const pool = opened(2);
  teach(pool, wakeMs / 4);
  expect(given(submit(pool, ...units(6))).slice(0, 4)).toEqual(["0→1", "1→1", "2→1", "3→1"]);
  expect(given(submit(opened(2), ...units(2)))).toEqual(["0→1", "1→2"]);
});

it("gives nothing to a worker that is busy with something long", () => {
  const pool = opened(2);
  teach(pool, 0.1);
  expect(given(submit(pool, unit("long", "long")))).toEqual(["long→1"]);
  const workers = given(submit(pool, ...units(10))).map((text) => text.split("→")[1]);
  expect(new Set(workers)).toEqual(new Set(["2"]));
});

it("fails exactly what a worker was running when it died, and runs the rest elsewhere", () => {
  const pool = opened(2);
  teach(pool, 1);
  const [done, running, waiting] = [unit("done"), unit("running"), unit("waiting")];
  submit(pool, unit("long", "long"), done, running, waiting);
  const effects = pool.handle({ type: "gone", worker: 2, running, why: "exited with code 3" }, 5);
  expect(acts(effects)).toEqual([
    { type: "failed", unit: running, why: "exited with code 3" },
    { type: "spawn", worker: 3 },
  ]);
  expect(given(pool.handle({ type: "ready", worker: 3 }, 6))).toEqual(["done→3", "waiting→3"]);
});

it("fails nothing when an idle worker dies", () => {
  const pool = opened(1);
  teach(pool, 1);
  expect(acts(pool.handle({ type: "gone", worker: 1, running: undefined, why: "exited" }, 5))).toEqual([
    { type: "spawn", worker: 2 },
  ]);
});

it("runs tasks beside one that waits when there can't be more workers", () => {
  const pool = opened(1, 0);
  const [outer, inner] = [unit("outer"), unit("inner")];
  submit(pool, outer);
  pool.handle({ type: "waiting", worker: 1, unit: outer, isWaiting: true }, 0);
  expect(submit(pool, inner)).toEqual([{ type: "give", worker: 1, unit: inner, beside: true }]);
});

it("drops what nobody wants, also when a worker gives it back", () => {
  const pool = opened(1);
  teach(pool, 1);
  const [first, ahead] = [unit("first"), unit("ahead")];
  submit(pool, first, ahead);
  expect(pool.handle({ type: "abort", unit: ahead }, 0)).toEqual([
    { type: "abort", worker: 1, unit: ahead },
    { type: "revoke", worker: 1 },
  ]);
  expect(pool.handle({ type: "given-back", worker: 1, unit: ahead }, 0)).toEqual([
    { type: "dropped", unit: ahead, isRecalled: false },
  ]);
});

it("kills what has begun by ending its worker, and tells when that is gone", () => {
  const pool = opened(1);
  const endless = unit("endless");
  submit(pool, endless);
  expect(pool.handle({ type: "seen", worker: 1, unit: endless }, 0)).toEqual([
    { type: "began", unit: endless },
  ]);
  expect(acts(pool.handle({ type: "kill", unit: endless }, 0))).toEqual([{ type: "end", worker: 1 }]);
  expect(acts(pool.handle({ type: "gone", worker: 1, running: endless, why: "was killed" }, 0))).toEqual([
    { type: "killed", unit: endless },
    { type: "spawn", worker: 2 },
  ]);
});

it("recalls only what no worker has begun", () => {
  const pool = opened(1);
  teach(pool, 1);
  const [first, ahead, long] = [unit("first"), unit("ahead"), unit("long", "long")];
  submit(pool, first, ahead, long);
  pool.handle({ type: "seen", worker: 1, unit: first }, 0);
  expect(pool.handle({ type: "recall", unit: first }, 0)).toEqual([]);
  expect(pool.handle({ type: "recall", unit: long }, 0)).toEqual([
    { type: "dropped", unit: long, isRecalled: true },
  ]);
  expect(pool.handle({ type: "recall", unit: ahead }, 0)).toEqual([{ type: "revoke", worker: 1 }]);
  expect(pool.handle({ type: "revoked", worker: 1, units: [ahead] }, 0)).toEqual([
    { type: "dropped", unit: ahead, isRecalled: true },
    { type: "up" },
  ]);
});

it("takes back what was given ahead to a worker whose task turns out long, and gives it to others", () => {
  const pool = opened(2);
  teach(pool, wakeMs / 10);
  const [long, ...ahead] = units(4);
  if (long === undefined) throw new Error("Expected a unit");
  expect(given(submit(pool, long, ...ahead))).toEqual(["0→1", "1→1", "2→1", "3→1"]);
  expect(pool.handle({ type: "seen", worker: 1, unit: long }, 0)).toEqual([{ type: "began", unit: long }]);
  expect(pool.handle({ type: "seen", worker: 1, unit: long }, stuckMs)).toEqual([
    { type: "revoke", worker: 1 },
  ]);
  const back = pool.handle({ type: "revoked", worker: 1, units: ahead }, stuckMs);
  expect(given(back)).toEqual(["1→2", "2→2", "3→2"]);
  pool.handle({ type: "resumed", worker: 1 }, stuckMs);
  expect(given(submit(pool, unit("next")))).toEqual(["next→2"]);
});

it("gives nothing to a worker until it has heard that what it had was taken back", () => {
  const pool = opened(1);
  teach(pool, 1);
  const [first, ahead] = [unit("first"), unit("ahead")];
  submit(pool, first, ahead);
  pool.handle({ type: "recall", unit: ahead }, 0);
  pool.handle({ type: "revoked", worker: 1, units: [ahead] }, 0);
  pool.handle({ type: "answered", worker: 1, unit: first, tookMs: 1 }, 0);
  expect(given(submit(pool, unit("next")))).toEqual([]);
  expect(given(pool.handle({ type: "resumed", worker: 1 }, 0))).toEqual(["next→1"]);
});

it("fails all that has begun where a worker dies, also beside what it began last", () => {
  const pool = opened(1, 0);
  const [outer, inner] = [unit("outer"), unit("inner")];
  submit(pool, outer);
  pool.handle({ type: "waiting", worker: 1, unit: outer, isWaiting: true }, 0);
  submit(pool, inner);
  pool.handle({ type: "waiting", worker: 1, unit: outer, isWaiting: false }, 0);
  const effects = pool.handle({ type: "gone", worker: 1, running: inner, why: "exited" }, 0);
  expect(effects.filter(({ type }) => type === "failed")).toEqual([
    { type: "failed", unit: outer, why: "exited" },
    { type: "failed", unit: inner, why: "exited" },
  ]);
});

it("fails nothing but what is to be killed, whatever its worker does until it is gone", () => {
  const pool = opened(1);
  teach(pool, 1);
  const [first, ahead, last] = [unit("first"), unit("ahead"), unit("last")];
  submit(pool, first, ahead, last);
  pool.handle({ type: "seen", worker: 1, unit: first }, 0);
  // Taking back comes first: what it has begun by then is known.
  expect(acts(pool.handle({ type: "kill", unit: first }, 0))).toEqual([
    { type: "revoke", worker: 1 },
    { type: "end", worker: 1 },
  ]);
  pool.handle({ type: "revoked", worker: 1, units: [last] }, 0);
  pool.handle({ type: "answered", worker: 1, unit: first, tookMs: 1 }, 0);
  const effects = pool.handle({ type: "gone", worker: 1, running: ahead, why: "was killed" }, 0);
  expect(acts(effects)).toEqual([
    { type: "dropped", unit: ahead, isRecalled: true },
    { type: "up" },
    { type: "spawn", worker: 2 },
  ]);
  expect(given(pool.handle({ type: "ready", worker: 2 }, 0))).toEqual(["last→2"]);
});

it("hands back what waits where another task is killed beside it, but not what can't be run again", () => {
  for (const why of [{}, { isBound: true }, { hasStreams: true }]) {
    const pool = opened(1, 0);
    const [outer, inner] = [{ ...unit("outer"), ...why }, unit("inner")];
    submit(pool, outer);
    pool.handle({ type: "waiting", worker: 1, unit: outer, isWaiting: true }, 0);
    submit(pool, inner);
    pool.handle({ type: "seen", worker: 1, unit: inner }, 0);
    pool.handle({ type: "kill", unit: inner }, 0);
    const effects = pool.handle({ type: "gone", worker: 1, running: inner, why: "was killed" }, 0);
    expect(effects).toContainEqual({ type: "killed", unit: inner });
    expect(effects).toContainEqual(
      Object.keys(why).length > 0
        ? { type: "failed", unit: outer, why: "was killed" }
        : { type: "dropped", unit: outer, isRecalled: true },
    );
  }
});

it("kills what a worker has begun and was never seen to run", () => {
  const pool = opened(1);
  const quick = unit("quick");
  submit(pool, quick);
  expect(pool.handle({ type: "kill", unit: quick }, 0)).toEqual([
    { type: "abort", worker: 1, unit: quick },
    { type: "revoke", worker: 1 },
  ]);
  expect(acts(pool.handle({ type: "revoked", worker: 1, units: [] }, 0))).toEqual([
    { type: "end", worker: 1 },
  ]);
  expect(pool.handle({ type: "gone", worker: 1, running: undefined, why: "was killed" }, 0)).toContainEqual({
    type: "killed",
    unit: quick,
  });
  // Also where all was taken back before.
  const other = opened(1);
  teach(other, 1);
  const [long, ahead] = [unit("long"), unit("ahead")];
  submit(other, long, ahead);
  other.handle({ type: "recall", unit: ahead }, 0);
  other.handle({ type: "revoked", worker: 1, units: [ahead] }, 0);
  expect(acts(other.handle({ type: "kill", unit: long }, 0))).toEqual([{ type: "end", worker: 1 }]);
});

it("runs no batch again of which some tasks have their outcomes", () => {
  const pool = opened(1);
  const batch = { ...unit("batch"), isPartlyDone: false };
  submit(pool, batch);
  batch.isPartlyDone = true;
  const effects = pool.handle({ type: "gone", worker: 1, running: undefined, why: "exited" }, 0);
  expect(acts(effects)).toEqual([
    { type: "failed", unit: batch, why: "exited" },
    { type: "spawn", worker: 2 },
  ]);
});

it("gives every task one outcome, whatever workers do", () => {
  const step = fc.record({
    kind: fc.constantFrom(
      "submit",
      "answer",
      "die",
      "kill",
      "abort",
      "recall",
      "back",
      "wait",
      "ready",
      "resume",
      "see",
      "quiet",
    ),
    pick: fc.nat(),
    tookMs: fc.constantFrom(0.01, 1, 100),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 3 }), (steps, size) => {
      const world = new World(size);
      for (const [at, { kind, pick, tookMs }] of steps.entries()) world.step(kind, pick, tookMs, at * 1_000);
      world.finish(steps.length * 1_000);
      expect(world.wrong).toEqual([]);
      expect(world.open).toEqual(new Set());
    }),
  );
});

/** Workers that do what they are told to, and notes of what came of each task. */
class World {
  readonly #pool: PoolState<Unit>;
  readonly #workers = new Map<
    number,
    { isReady: boolean; isRevoked: boolean; units: Unit[]; waiting: Set<Unit> }
  >();
  readonly open = new Set<Unit>();
  readonly wrong: string[] = [];
  #count = 0;

  constructor(size: number) {
    this.#pool = new PoolState<Unit>({ size, maxMore: 2 });
    this.#handle({ type: "start" }, 0);
    for (const worker of this.#workers.keys()) this.#ready(worker, 0);
  }

  step(kind: string, pick: number, tookMs: number, now: number): void {
    const all = [...this.#workers.keys()];
    const worker = all[pick % Math.max(1, all.length)] ?? 0;
    const held = this.#workers.get(worker);
    const open = [...this.open];
    const chosen = open[pick % Math.max(1, open.length)];
    const [first] = held?.units ?? [];
    this.#handle({ type: "tick" }, now);
    if (kind === "submit") this.#submit(now);
    else if (kind === "ready" && held?.isReady === false) this.#ready(worker, now);
    else if (kind === "die") this.#die(worker, now);
    else if (kind === "resume") this.#resume(worker, now);
    else if (kind === "see" && first !== undefined) this.#handle({ type: "seen", worker, unit: first }, now);
    else if (kind === "quiet") this.#handle({ type: "quiet", worker }, now);
    else if ((kind === "kill" || kind === "abort" || kind === "recall") && chosen !== undefined)
      this.#handle({ type: kind, unit: chosen }, now);
    else if (first === undefined || held === undefined) return;
    else if (kind === "answer") this.#answer(worker, first, tookMs, now);
    else if (kind === "wait" && !held.waiting.has(first)) {
      held.waiting.add(first);
      this.#handle({ type: "waiting", worker, unit: first, isWaiting: true }, now);
    } else if (kind === "back" && held.units.length > 1) {
      const last = held.units.at(-1) as Unit;
      if (held.waiting.has(last)) return;
      held.units.pop();
      this.#handle({ type: "given-back", worker, unit: last }, now);
    }
  }

  finish(now: number): void {
    for (let round = 0; round < 1_000 && this.open.size > 0; round++) {
      const later = now + round * 20_000;
      this.#handle({ type: "tick" }, later);
      for (const [worker, { isReady, units: held }] of [...this.#workers]) {
        if (!isReady) this.#ready(worker, later);
        this.#resume(worker, later);
        for (const each of [...held]) this.#answer(worker, each, 1, later);
      }
    }
  }

  #submit(now: number): void {
    const each = unit(`${this.#count++}`, `m${this.#count % 3}`);
    this.open.add(each);
    this.#handle({ type: "submit", unit: each }, now);
  }

  #ready(worker: number, now: number): void {
    const held = this.#workers.get(worker);
    if (held === undefined) return;
    held.isReady = true;
    this.#handle({ type: "ready", worker }, now);
  }

  #answer(worker: number, each: Unit, tookMs: number, now: number): void {
    const held = this.#workers.get(worker);
    if (held === undefined) return;
    held.units = held.units.filter((other) => other !== each);
    held.waiting.delete(each);
    this.#settle(each);
    this.#handle({ type: "answered", worker, unit: each, tookMs }, now);
  }

  #die(worker: number, now: number): void {
    const running = this.#workers.get(worker)?.units[0];
    if (!this.#workers.delete(worker)) return;
    this.#handle({ type: "gone", worker, running, why: "died" }, now);
  }

  /** It goes on with what it has begun. */
  #revoke(worker: number, now: number): void {
    const held = this.#workers.get(worker);
    if (held === undefined) return;
    const [running] = held.units;
    const taken = held.units.filter((each) => each !== running && !held.waiting.has(each));
    held.units = held.units.filter((each) => !taken.includes(each));
    held.isRevoked = true;
    this.#handle({ type: "revoked", worker, units: taken }, now);
  }

  #resume(worker: number, now: number): void {
    const held = this.#workers.get(worker);
    if (held?.isRevoked !== true) return;
    held.isRevoked = false;
    this.#handle({ type: "resumed", worker }, now);
  }

  #handle(event: PoolEvent<Unit>, now: number): void {
    for (const effect of this.#pool.handle(event, now)) {
      if (effect.type === "spawn") {
        this.#workers.set(effect.worker, { isReady: false, isRevoked: false, units: [], waiting: new Set() });
      } else if (effect.type === "give") {
        const worker = this.#workers.get(effect.worker);
        if (worker?.isReady !== true || worker.isRevoked)
          this.wrong.push("gave to a worker that is not ready");
        worker?.units.push(effect.unit);
      } else if (effect.type === "revoke") this.#revoke(effect.worker, now);
      else if (effect.type === "end" || effect.type === "leave") this.#die(effect.worker, now);
      else if (effect.type === "dropped" || effect.type === "killed" || effect.type === "failed") {
        this.#settle(effect.unit);
      }
    }
  }

  #settle(each: Unit): void {
    if (!this.open.delete(each)) this.wrong.push(`${each.name} has two outcomes`);
  }
}
