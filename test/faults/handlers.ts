// What the nodes of a faults run serve: ordinary handlers, and some that no node should have to live with.
import { randomUUID } from "node:crypto";
import { current, task } from "zerotask-core";
import type { Answer } from "./workload.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function answer(n: number): Answer {
  return { n, square: n * n, run: `${process.pid}/${current().attempt}/${randomUUID()}` };
}

task("echo", answer);

task("slow", async (n: number, ms: number) => {
  const made = answer(n);
  await pause(ms);
  return made;
});

/** Fails the first time. */
task("flaky", (n: number) => {
  if (current().attempt === 1) throw new Error("not yet");
  return answer(n);
});

task("fail", (n: number) => {
  throw new Error(`${n} is no good`);
});

task("unserialisable", (n: number) => ({ n: BigInt(n) }));

/** Holds up all of the node's JavaScript. */
task("block", (n: number, ms: number) => {
  const made = answer(n);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  return made;
});

/** Takes the node's process with it. */
task("poison", () => process.exit(1));
