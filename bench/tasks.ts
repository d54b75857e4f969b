// What the bench's node serves.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { current, task } from "zerotask-node";

export const add = task("add", (first: number, second: number) => first + second);
export const echo = task("echo", (value: string) => value);

let seen = 0;
/** Counts how often it was run. */
export const count = task("count", (_a: number, _b: number) => {
  seen++;
});
let lateness: number[] = [];
/** Notes how long after its time it was run. */
export const late = task("late", (due: number) => {
  lateness.push(Date.now() - due);
});
/** What was noted since this was asked last. */
export const latenesses = task("latenesses", () => {
  const noted = lateness;
  lateness = [];
  return noted;
});
const wide = { concurrency: 100_000, rate: "100000000/s", perGroup: { concurrency: 100_000 } } as const;
/** The same as `add`, with limits that are never reached. */
export const limited = task({ name: "limited", ...wide }, (first: number, second: number) => first + second);

export const counted = task("counted", () => seen);

/** Emits small events, as quickly as it can. */
export const emitMany = task("emitMany", (many: number, name: string) => {
  const context = current();
  for (let i = 0; i < many; i++) context.emit(name, { i });
});

/** Yields small items. */
export const items = task("items", async function* (count: number) {
  for (let i = 0; i < count; i++) yield { id: i, name: "item" };
});
/** Reads as many as come. */
export const drain = task("drain", async (numbers: AsyncIterable<number>) => {
  let count = 0;
  for await (const _ of numbers) count++;
  return count;
});

/** Keeps its thread busy for so long. */
export const spin = task("spin", (ms: number) => {
  const end = performance.now() + ms;
  while (performance.now() < end);
});

const delays = monitorEventLoopDelay({ resolution: 5 });
/** For how many milliseconds at most the node itself did nothing else since this was asked last. */
export const longestPause = task({ name: "longestPause", isolate: "none" }, () => {
  delays.enable();
  const longest = delays.max / 1e6;
  delays.reset();
  return longest;
});
