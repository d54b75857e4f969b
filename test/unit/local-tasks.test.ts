import { expect, it } from "vitest";
import { LocalTasks } from "../../packages/node/src/local-tasks.ts";
import { Run } from "../../packages/node/src/run.ts";
import type { RunHost } from "../../packages/node/src/run-context.ts";

const host = {
  runtime: { now: () => 0 },
} as unknown as RunHost;
const attempt = (number: number): Run =>
  new Run(
    0,
    `local:n-1#${number}`,
    { jsonrpc: "2.0", method: "watch", params: ["/"], id: `local:n-1#${number}` },
    host,
  );

const answered = (outcome: object): string => JSON.stringify({ jsonrpc: "2.0", id: "x", ...outcome });

it("tells a broker of a task that was made anew, by the attempt that runs", () => {
  const tasks = new LocalTasks("n");
  tasks.add("watch", ["/"]);
  const [first, second] = [attempt(1), attempt(2)];
  tasks.onStarted(first);
  tasks.onEnded(first, answered({ result: 1 }));
  expect(tasks.wanted()).toEqual([]);
  tasks.onStarted(second);
  expect(tasks.wanted()).toEqual([{ name: "1", method: "watch", params: ["/"], attempt: 2 }]);
  tasks.onEnded(second, answered({ error: { code: -32000, message: "no" } }));
  expect(tasks.wanted()).toEqual([{ name: "1", method: "watch", params: ["/"] }]);
});

it("asks for the params with which its task was made anew last", () => {
  const tasks = new LocalTasks("n");
  tasks.add("watch", ["/"]);
  const id = "local:n-1#2";
  const run = new Run(0, id, { jsonrpc: "2.0", method: "watch", params: ["/tmp"], id }, host);
  tasks.onStarted(run);
  tasks.onEnded(run, answered({ error: { code: -32000, message: "no" } }));
  expect(tasks.wanted()).toEqual([{ name: "1", method: "watch", params: ["/tmp"] }]);
});
