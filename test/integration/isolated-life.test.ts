// Runs in workers of a real node: stopped and known to be, streamed to and from, and surrounded by what modules set up.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { TaskStoppedError } from "zerotask-client";
import type { Isolation } from "zerotask-core";
import { connect, connectAsync, startBroker, startNode } from "../support/cluster.ts";
import { start } from "../support/processes.ts";
import { until } from "../support/wait.ts";
import { folderWith } from "../support/watched.ts";
import type * as life from "./isolated-life.ts";

const module = new URL("isolated-life.ts", import.meta.url).pathname;

async function serve(kind: string): Promise<{ endpoint: string }> {
  const { requestEndpoint } = await startBroker();
  const { port } = new URL(requestEndpoint);
  await start("node", "-r", port, "--isolate", kind, "-w", "2", module);
  return { endpoint: requestEndpoint };
}

describe.each(["thread", "process"])("a run in a %s", (kind) => {
  it("is ended by force where it ignores its signal, and is then known to be over", async () => {
    const { endpoint } = await serve(kind);
    const later = connectAsync<typeof life>(endpoint);
    const [spinning, other] = [later.spin(), later.spin()];
    await until("both workers to spin", async () => {
      return (await spinning.status()) === "RUNNING" && (await other.status()) === "RUNNING";
    });
    const waiting = later.patient();
    await waiting.accepted;
    expect(await waiting.stop()).toBe("never-started");
    expect(await spinning.stop({ graceMs: 50 })).toBe("killed");
    await expect(spinning.wait()).rejects.toBeInstanceOf(TaskStoppedError);
    expect(await other.stop({ force: true })).toBe("killed");
    // The workers are replaced.
    const patient = later.patient();
    await until("it to run", async () => (await patient.status()) === "RUNNING");
    expect(await patient.stop()).toBe("cooperative");
  });

  it("that takes too long is dead before the next attempt begins", async () => {
    const { endpoint } = await serve(kind);
    const handle = connectAsync<typeof life>(endpoint).second();
    expect(await handle.wait()).toBe(2);
    const statuses: unknown[] = [];
    for await (const { event, data } of handle.events()) if (event === "status") statuses.push(data);
    expect(statuses.filter((data) => (data as { attempt: number }).attempt === 2)).not.toHaveLength(0);
  }, 30_000);

  it("is dead before its next attempt begins when its node leaves", async () => {
    const { requestEndpoint: endpoint } = await startBroker();
    const isolate = kind as Isolation;
    const node = await startNode(
      endpoint,
      (dispatcher) => dispatcher.add("stubborn", () => undefined, { backoff: { initialMs: 1 } }),
      { isolate, workers: 2, modules: [module] },
    );
    const file = join(await folderWith({ told: "" }), "told");
    const handle = connectAsync<typeof life>(endpoint).stubborn(file);
    await until("it to run", () => readFileSync(file, "utf8") !== "");
    await start("node", "-r", new URL(endpoint).port, "--isolate", kind, "-w", "2", module);
    await node.stop();
    await handle.wait();
    const told = readFileSync(file, "utf8").trimEnd().split("\n");
    expect(told.indexOf("2")).toBe(told.length - 1);
  }, 30_000);

  it("is made anew with other params", async () => {
    const { endpoint } = await serve(kind);
    const handle = connectAsync<typeof life>(endpoint).poll("a");
    const polled: unknown[] = [];
    const following = (async () => {
      for await (const { event, data } of handle.events()) if (event === "polling") polled.push(data);
    })();
    await until("it to poll", () => polled.length === 1);
    await handle.reload(["b"]);
    await until("it to poll again", () => polled.length === 2);
    expect(polled).toEqual(["a", "b"]);
    expect(await handle.stop()).toBe("cooperative");
    await following;
  });

  it("sends what it yields, and reads what it is sent", async () => {
    const { endpoint } = await serve(kind);
    const client = connect<typeof life>(endpoint);
    let total = 0;
    for await (const n of client.$stream.count(20_000)) total += n;
    expect(total).toBe((20_000 * 20_001) / 2);
    async function* numbers(): AsyncGenerator<number> {
      for (let n = 1; n <= 5_000; n++) yield n;
    }
    expect(await client.sum(numbers())).toBe((5_000 * 5_001) / 2);
    for await (const n of client.$stream.count(1_000_000)) if (n === 3) break;
    // Its worker is free again.
    expect(await Promise.all([client.count(3), client.count(2)])).toEqual([
      [1, 2, 3],
      [1, 2],
    ]);
  });

  it("is surrounded by what its module sets up in its worker", async () => {
    const { endpoint } = await serve(kind);
    const client = connect<typeof life>(endpoint);
    const told = (await client.sizes("size:xyz")) as {
      what: unknown;
      place: string;
      run: number;
      around: number;
    };
    expect(told.what).toEqual({ size: 8 });
    expect(told.around).toBe(told.run);
    expect(told.place.endsWith(`/${told.run}`)).toBe(true);
  });
});
