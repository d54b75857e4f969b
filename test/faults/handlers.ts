// What the nodes of a faults run serve: ordinary handlers, and some that no node should have to live with.
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { current, task } from "zerotask-node";
import type { Answer } from "./workload.ts";

function answer(n: number): Answer {
  return { n, square: n * n, run: `${process.pid}/${current().attempt}/${randomUUID()}` };
}

/** Holds up all of the thread's JavaScript. */
function block(n: number, ms: number): Answer {
  const made = answer(n);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  return made;
}

async function* rows(_n: number, count: number, ms: number): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) {
    if (i % 100 === 99) await pause(ms);
    yield i;
  }
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

task("block", block);

/** Takes the node's process with it. */
task("poison", () => process.exit(1));

task({ name: "thread", isolate: "thread" }, block);
task({ name: "process", isolate: "process" }, block);

/** Takes its worker with it. */
task({ name: "crash", isolate: "process" }, () => process.exit(1));

/** Ends when it is told to. */
task(
  "watch",
  class Watch {
    readonly #answer: Answer;
    readonly #ms: number;

    constructor(n: number, ms: number) {
      this.#answer = answer(n);
      this.#ms = ms;
    }
    async start(): Promise<Answer> {
      await pause(this.#ms, undefined, { signal: current().signal }).catch(() => undefined);
      return this.#answer;
    }
  },
);

/** Has to be ended by force. */
task({ name: "deaf", isolate: "process" }, block);

task("rows", rows);
task({ name: "remoteRows", isolate: "process" }, rows);

task("sum", async (n: number, items: AsyncIterable<number>) => {
  let next = 0;
  for await (const item of items) {
    if (item !== next) throw new Error(`Expected item ${next}, got ${item}`);
    next++;
  }
  return { ...answer(n), items: next };
});
