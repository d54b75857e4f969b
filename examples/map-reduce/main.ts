// Counts words: each line is a task, and so is merging two counts.
import assert from "node:assert/strict";
import { Client } from "zerotask-client";
import { task } from "zerotask-core";
import { withCluster } from "../cluster.ts";

type Counts = Record<string, number>;

const map = task("words.count", (line: string) => {
  const counts: Counts = {};
  for (const word of line.toLowerCase().match(/[a-z]+/g) ?? []) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
});
const reduce = task("words.merge", (a: Counts, b: Counts) => {
  const counts = { ...a };
  for (const [word, count] of Object.entries(b)) counts[word] = (counts[word] ?? 0) + count;
  return counts;
});
const tasks = { map, reduce };

const text = ["the cat and the hat", "the hat and the bat", "a cat is a cat"];

await withCluster(async (endpoint) => {
  const client = new Client<typeof tasks>(endpoint);
  let counts = await Promise.all(text.map((line) => client.words.count(line)));
  while (counts.length > 1) {
    const pairs = Array.from({ length: Math.ceil(counts.length / 2) }, (_, i) =>
      counts.slice(i * 2, i * 2 + 2),
    );
    counts = await Promise.all(pairs.map(([a = {}, b = {}]) => client.words.merge(a, b)));
  }
  assert.deepEqual(counts[0], { the: 4, cat: 3, and: 2, hat: 2, bat: 1, a: 2, is: 1 });
  await client.$close();
});
