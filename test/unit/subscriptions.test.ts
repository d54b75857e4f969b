import { expect, it } from "vitest";
import { Subscriptions } from "../../packages/core/src/socket/subscriptions.ts";

it("hears what begins with a subscription, and what a subscription begins with", () => {
  const subscriptions = new Subscriptions(100);
  expect(subscriptions.hears("abc")).toBe(false);
  subscriptions.add("ab");
  subscriptions.add("xyz");
  expect(["abc", "ab", "a", "xy", "b", "ac", "xyzz"].map((text) => subscriptions.hears(text))).toEqual([
    ...[true, true, true, true, false, false, true],
  ]);
  subscriptions.delete("ab");
  subscriptions.delete("never");
  expect([subscriptions.hears("abc"), subscriptions.hears("x")]).toEqual([false, true]);
});

it("hears everything while there are more than may be, and no longer", () => {
  const subscriptions = new Subscriptions(3);
  for (let i = 0; i < 10; i++) subscriptions.add(`p${i}`);
  // Another subscriber to the same: it comes once more, but leaves once.
  subscriptions.add("p9");
  expect(subscriptions.size).toBe(3);
  expect(subscriptions.hears("anything")).toBe(true);
  subscriptions.delete("p0");
  // One of those that were too many is known now.
  subscriptions.add("p3");
  for (let i = 3; i < 9; i++) subscriptions.delete(`p${i}`);
  expect(subscriptions.hears("anything")).toBe(true);
  subscriptions.delete("p9");
  expect(["anything", "p1", "p2", "p3"].map((text) => subscriptions.hears(text))).toEqual([
    ...[false, true, true, false],
  ]);
});

it("hears everything also while there are too many to be told apart", () => {
  const subscriptions = new Subscriptions(1);
  for (let i = 0; i < 100_010; i++) subscriptions.add(`p${i}`);
  for (let i = 0; i < 100_009; i++) subscriptions.delete(`p${i}`);
  expect(subscriptions.hears("anything")).toBe(true);
  subscriptions.delete("p100009");
  expect(subscriptions.hears("anything")).toBe(false);
});

it("hears what a search through all would find", () => {
  let random = 7;
  const draw = (most: number): number => {
    random = (random * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((random / 2_147_483_648) * most);
  };
  const text = (): string => Array.from({ length: draw(6) }, () => "abc"[draw(3)]).join("");
  for (let round = 0; round < 300; round++) {
    const subscriptions = new Subscriptions(100);
    const all = new Set<string>();
    for (let i = 0; i < draw(8); i++) {
      const prefix = text();
      if (prefix === "" && draw(10) > 0) continue;
      all.add(prefix);
      subscriptions.add(prefix);
    }
    for (let i = 0; i < 30; i++) {
      const asked = text();
      const expected = [...all].some((one) => one.startsWith(asked) || asked.startsWith(one));
      expect([[...all], asked, subscriptions.hears(asked)]).toEqual([[...all], asked, expected]);
    }
  }
});

it("is asked quickly whatever the lengths of others", () => {
  const subscriptions = new Subscriptions(10_000);
  // In falling order: what is short comes last.
  for (let length = 10_000; length > 0; length--) subscriptions.add("x".repeat(length));
  const begin = performance.now();
  for (let i = 0; i < 100_000; i++) subscriptions.hears(`{"task_id":"other${i}",`);
  expect(performance.now() - begin).toBeLessThan(1_500);
  for (let length = 10_000; length > 1; length -= 2) subscriptions.delete("x".repeat(length));
  expect(["x", "xx", "y"].map((text) => subscriptions.hears(text))).toEqual([true, true, false]);
});

it("is asked quickly beside ten thousand others", () => {
  const subscriptions = new Subscriptions(10_000);
  for (let i = 0; i < 10_000; i++) subscriptions.add(`{"task_id":"${i}",`);
  const begin = performance.now();
  for (let i = 0; i < 100_000; i++) subscriptions.hears(`{"task_id":"other${i}",`);
  expect(performance.now() - begin).toBeLessThan(2_000);
});
