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

it("hears everything once there are more than may be", () => {
  const subscriptions = new Subscriptions(3);
  for (let i = 0; i < 10; i++) subscriptions.add(`p${i}`);
  expect(subscriptions.size).toBe(4);
  expect(subscriptions.hears("anything")).toBe(true);
});

it("is asked quickly beside ten thousand others", () => {
  const subscriptions = new Subscriptions(10_000);
  for (let i = 0; i < 10_000; i++) subscriptions.add(`{"task_id":"${i}",`);
  const begin = performance.now();
  for (let i = 0; i < 100_000; i++) subscriptions.hears(`{"task_id":"other${i}",`);
  expect(performance.now() - begin).toBeLessThan(2_000);
});
