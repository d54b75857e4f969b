// What the bench's node serves.
import { task } from "zerotask-core";

export const add = task("add", (first: number, second: number) => first + second);
export const echo = task("echo", (value: string) => value);

let seen = 0;
/** Counts how often it was run. */
export const count = task("count", (_a: number, _b: number) => {
  seen++;
});
export const counted = task("counted", () => seen);
