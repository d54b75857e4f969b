// What the tests of isolation serve.
import { execFileSync } from "node:child_process";
import { parentPort, threadId } from "node:worker_threads";
import { Client } from "zerotask-client";
import { type Batch, current, InvalidParamsError, RetryError, TaskError, task } from "zerotask-node";

export const add = task("add", (first: number, second: number) => first + second);
export const where = task("where", () => ({ pid: process.pid, threadId }));
/** Runs quickly, and at one number ends its worker. */
export const quick = task("quick", (n: number, exitAt: number) => {
  if (n === exitAt) process.exit(3);
  return n;
});
/** For so long, or for ever. */
export const spin = task("spin", (ms: number = Number.POSITIVE_INFINITY) => {
  const end = performance.now() + ms;
  while (performance.now() < end);
  return "spun";
});
export const giant = task("giant", (length: number) => "x".repeat(length));
/** Tells much, and lets its worker do nothing else meanwhile. */
export const chatty = task("chatty", (count: number) => {
  for (let n = 0; n < count; n++) current().emit("chat", "x".repeat(50_000));
  return count;
});
/** In a call that no thread can be ended in; there is a file from when it is. */
export const native = task("native", (file: string, seconds: number) => {
  execFileSync("sh", ["-c", `echo > "$0"; exec sleep ${seconds}`, file]);
});
/** Leaves its worker busy for ever, as soon as its end was told. */
export const late = task("late", () => {
  setImmediate(() => {
    for (;;);
  });
  return "done";
});
/** By a client of its own. */
export const dial = task("dial", async (endpoint: string) => {
  const client = new Client<{ add(first: number, second: number): number }>(endpoint);
  const sums = await Promise.allSettled([client.add(5, 6), client.add(7, 8)]);
  await client.$close();
  return sums.map((sum) => (sum.status === "fulfilled" ? sum.value : String(sum.reason)));
});
/** Where it has no business. */
export const post = task("post", () => {
  parentPort?.postMessage({ hello: 1 });
  return "posted";
});
export const print = task("print", (text: string, exitCode: number) => {
  console.error(text);
  process.exit(exitCode);
});
export const abort = task("abort", () => process.abort());
export const suicide = task("suicide", () => {
  process.kill(process.pid, "SIGKILL");
  for (;;);
});
export const uncaught = task("uncaught", () => {
  setTimeout(() => {
    throw new RangeError("nobody catches this");
  });
  return new Promise(() => undefined);
});
export const fail = task("fail", (kind: string): void => {
  if (kind === "expected") throw new TaskError("no such customer", { id: 5 });
  if (kind === "params") throw new InvalidParamsError("Expected more");
  if (kind === "retry" && current().attempt === 1) throw new RetryError({ delay: 1 });
  if (kind === "error") throw new RangeError("too far");
});
export const deep = task("deep", async (depth: number): Promise<string[]> => {
  const { client, trace } = current<{ deep(depth: number): Promise<string[]> }>();
  return depth === 0 ? [trace] : [trace, ...(await client.deep(depth - 1))];
});
export const told = task("told", () => {
  const { id, attempt, method, trace, deadline, log, signal } = current();
  log.info("here", { n: 1 });
  current().emit("stage", { n: 2 });
  current().progress(0.5, "half");
  console.info("printed");
  return { id, attempt, method, trace, deadline: typeof deadline, isAborted: signal.aborted };
});
/** Tells how far it came, and ends its worker or keeps it busy for ever. */
export const diary = task("diary", (end: "exit" | "spin") => {
  current().log.info(`will ${end}`);
  if (end === "spin") for (;;);
  current().log.info("now");
  current().progress(0.5);
  current().progress(0.6);
  process.exit(3);
});
/** Until its signal fires. */
export const patient = task("patient", async () => {
  const { signal } = current();
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  return "heard";
});
export const lengths = task(
  { name: "lengths", batch: { max: 10, waitMs: 20 } },
  (calls: Batch<[text: string]>) => calls.map(([text]) => ({ length: text.length, calls: calls.length })),
);
/** Ends only where it is called alone. */
export const lonely = task(
  { name: "lonely", batch: { max: 2, waitMs: 100 } },
  (calls: Batch<[n: number]>) => {
    while (calls.length > 1);
    return calls.map(([n]) => n);
  },
);
export async function* numbers(): AsyncGenerator<number> {
  for (let n = 0; n < 3; n++) yield n;
}
export const count = task("count", () => numbers());
/** Yields without end, and without ever waiting. */
export const endless = task("endless", async function* () {
  for (;;) yield "x".repeat(100_000);
});
