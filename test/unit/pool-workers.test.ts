// When workers of a pool are started, waited for, and ended.
import { expect, it } from "vitest";
import { lingerMs, quietMs, silentMs } from "../../packages/node/src/state/pool/patience.ts";
import type { PoolEffect } from "../../packages/node/src/state/pool/pool-events.ts";
import { keepMs, PoolState, stuckMs } from "../../packages/node/src/state/pool/pool-state.ts";
import { downMs, loadMs, respawnMs } from "../../packages/node/src/state/pool/starts.ts";
import { startMs } from "../../packages/node/src/state/pool/worker-choice.ts";
import { acts, given, opened, submit, teach, type Unit, unit, units } from "../support/pool.ts";

it("starts its workers ahead, and tells when all are ready", () => {
  const pool = new PoolState<Unit>({ size: 2, maxMore: 0 });
  expect(pool.handle({ type: "start" }, 0)).toEqual([
    { type: "spawn", worker: 1 },
    { type: "spawn", worker: 2 },
  ]);
  expect(pool.handle({ type: "ready", worker: 1 }, 0)).toEqual([]);
  expect(pool.handle({ type: "ready", worker: 2 }, 0)).toEqual([{ type: "opened" }]);
});

it("can't be used when its first workers die before they are ready", () => {
  const pool = new PoolState<Unit>({ size: 1, maxMore: 0 });
  pool.handle({ type: "start" }, 0);
  expect(pool.handle({ type: "gone", worker: 1, running: undefined, why: "exited" }, 5)).toEqual([
    { type: "unusable", why: "exited" },
  ]);
});

it("waits longer and longer before it replaces workers that die at their start", () => {
  const pool = opened(1);
  teach(pool, 1);
  pool.handle({ type: "gone", worker: 1, running: undefined, why: "exited" }, 0);
  expect(pool.handle({ type: "gone", worker: 2, running: undefined, why: "exited" }, 0)).toEqual([
    { type: "wake", at: respawnMs },
  ]);
  expect(acts(pool.handle({ type: "tick" }, respawnMs))).toEqual([{ type: "spawn", worker: 3 }]);
  expect(pool.handle({ type: "gone", worker: 3, running: undefined, why: "exited" }, respawnMs)).toEqual([
    { type: "wake", at: respawnMs * 3 },
  ]);
});

it("hands back what comes while workers die at their start, and tells when there is one again", () => {
  const pool = opened(1);
  const bound = { ...unit("bound"), isBound: true };
  pool.handle({ type: "gone", worker: 1, running: undefined, why: "exited" }, 0);
  const lost = unit("lost");
  expect(submit(pool, lost)).toEqual([{ type: "dropped", unit: lost, isRecalled: true }]);
  expect(acts(submit(pool, bound))).toEqual([]);
  expect(acts(pool.handle({ type: "tick" }, respawnMs))).toEqual([{ type: "spawn", worker: 2 }]);
  expect(pool.handle({ type: "ready", worker: 2 }, respawnMs)).toEqual([
    { type: "up" },
    { type: "give", worker: 2, unit: bound, beside: false },
  ]);
});

it("starts two more workers at once at most, and runs beside what waits when they take long", () => {
  const pool = opened(3, 16);
  const outer = units(3);
  submit(pool, ...outer);
  for (const [at, each] of outer.entries())
    pool.handle({ type: "waiting", worker: at + 1, unit: each, isWaiting: true }, 0);
  const inner = unit("inner");
  expect(submit(pool, inner)).toEqual([
    { type: "spawn", worker: 4 },
    { type: "wake", at: loadMs },
    { type: "wake", at: startMs },
    { type: "spawn", worker: 5 },
  ]);
  const more = unit("more");
  expect(submit(pool, more)).toEqual([]);
  expect(given(pool.handle({ type: "tick" }, startMs))).toEqual(["inner→1", "more→2"]);
});

const lateEnd = {
  ...{ type: "end", worker: 1 },
  why: `Expected it to be free within ${silentMs} ms of its last task`,
};

it("takes back what a worker does not begin that runs nothing, and ends the worker if it does not hear of that", () => {
  const pool = opened(2);
  const [lost, next] = [unit("lost"), unit("next")];
  submit(pool, lost);
  const quiet = (now: number): PoolEffect<Unit>[] => pool.handle({ type: "quiet", worker: 1 }, now);
  expect([...quiet(10), ...quiet(9 + quietMs)]).toEqual([]);
  expect(quiet(10 + quietMs)).toEqual([{ type: "revoke", worker: 1 }]);
  const back = pool.handle({ type: "revoked", worker: 1, units: [lost] }, 200);
  expect(given(back)).toEqual(["lost→2"]);
  expect(back).toContainEqual({ type: "wake", at: 200 + silentMs });
  pool.handle({ type: "answered", worker: 2, unit: lost, tookMs: 10 }, 300);
  expect(pool.handle({ type: "tick" }, 199 + silentMs)).not.toContainEqual(lateEnd);
  expect(pool.handle({ type: "tick" }, 200 + silentMs)).toContainEqual(lateEnd);
  expect(given(submit(pool, next))).toEqual(["next→2"]);
});

it("keeps a quiet worker that hears that something was taken back, and is more patient with it", () => {
  const pool = opened(1);
  const each = unit("each");
  submit(pool, each);
  const quiet = (now: number): PoolEffect<Unit>[] => pool.handle({ type: "quiet", worker: 1 }, now);
  quiet(0);
  expect(quiet(quietMs)).toEqual([{ type: "revoke", worker: 1 }]);
  pool.handle({ type: "revoked", worker: 1, units: [each] }, 200);
  expect(given(pool.handle({ type: "resumed", worker: 1 }, 300))).toEqual(["each→1"]);
  quiet(300);
  expect(quiet(300 + quietMs)).toEqual([]);
  expect(quiet(300 + 2 * quietMs)).toEqual([{ type: "revoke", worker: 1 }]);
});

it("is as patient with what a worker is given next as with what was taken back from it", () => {
  const pool = opened(1);
  const [first, next] = [unit("first"), unit("next")];
  submit(pool, first);
  const quiet = (now: number): PoolEffect<Unit>[] => pool.handle({ type: "quiet", worker: 1 }, now);
  quiet(0);
  pool.handle({ type: "recall", unit: first }, 1);
  pool.handle({ type: "revoked", worker: 1, units: [first] }, 1);
  pool.handle({ type: "resumed", worker: 1 }, 2);
  pool.handle({ type: "submit", unit: next }, 5_000);
  expect(quiet(5_001)).toEqual([]);
  expect(quiet(5_001 + quietMs)).toEqual([{ type: "revoke", worker: 1 }]);
});

it("ends a worker that has ended its task, and hears nothing of what was taken back from it", () => {
  const pool = opened(1);
  teach(pool, 1);
  const [long, ahead] = [unit("long"), unit("ahead")];
  submit(pool, long, ahead);
  for (const now of [0, stuckMs]) pool.handle({ type: "seen", worker: 1, unit: long }, now);
  pool.handle({ type: "revoked", worker: 1, units: [ahead] }, stuckMs);
  expect(pool.handle({ type: "tick" }, 5_000)).toEqual([]);
  pool.handle({ type: "answered", worker: 1, unit: long, tookMs: 5_000 }, 5_000);
  expect(acts(pool.handle({ type: "tick" }, 5_000 + silentMs))).toEqual([lateEnd]);
});

it("starts workers anew after one failed, also while there is none too many", () => {
  const pool = opened(2);
  teach(pool, 1);
  pool.handle({ type: "gone", worker: 1, running: undefined, why: "exited" }, 0);
  expect(pool.handle({ type: "gone", worker: 3, running: undefined, why: "exited" }, 0)).toEqual([
    { type: "wake", at: respawnMs },
  ]);
  expect(pool.handle({ type: "tick" }, respawnMs - 1)).toEqual([{ type: "wake", at: respawnMs }]);
});

it("hands back what waits while no worker is ready, though none has failed, and tells when there is one", () => {
  const pool = opened(1);
  teach(pool, 1);
  pool.handle({ type: "gone", worker: 1, running: undefined, why: "exited" }, 0);
  const [lost, next] = [unit("lost"), unit("next")];
  expect(submit(pool, lost)).toEqual([{ type: "wake", at: downMs }]);
  expect(acts(pool.handle({ type: "tick" }, downMs - 1))).toEqual([]);
  expect(acts(pool.handle({ type: "tick" }, downMs))).toEqual([
    { type: "dropped", unit: lost, isRecalled: true },
  ]);
  expect(acts(pool.handle({ type: "submit", unit: next }, downMs + 1))).toEqual([
    { type: "dropped", unit: next, isRecalled: true },
  ]);
  expect(pool.handle({ type: "ready", worker: 2 }, downMs + 2)).toEqual([{ type: "up" }]);
});

it("ends a worker that takes too long to be ready, and waits before it starts another one", () => {
  const pool = opened(1);
  teach(pool, 1);
  const effects = pool.handle({ type: "gone", worker: 1, running: undefined, why: "exited" }, 0);
  expect(effects).toContainEqual({ type: "wake", at: loadMs });
  const why = `Expected it to be ready within ${loadMs} ms`;
  expect(acts(pool.handle({ type: "tick" }, loadMs - 1))).toEqual([]);
  expect(acts(pool.handle({ type: "tick" }, loadMs))).toEqual([{ type: "end", worker: 2, why }]);
  const gone = { type: "gone", worker: 2, running: undefined, why: "was killed" } as const;
  expect(acts(pool.handle(gone, loadMs))).toEqual([]);
  expect(acts(pool.handle({ type: "tick" }, loadMs + respawnMs))).toEqual([{ type: "spawn", worker: 3 }]);
});

it("gives workers as long to be ready as it took the first ones twice, and these any time", () => {
  const pool = new PoolState<Unit>({ size: 1, maxMore: 0 });
  pool.handle({ type: "start" }, 0);
  expect(pool.handle({ type: "tick" }, loadMs)).toEqual([]);
  pool.handle({ type: "ready", worker: 1 }, loadMs);
  teach(pool, 1);
  pool.handle({ type: "gone", worker: 1, running: undefined, why: "exited" }, loadMs);
  expect(acts(pool.handle({ type: "tick" }, 3 * loadMs - 1))).toEqual([]);
  expect(acts(pool.handle({ type: "tick" }, 3 * loadMs))).toMatchObject([{ type: "end", worker: 2 }]);
});

it("has another worker in the place of one that does not end, and one too many for no longer than that", () => {
  const pool = opened(1);
  const native = unit("native");
  submit(pool, native);
  pool.handle({ type: "seen", worker: 1, unit: native }, 0);
  expect(pool.handle({ type: "kill", unit: native }, 0)).toContainEqual({ type: "wake", at: lingerMs });
  expect(acts(pool.handle({ type: "tick" }, lingerMs - 1))).toEqual([]);
  expect(acts(pool.handle({ type: "tick" }, lingerMs))).toEqual([{ type: "spawn", worker: 2 }]);
  pool.handle({ type: "ready", worker: 2 }, lingerMs);
  const gone = { type: "gone", worker: 1, running: native, why: "was killed" } as const;
  // Only now it is known to be over.
  expect(acts(pool.handle(gone, 9_000))).toEqual([{ type: "killed", unit: native }]);
  expect(acts(pool.handle({ type: "tick" }, 9_000 + keepMs))).toEqual([]);
});

it("has no more workers that do not end than it may have at most", () => {
  const pool = opened(1, 2);
  for (let worker = 1; worker <= 3; worker++) {
    const native = unit(`native ${worker}`);
    const now = worker * 10_000;
    expect(given(pool.handle({ type: "submit", unit: native }, now))).toHaveLength(1);
    pool.handle({ type: "seen", worker, unit: native }, now);
    pool.handle({ type: "kill", unit: native }, now);
    const spawned = acts(pool.handle({ type: "tick" }, now + lingerMs));
    expect(spawned).toEqual(worker < 3 ? [{ type: "spawn", worker: worker + 1 }] : []);
    pool.handle({ type: "ready", worker: worker + 1 }, now + lingerMs);
  }
});

it("starts another worker for what comes while a task waits for tasks that it called, and ends it later", () => {
  const pool = opened(1);
  const [outer, inner] = [unit("outer"), unit("inner")];
  submit(pool, outer);
  pool.handle({ type: "waiting", worker: 1, unit: outer, isWaiting: true }, 0);
  expect(submit(pool, inner)).toContainEqual({ type: "spawn", worker: 2 });
  expect(given(pool.handle({ type: "ready", worker: 2 }, 0))).toEqual(["inner→2"]);
  pool.handle({ type: "answered", worker: 2, unit: inner, tookMs: 10 }, 0);
  pool.handle({ type: "waiting", worker: 1, unit: outer, isWaiting: false }, 0);
  pool.handle({ type: "answered", worker: 1, unit: outer, tookMs: 10 }, 0);
  expect(acts(pool.handle({ type: "tick" }, keepMs))).toEqual([{ type: "leave", worker: 1 }]);
});
