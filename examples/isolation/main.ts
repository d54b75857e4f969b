// Handlers in threads and processes: they hold up nobody, fail alone, and can be ended by force.
import assert from "node:assert/strict";
import { AsyncClient, Client, isStatus, TaskFailedError } from "zerotask-client";
import { Dispatcher } from "zerotask-core";
import { withCluster } from "../cluster.ts";
import type * as tasks from "./tasks.ts";
import "./tasks.ts"; // the node itself has to know what it serves

await withCluster(
  async (endpoint) => {
    const client = new Client<typeof tasks>(endpoint);
    const later = new AsyncClient<typeof tasks>(endpoint);

    const spinning = later.spin();
    // It computes for ever in its thread; here all goes on.
    assert.deepEqual(await client.primes(10), [2, 3, 5, 7]);
    for await (const event of spinning.events())
      if (isStatus(event) && event.data.status === "RUNNING") break;
    assert.equal(await spinning.stop({ graceMs: 20 }), "killed");

    const error = await client.crash().catch((thrown: unknown) => thrown);
    assert.ok(error instanceof TaskFailedError);
    assert.equal(error.remoteName, "WorkerDiedError");
    assert.equal(await client.double(21), 42);

    await client.$close();
    await later.$close();
  },
  Dispatcher.instance(),
  { modules: [new URL("tasks.ts", import.meta.url)], workers: 2 },
);
