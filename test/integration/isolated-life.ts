// What the tests of stopping and streaming in workers serve.
import { appendFileSync } from "node:fs";
import { threadId } from "node:worker_threads";
import { current, type NodeSetup, task } from "zerotask-node";

export const spin = task("spin", () => {
  for (;;);
});
export const patient = task("patient", async () => {
  const { signal } = current();
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
});
/** Its first run never ends by itself. */
export const second = task({ name: "second", timeoutMs: 300, retries: 1, backoff: { initialMs: 1 } }, () => {
  const { attempt } = current();
  if (attempt === 1) for (;;);
  return attempt;
});
/** Its first run tells of itself in a file, again and again, and never ends by itself. */
export const stubborn = task({ name: "stubborn", backoff: { initialMs: 1 } }, (file: string) => {
  const { attempt } = current();
  do appendFileSync(file, `${attempt}\n`);
  while (attempt === 1);
});
export const count = task("count", async function* (to: number) {
  for (let n = 1; n <= to; n++) yield n;
});
export const sum = task("sum", async (numbers: AsyncIterable<number>) => {
  let total = 0;
  for await (const n of numbers) total += n;
  return total;
});
export const sizes = task("sizes", (what: string | { size: number }) => ({
  what,
  place: current().resource<string>("place"),
  run: threadId,
}));
export const poll = task(
  "poll",
  class Poll {
    readonly #what: string;
    #end: (() => void) | undefined;

    constructor(what: string) {
      this.#what = what;
    }
    async start(): Promise<void> {
      current().emit("polling", this.#what);
      await new Promise<void>((resolve) => {
        this.#end = resolve;
      });
    }
    stop(): void {
      this.#end?.();
    }
  },
);

/** A worker that has nothing to do takes so long to leave. */
const closeMs = 500;

export function configure(node: NodeSetup): void {
  // Workers leave this to their node.
  node.runLocal("count", [1]);
  node.provide(
    "place",
    () => `${process.pid}/${threadId}`,
    () => new Promise((resolve) => setTimeout(resolve, closeMs)),
  );
  node.resolve("size:", (text) => ({ size: text.length }));
  node.use(async (_run, next) => {
    const result = await next();
    return typeof result === "object" && result !== null && "what" in result
      ? { ...result, around: threadId }
      : result;
  });
}
