// Counts words: each line is a task, and so is merging two counts.
import assert from "node:assert/strict";
import { Client } from "zerotask-client";
import { Dispatcher } from "zerotask-core";
import { current, task } from "zerotask-node";
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
/** A task that calls others: while it waits for them its slot is free, so that also one slot is enough. */
const mostFrequent = task("words.most-frequent", async (lines: string[]) => {
  const { client } = current<{ map: typeof map }>();
  const total = new Map<string, number>();
  for (const counts of await Promise.all(lines.map((line) => client.words.count(line)))) {
    for (const [word, count] of Object.entries(counts)) total.set(word, (total.get(word) ?? 0) + count);
  }
  return [...total].sort(([, a], [, b]) => b - a)[0]?.[0];
});
const tasks = { map, reduce, mostFrequent };

const text = ["the cat and the hat", "the hat and the bat", "a cat is a cat"];

await withCluster(
  async (endpoint) => {
    const client = new Client<typeof tasks>(endpoint);
    let counts = await Promise.all(text.map((line) => client.words.count(line)));
    while (counts.length > 1) {
      const pairs = Array.from({ length: Math.ceil(counts.length / 2) }, (_, i) =>
        counts.slice(i * 2, i * 2 + 2),
      );
      counts = await Promise.all(pairs.map(([a = {}, b = {}]) => client.words.merge(a, b)));
    }
    assert.deepEqual(counts[0], { the: 4, cat: 3, and: 2, hat: 2, bat: 1, a: 2, is: 1 });
    assert.equal(await client.words["most-frequent"](text), "the");
    await client.$close();
  },
  Dispatcher.instance(),
  { slots: 1 },
);
