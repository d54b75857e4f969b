// A task that needs no node: it runs in the broker's own process.
import assert from "node:assert/strict";
import { Client } from "zerotask-client";
import { task } from "zerotask-core";
import { withCluster } from "../cluster.ts";

const seen = new Map<string, number>();
const count = task("broker.count", (name: string) => {
  const total = (seen.get(name) ?? 0) + 1;
  seen.set(name, total);
  return total;
});
const tasks = { count };

await withCluster(async (endpoint) => {
  const client = new Client<typeof tasks>(endpoint);
  assert.equal(await client.broker.count("apples"), 1);
  assert.equal(await client.broker.count("apples"), 2);
  assert.equal(await client.broker.count("pears"), 1);
  await client.$close();
});
