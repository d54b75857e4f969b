import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Deadlines, Deque, GenerationalMap, IndexedSet, OrderedQueue } from "zerotask-core";

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
        expect([deque.at(0), deque.at(model.length - 1), deque.at(model.length), deque.at(-1)]).toEqual([
          ...[model[0], model.at(-1), undefined, undefined],
        ]);
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

describe("OrderedQueue", () => {
  interface Entry {
    place: number;
    counts: boolean;
  }
  const queueOf = (): OrderedQueue<Entry> =>
    new OrderedQueue<Entry>(
      (a, b) => a.place < b.place,
      ({ counts }) => counts,
    );
  const drain = (queue: OrderedQueue<Entry>): number[] => {
    const places: number[] = [];
    for (let entry = queue.shift(); entry !== undefined; entry = queue.shift()) places.push(entry.place);
    return places;
  };

  it("gives the place that it has now to an entry that was taken out and comes back", () => {
    const queue = queueOf();
    const last = { place: 3, counts: true };
    for (const entry of [{ place: 1, counts: true }, { place: 2, counts: true }, last]) queue.add(entry);
    queue.delete(last);
    last.place = 0;
    queue.add(last);
    expect(drain(queue)).toEqual([0, 1, 2]);
  });

  it("is in order whatever comes, goes, and comes back", () => {
    const step = fc.record({ what: fc.constantFrom("add", "shift", "drop", "move"), place: fc.nat(20) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = queueOf();
        const entries: Entry[] = [];
        const first = (): number => Math.min(...entries.map(({ place }) => place));
        for (const { what, place } of steps) {
          const entry = entries[place % Math.max(1, entries.length)];
          if (what === "add") {
            entries.push({ place, counts: true });
            queue.add(entries.at(-1) as Entry);
          } else if (entry === undefined) expect(queue.shift()).toBeUndefined();
          else if (what === "shift") {
            expect(queue.peek()?.place).toBe(first());
            entries.splice(entries.indexOf(queue.shift() as Entry), 1);
          } else if (what === "drop") {
            entry.counts = false;
            entries.splice(entries.indexOf(entry), 1);
            queue.drop();
          } else {
            queue.delete(entry);
            entry.place = place;
            queue.add(entry);
          }
          expect(queue.size).toBe(entries.length);
        }
        expect(drain(queue)).toEqual(entries.map(({ place }) => place).sort((a, b) => a - b));
      }),
    );
  });
});
