import { expect, it } from "vitest";
import { Outbox } from "../../packages/core/src/socket/outbox.ts";

it("hands one text out as it is, and several as a batch", () => {
  const outbox = new Outbox();
  outbox.push('{"a":1}');
  expect(outbox.peek()).toEqual({ text: '{"a":1}', count: 1 });
  outbox.push('{"b":2}');
  expect(outbox.peek()).toEqual({ text: '[{"a":1},{"b":2}]', count: 2 });
});

it("cuts batches at 1,000 entries and at 256 KiB", () => {
  const many = new Outbox();
  for (let i = 0; i < 1_500; i++) many.push("1");
  expect(many.peek().count).toBe(1_000);
  many.drop(1_000);
  expect(many.peek().count).toBe(500);
  const large = new Outbox();
  for (let i = 0; i < 3; i++) large.push(`"${"x".repeat(100 * 1024)}"`);
  expect(large.peek().count).toBe(2);
});

it("is empty, and counts nothing, once all was dropped", () => {
  const outbox = new Outbox();
  for (let i = 0; i < 10; i++) outbox.push("12345");
  expect(outbox.length).toBe(50);
  outbox.drop(4);
  expect(outbox.length).toBe(30);
  outbox.drop(6);
  expect([outbox.length, outbox.isEmpty]).toEqual([0, true]);
});
