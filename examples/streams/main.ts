// Rows that are read as they come, by a consumer that may be slow or leave; and a file that is sent line by line.
import assert from "node:assert/strict";
import { Client, TaskFailedError } from "zerotask-client";
import { task } from "zerotask-core";
import { withCluster } from "../cluster.ts";

let made = 0;
let closed = 0;

const rows = task("rows", async function* (most: number) {
  try {
    for (let id = 0; id < most; id++) {
      made++;
      yield { id };
    }
  } finally {
    closed++; // Where a cursor would be closed.
  }
});
const faulty = task("faulty", async function* () {
  yield 1;
  throw new Error("the disk is gone");
});
const longest = task("longest", async (lines: AsyncIterable<string>) => {
  let found = "";
  for await (const line of lines) if (line.length > found.length) found = line;
  return found;
});
const upper = task("upper", async function* (lines: AsyncIterable<string>) {
  for await (const line of lines) yield line.toUpperCase();
});
const tasks = { rows, faulty, longest, upper };

async function* file(): AsyncGenerator<string> {
  yield* ["one", "three", "two"];
}

await withCluster(async (endpoint) => {
  const client = new Client<typeof tasks>(endpoint);

  // Each row as it comes; leaving the loop stops the handler, which is never far ahead of the loop.
  for await (const { id } of client.$with({ window: { items: 100 } }).$stream.rows(1_000_000)) {
    if (id === 500) break;
  }
  while (closed === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(made <= 601, `${made} rows were made`);

  // A plain call collects.
  assert.deepEqual(await client.rows(3), [{ id: 0 }, { id: 1 }, { id: 2 }]);

  // Errors come after the items before them.
  const seen: number[] = [];
  await assert.rejects(async () => {
    for await (const item of client.$stream.faulty()) seen.push(item);
  }, TaskFailedError);
  assert.deepEqual(seen, [1]);

  // Streams among the params: the handler reads them as it likes.
  assert.equal(await client.longest(file()), "three");
  const lines: string[] = [];
  for await (const line of client.$stream.upper(file())) lines.push(line);
  assert.deepEqual(lines, ["ONE", "THREE", "TWO"]);

  await client.$close();
});
