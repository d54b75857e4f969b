import fc from "fast-check";
import { expect, it } from "vitest";
import { Deadlines, Deque, GenerationalMap, IndexedSet } from "zerotask-core";

it("a deque gives out what went in, in order, through growing and shrinking", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(), fc.constant("shift" as const)), { maxLength: 500 }), (steps) => {
      const deque = new Deque<number>();
      const model: number[] = [];
      for (const step of steps) {
        if (step === "shift") expect(deque.shift()).toBe(model.shift());
        else {
          deque.push(step);
          model.push(step);
        }
        expect(deque.peek()).toBe(model[0]);
      }
      expect([...deque]).toEqual(model);
      deque.retain((item) => item % 2 === 0);
      expect([...deque]).toEqual(model.filter((item) => item % 2 === 0));
    }),
  );
  const large = new Deque<number>();
  for (let i = 0; i < 100_000; i++) large.push(i);
  for (let i = 0; i < 100_000; i++) if (large.shift() !== i) throw new Error(`Expected ${i}`);
  expect([large.size, large.shift()]).toEqual([0, undefined]);
});

it("deadlines come out by time", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1_000)), (times) => {
      const deadlines = new Deadlines<number>();
      for (const time of times) deadlines.add(time, time);
      const out: number[] = [];
      for (let now = 0; now <= 1_000; now += 50) {
        for (let item = deadlines.take(now); item !== undefined; item = deadlines.take(now)) {
          expect(item).toBeLessThanOrEqual(now);
          out.push(item);
        }
      }
      expect(out).toEqual([...times].sort((a, b) => a - b));
      expect(deadlines.next).toBeUndefined();
    }),
  );
});

it("a generational map is a map, over many generations", () => {
  const map = new GenerationalMap<number, number>();
  const model = new Map<number, number>();
  for (let i = 0; i < 50_000; i++) {
    map.add(i, i * 2);
    model.set(i, i * 2);
    // Most entries are short-lived, every hundredth stays.
    const gone = i - 10;
    if (gone >= 0 && gone % 100 !== 0) expect(map.delete(gone)).toBe(model.delete(gone));
  }
  expect(map.size).toBe(model.size);
  expect([...map]).toEqual([...model]);
  expect([map.get(100), map.get(101), map.delete(101)]).toEqual([200, undefined, false]);
  map.clear();
  expect([map.size, map.get(100)]).toEqual([0, undefined]);
});

it("an indexed set holds what was added and not removed", () => {
  const items = Array.from({ length: 100 }, (_, id) => ({ id, place: -1 }));
  fc.assert(
    fc.property(fc.array(fc.nat(99), { maxLength: 300 }), (toggles) => {
      const set = new IndexedSet<"place", { id: number; place: number }>("place");
      const model = new Set<{ id: number; place: number }>();
      for (const id of toggles) {
        const item = items[id] as { id: number; place: number };
        if (model.delete(item)) set.delete(item);
        else {
          model.add(item);
          set.add(item);
        }
        expect(set.size).toBe(model.size);
      }
      expect(new Set(set.toArray())).toEqual(model);
      for (const item of set.toArray()) set.delete(item);
      expect(set.size).toBe(0);
    }),
  );
});
