// Tasks that are submitted now and waited for later.
import assert from "node:assert/strict";
import { AsyncClient, TaskTimeoutError } from "zerotask-client";
import { task } from "zerotask-core";
import { withCluster } from "../cluster.ts";

let finishNap: () => void = () => undefined;
const nap = task(
  "nap",
  () =>
    new Promise<string>((resolve) => {
      finishNap = () => resolve("rested");
    }),
);
const add = task("add", (a: number, b: number) => a + b);
const tasks = { nap, add };

await withCluster(async (endpoint) => {
  const later = new AsyncClient<typeof tasks>(endpoint);
  const sum = later.add(5, 6);
  assert.equal(await sum.wait(), 11);
  assert.equal(await sum.status(), "FINISHED");

  const slow = later.nap();
  await assert.rejects(slow.wait(50), TaskTimeoutError);
  const rested = new Promise((resolve) => slow.callback(resolve));
  finishNap();
  assert.equal(await rested, "rested");

  // Whoever knows the id can ask.
  const other = new AsyncClient(endpoint);
  assert.equal(await other.$handle(slow.id).result(), "rested");
  later.$ignore.add(1, 2);

  await other.$close();
  await later.$close();
});
