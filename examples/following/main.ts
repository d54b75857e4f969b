// Watching a task from outside: its events, its progress, what it logs, and whether its failure was to be expected.
import assert from "node:assert/strict";
import { AsyncClient, TaskFailedError } from "zerotask-client";
import { current, TaskError, task } from "zerotask-node";
import { withCluster } from "../cluster.ts";

const resize = task("resize", async (names: string[]) => {
  const { log } = current();
  for (const [i, name] of names.entries()) {
    if (!name.endsWith(".png")) throw new TaskError(`${name} is no picture`, { name });
    log.info("resizing", { name });
    await new Promise((resolve) => setTimeout(resolve, 5));
    current().emit("resized", { name }); // also after an await
    current().progress((i + 1) / names.length, name);
  }
  return names.length;
});

await withCluster(async (endpoint) => {
  const later = new AsyncClient<{ resize: typeof resize }>(endpoint);

  const handle = later.resize(["cat.png", "dog.png"]);
  const told: string[] = [];
  for await (const { event, data } of handle.events()) {
    if (event === "resized") told.push((data as { name: string }).name);
  }
  assert.deepEqual(told, ["cat.png", "dog.png"]);
  assert.equal(await handle.wait(), 2);

  // Who comes late hears the same.
  let last = 0;
  for await (const { fraction } of later.$handle(handle.id).progress()) last = fraction;
  assert.equal(last, 1);
  const lines: string[] = [];
  for await (const { message, data } of handle.logs()) lines.push(`${message} ${JSON.stringify(data)}`);
  assert.deepEqual(lines, ['resizing {"name":"cat.png"}', 'resizing {"name":"dog.png"}']);

  const failed = await later
    .$with({ retries: 5 })
    .resize(["readme.txt"])
    .wait()
    .catch((error: unknown) => error);
  assert.ok(failed instanceof TaskFailedError);
  assert.deepEqual([failed.expected, failed.message], [true, "readme.txt is no picture"]);

  await later.$close();
});
