import { expect, it } from "vitest";
import { Untold } from "../../packages/node/src/untold.ts";

it("keeps the latest of what can't be told, by count and by size", () => {
  const untold = new Untold();
  for (let n = 0; n < 1_500; n++) untold.add(`${n}`);
  const kept = untold.take();
  expect([kept.length, kept[0], kept.at(-1)]).toEqual([1_000, "500", "1499"]);
  expect(untold.take()).toEqual([]);
  for (let n = 0; n < 100; n++) untold.add(`${n} ${"x".repeat(1024 * 1024 - 10)}`);
  expect(untold.take().map((text) => text.split(" ")[0])).toEqual(["96", "97", "98", "99"]);
});
