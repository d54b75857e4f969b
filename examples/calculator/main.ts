// Calls typed by the module that serves them.
import assert from "node:assert/strict";
import { Client, MethodNotFoundError, TaskFailedError } from "zerotask-client";
import { addModule, Dispatcher, task } from "zerotask-core";
import { withCluster } from "../cluster.ts";
import * as calculator from "./calculator.ts";

task("divide", (a: number, b: number) => {
  if (b === 0) throw new RangeError("division by zero");
  return a / b;
});
// `zerotask-node calculator.ts` does this for the modules it is given.
addModule(calculator, Dispatcher.instance());

await withCluster(async (endpoint) => {
  const client = new Client<typeof calculator & { math: { subtract(a: number, b: number): number } }>(
    endpoint,
  );
  assert.equal(await client.add(5, 6), 11);
  assert.equal(await client.math.subtract(5, 6), -1);
  assert.equal(await client.namespaces.are.awesome.foo(), "bar");
  assert.deepEqual(await client.$with({ timeoutMs: 5_000 }).echo({ any: ["value"] }), { any: ["value"] });

  const untyped = new Client(endpoint);
  await assert.rejects(
    untyped.divide(1, 0),
    (error) => error instanceof TaskFailedError && error.remoteName === "RangeError",
  );
  await assert.rejects(untyped.broker.nobody(), MethodNotFoundError);
  await untyped.$close();
  await client.$close();
});
