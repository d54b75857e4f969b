import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import { readLines } from "../../packages/node/src/worker/pipe.ts";
import { thrownFromText, thrownToText } from "../../packages/node/src/worker/thrown.ts";

it("reads whole lines, as many as there are, however they are divided", () => {
  const pipe = new PassThrough();
  const taken: string[] = [];
  readLines(pipe, (lines) => void taken.push(lines), {
    most: () => 10,
    onTooLong: () => taken.push("too long"),
  });
  for (const text of ["a\nb", "cd\n", "é".repeat(10), "\n", "1234567890\n1234567890\n"]) pipe.write(text);
  expect(taken).toEqual(["a", "bcd", "é".repeat(10), "1234567890\n1234567890"]);
});

it("keeps nothing of a line that is too long, and reads nothing after it", () => {
  const pipe = new PassThrough();
  const taken: string[] = [];
  let tooLong = 0;
  readLines(pipe, (lines) => void taken.push(lines), {
    most: () => 100_000,
    onTooLong: () => void tooLong++,
  });
  pipe.write("first\n");
  for (let i = 0; i < 3; i++) pipe.write("x".repeat(40_000));
  pipe.write("\nafter\n");
  expect(taken).toEqual(["first"]);
  expect(tooLong).toBe(1);
});

it("passes on what was thrown whole, but of what is very long its beginning", () => {
  expect(thrownFromText(thrownToText(new RangeError("too far")))).toMatchObject({ message: "too far" });
  const data = "x".repeat(1_000_000);
  const text = thrownToText(Object.assign(new RangeError(data), { data }));
  expect(text.length).toBeLessThan(100_000);
  expect(thrownFromText(text)).toMatchObject({ name: "RangeError", message: expect.stringMatching(/^x+…$/) });
  expect(thrownToText(data).length).toBeLessThan(100_000);
});
