// When and how often tasks run, with real sockets; where a broker restarts in between, with real processes.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { AsyncClient, Client, ConflictError, TaskFailedError, TaskStoppedError } from "zerotask-client";
import type { Dispatcher } from "zerotask-core";
import { type Batch, type Results, RetryError } from "zerotask-node";
import { connect, connectAsync, gate, startBroker, startNode } from "../support/cluster.ts";
import { end, freePort, runToEnd, start } from "../support/processes.ts";
import { until } from "../support/wait.ts";

/** A broker of its own process that can be killed and started again on the same data. */
async function killableBroker() {
  const data = await mkdtemp(join(tmpdir(), "zerotask-"));
  onTestFinished(() => rm(data, { recursive: true }));
  const port = String(await freePort());
  const args = ["--data", data, "-r", port, "-p", String(await freePort())] as const;
  let broker = await start("broker", ...args);
  return {
    port,
    endpoint: `tcp://127.0.0.1:${port}`,
    restart: async () => {
      await end(broker.child, "SIGKILL");
      broker = await start("broker", ...args);
    },
  };
}

describe("delayed tasks", () => {
  it("are SCHEDULED until they are due, over a kill of the broker", async () => {
    const broker = await killableBroker();
    const later = connectAsync(broker.endpoint);
    const begin = Date.now();
    const soon = later.$with({ at: new Date(begin + 2_500) }).see("soon");
    const never = later.$with({ at: "1 day" }).see("tomorrow");
    const now = later.$with({ at: "now" }).see("now");
    await Promise.all([soon.accepted, never.accepted, now.accepted]);
    expect(await Promise.all([soon.status(), never.status()])).toEqual(["SCHEDULED", "SCHEDULED"]);
    await broker.restart();
    const seen: [string, number][] = [];
    await startNode(broker.endpoint, (dispatcher) =>
      dispatcher.add("see", (what: string) => void seen.push([what, Date.now()])),
    );
    await Promise.all([soon.wait(), now.wait()]);
    expect(seen.map(([what]) => what)).toEqual(["now", "soon"]);
    expect(seen[1]?.[1]).toBeGreaterThanOrEqual(begin + 2_500);
    expect(await never.status()).toBe("SCHEDULED");
  });

  it("can be calls, too", async () => {
    const { requestEndpoint } = await startBroker();
    await startNode(requestEndpoint, (dispatcher) => dispatcher.add("now", () => Date.now()));
    const begin = Date.now();
    expect(await connect(requestEndpoint).$with({ at: 300 }).now()).toBeGreaterThanOrEqual(begin + 300);
  });
});

describe("batches", () => {
  it("are one task until it begins, for all clients, over a kill of the broker", async () => {
    const broker = await killableBroker();
    const [one, two] = [connectAsync(broker.endpoint), connectAsync(broker.endpoint)];
    const first = one.$with({ batch: true, at: "1 day" }).refresh(7);
    await first.accepted;
    await broker.restart();
    const second = two.$with({ batch: true, at: "1 hour" }).refresh(7);
    const other = two.$with({ batch: true, at: "1 hour" }).refresh(8);
    await Promise.all([second.accepted, other.accepted]);
    expect(second.id).toBe(first.id);
    expect(other.id).not.toBe(first.id);
    let runs = 0;
    await startNode(broker.endpoint, (dispatcher) => dispatcher.add("refresh", () => ++runs));
    const third = one.$with({ batch: true }).refresh(7);
    expect(await Promise.all([first, second, third].map((handle) => handle.wait()))).toEqual([1, 1, 1]);
  });

  it("run once more, and only once, after what runs already; one at a time", async () => {
    const { requestEndpoint } = await startBroker();
    const gates = [gate<string>(), gate<string>()];
    let runs = 0;
    await startNode(requestEndpoint, (dispatcher) => dispatcher.add("refresh", () => gates[runs++]?.opened));
    const batched = connectAsync(requestEndpoint).$with({ batch: "all" });
    const running = batched.refresh();
    await until("it to run", () => runs === 1);
    const next = Array.from({ length: 5 }, () => batched.refresh());
    await Promise.all(next.map((handle) => handle.accepted));
    expect(new Set([running, ...next].map(({ id }) => id)).size).toBe(2);
    expect(runs).toBe(1);
    gates[0]?.open("first");
    expect(await running.wait()).toBe("first");
    gates[1]?.open("second");
    expect(await Promise.all(next.map((handle) => handle.wait()))).toEqual(next.map(() => "second"));
    expect(runs).toBe(2);
  });

  it("refuse other params under one name", async () => {
    const { requestEndpoint } = await startBroker();
    const batched = connectAsync(requestEndpoint).$with({ batch: "mine", at: "1 hour" });
    await batched.refresh(1).accepted;
    await expect(batched.refresh(2).accepted).rejects.toBeInstanceOf(ConflictError);
    await expect(batched.other(1).accepted).rejects.toBeInstanceOf(ConflictError);
  });
});

describe("schedules", () => {
  it("run again and again, over a kill of the broker, and are managed by any client", async () => {
    const broker = await killableBroker();
    const times: number[] = [];
    await startNode(broker.endpoint, (dispatcher) =>
      dispatcher.add("tick", () => void times.push(Date.now())),
    );
    const client = connect(broker.endpoint);
    const schedule = await client.$schedules.interval("tick", { every: 200, params: ["x"] });
    expect(schedule).toMatchObject({ name: 'tick("x")', every: 200, runs: 1, missed: "once" });
    await until("it to have run", () => times.length >= 3);
    await broker.restart();
    const before = times.length;
    await until("it to run again", () => times.length >= before + 3);
    for (let i = 1; i < times.length; i++) {
      // What runs is told apart by its end: a moment may be lost on the way.
      expect((times[i] as number) - (times[i - 1] as number)).toBeGreaterThanOrEqual(190);
    }
    const other = connectAsync(broker.endpoint);
    expect(await other.$schedules.interval("tick", { every: "200 ms", params: ["x"] })).toMatchObject({
      name: schedule.name,
    });
    await expect(other.$schedules.interval("tick", { every: 201, params: ["x"] })).rejects.toBeInstanceOf(
      ConflictError,
    );
    expect((await other.$schedules.pause(schedule.name)).paused).toBe(true);
    const paused = times.length;
    const id = await other.$schedules.runNow(schedule.name);
    await other.$handle(id).wait();
    expect(times.length).toBeGreaterThan(paused);
    expect(await client.$schedules.remove(schedule.name)).toBe(true);
    expect(await client.$schedules.remove(schedule.name)).toBe(false);
    expect(await client.$schedules.list()).toEqual([]);
  });

  it("go by a clock", async () => {
    const { requestEndpoint } = await startBroker();
    const times: number[] = [];
    await startNode(requestEndpoint, (dispatcher) =>
      dispatcher.add("tick", () => void times.push(Date.now())),
    );
    const { $schedules } = connect(requestEndpoint);
    const { nextAt } = await $schedules.cron("tick", { cron: "* * * * * *", timeZone: "Europe/Berlin" });
    expect(nextAt?.getMilliseconds()).toBe(0);
    await until("two seconds to come", () => times.length >= 2);
  });

  it("are set, shown and removed from the command line", async () => {
    const { port } = await killableBroker();
    const cli = (...args: string[]) => runToEnd("client", "-r", port, "schedules", ...args);
    expect(await cli("cron", "report", "0 3 * * *", "--name", "nightly")).toMatchObject({ code: 0, err: "" });
    expect(await cli("cron", "report", "0 99 * * *")).toMatchObject({
      code: 1,
      err: expect.stringContaining("Expected a cron expression"),
    });
    expect((await cli("pause", "nightly")).out).toContain("nightly");
    const { out } = await cli("list", "--json");
    expect(JSON.parse(out)).toMatchObject([{ name: "nightly", cron: "0 3 * * *", paused: true }]);
    expect((await cli("run", "nightly")).out).toContain("schedule:nightly");
    expect(await cli("remove", "nightly")).toEqual({ code: 0, out: "Removed nightly\n", err: "" });
    expect(await cli("resume", "nightly")).toMatchObject({ code: 1 });
  });
});

describe("singletons", () => {
  it("stop a second one of the method, or of the instance that its params name", async () => {
    const { requestEndpoint } = await startBroker();
    const { opened, open } = gate<string>();
    const running: string[] = [];
    await startNode(requestEndpoint, (dispatcher) => {
      dispatcher.add("sync", () => opened, { singleton: true });
      dispatcher.add(
        "index",
        (shop: string) => {
          running.push(shop);
          return opened;
        },
        { singleton: (shop) => shop },
      );
    });
    const client = connect(requestEndpoint);
    const later = connectAsync(requestEndpoint);
    const first = later.sync();
    await first.accepted;
    const second: Error = await client.sync().catch((error: Error) => error);
    expect(second).toBeInstanceOf(TaskStoppedError);
    expect(second).toMatchObject({ data: { reason: "singleton" } });
    const third = later.sync();
    await expect(third.wait()).rejects.toBeInstanceOf(TaskStoppedError);
    expect(await third.status()).toBe("STOPPED");
    const shops = [later.index("a"), later.index("b"), later.index("a")];
    await expect(shops[2]?.wait()).rejects.toBeInstanceOf(TaskStoppedError);
    await until("both to run", () => running.length === 2);
    open("done");
    expect(await Promise.all([first, ...shops.slice(0, 2)].map((handle) => handle.wait()))).toEqual([
      ...["done", "done", "done"],
    ]);
    expect(await client.sync()).toBe("done");
  });

  it("wait for each other, where they are told to", async () => {
    const { requestEndpoint } = await startBroker();
    let running = 0;
    let most = 0;
    await startNode(requestEndpoint, (dispatcher) =>
      dispatcher.add(
        "sync",
        async (n: number) => {
          most = Math.max(most, ++running);
          await new Promise(setImmediate);
          running--;
          return n;
        },
        { singleton: "queue" },
      ),
    );
    const client = connect(requestEndpoint);
    const numbers = Array.from({ length: 20 }, (_, n) => n);
    expect(await Promise.all(numbers.map((n) => client.sync(n)))).toEqual(numbers);
    expect(most).toBe(1);
  });
});

/** A node that runs one task at a time, and is busy until `open`; `seen` tells what it runs then, in order. */
async function busyNode(endpoint: string) {
  const { opened, open } = gate();
  const seen: string[] = [];
  const serve = (dispatcher: Dispatcher): void => {
    dispatcher.add("hold", () => opened);
    dispatcher.add("see", (what: string) => void seen.push(what));
  };
  await startNode(endpoint, serve, { slots: 1, prefetch: 0 });
  const later = connectAsync(endpoint);
  await later.hold().accepted;
  return { later, open, seen };
}

describe("order", () => {
  it("is by priority, and then by age", async () => {
    const { requestEndpoint } = await startBroker();
    const { later, open, seen } = await busyNode(requestEndpoint);
    const handles = [
      later.see("first"),
      later.see("second"),
      later.$with({ priority: -1 }).see("low"),
      later.$with({ priority: 5 }).see("high"),
      later.$with({ priority: 5 }).see("high, later"),
    ];
    await Promise.all(handles.map((handle) => handle.accepted));
    open();
    await Promise.all(handles.map((handle) => handle.wait()));
    expect(seen).toEqual(["high", "high, later", "first", "second", "low"]);
  });

  it("is the same after a kill of the broker, and so are limits", async () => {
    const broker = await killableBroker();
    const later = connectAsync(broker.endpoint);
    const handles = [
      later.$with({ group: "a" }).see("a1"),
      later.$with({ group: "a" }).see("a2"),
      later.$with({ group: "a", priority: 3 }).see("a, urgent"),
      later.$with({ group: "b" }).see("b1"),
    ];
    await Promise.all(handles.map((handle) => handle.accepted));
    const client = connect(broker.endpoint);
    await client.$limits.set("see", { concurrency: 1, rate: "1000/s" });
    await broker.restart();
    const seen: string[] = [];
    await startNode(broker.endpoint, (dispatcher) =>
      dispatcher.add("see", (what: string) => void seen.push(what)),
    );
    await Promise.all(handles.map((handle) => handle.wait()));
    expect(seen).toEqual(["a, urgent", "b1", "a1", "a2"]);
    expect(await client.$limits.list()).toEqual([{ method: "see", concurrency: 1, rate: "1000/s" }]);
  });

  it("lets groups take turns, whatever each has queued", async () => {
    const { requestEndpoint } = await startBroker();
    const { later, open, seen } = await busyNode(requestEndpoint);
    const groups = ["big", "big", "big", "big", "small", "other"];
    const handles = groups.map((group) => later.$with({ group: `tenant-${group}` }).see(group));
    await Promise.all(handles.map((handle) => handle.accepted));
    expect((await handles[3]?.position())?.ahead).toBe(5);
    open();
    await Promise.all(handles.map((handle) => handle.wait()));
    expect(seen).toEqual(["big", "small", "other", "big", "big", "big"]);
  });
});

describe("limits", () => {
  it("hold across nodes, and can be changed while tasks wait", async () => {
    const { requestEndpoint } = await startBroker();
    const { opened, open } = gate();
    let running = 0;
    for (let i = 0; i < 2; i++) {
      await startNode(requestEndpoint, (dispatcher) => {
        const work = (): Promise<void> => {
          running++;
          return opened;
        };
        dispatcher.add("work", work, { concurrency: 3 });
        dispatcher.add("other", () => "free");
      });
    }
    const client = connect(requestEndpoint);
    const calls = Array.from({ length: 8 }, () => client.work());
    await until("three to run", () => running === 3);
    expect(await client.other()).toBe("free");
    expect(running).toBe(3);
    expect(await client.$limits.set("work", { concurrency: 5 })).toEqual({ concurrency: 5 });
    await until("five to run", () => running === 5);
    expect(await client.other()).toBe("free");
    expect(running).toBe(5);
    expect(await client.$limits.list()).toEqual([{ method: "work", concurrency: 5 }]);
    expect(await client.$limits.reset("work")).toEqual({ concurrency: 3 });
    open();
    await Promise.all(calls);
  });

  it("let only so many begin within a time", async () => {
    const { requestEndpoint } = await startBroker();
    const starts: number[] = [];
    await startNode(requestEndpoint, (dispatcher) =>
      dispatcher.add("work", () => void starts.push(performance.now()), { rate: "5 / 400 ms" }),
    );
    const client = connect(requestEndpoint);
    const begin = performance.now();
    await Promise.all(Array.from({ length: 12 }, () => client.work()));
    expect((starts[5] as number) - begin).toBeGreaterThanOrEqual(400);
    expect((starts[10] as number) - begin).toBeGreaterThanOrEqual(800);
  });
});

describe("runs that many share", () => {
  it("are one for equal calls in flight", async () => {
    const broker = await startBroker();
    const { requestEndpoint } = broker;
    const { opened, open } = gate();
    let runs = 0;
    await startNode(requestEndpoint, (dispatcher) =>
      dispatcher.add(
        "page",
        async (url: string) => {
          runs++;
          await opened;
          return `<${url}>`;
        },
        { coalesce: true },
      ),
    );
    const clients = Array.from({ length: 3 }, () => connect(requestEndpoint));
    const calls = clients.flatMap((client) => [client.page("a"), client.page("a"), client.page("b")]);
    const submitted = connectAsync(requestEndpoint).page("a");
    await submitted.accepted;
    await until("all to be there", () => broker.counts.unsettled === 10);
    open();
    expect(await Promise.all([...calls, submitted.wait()])).toEqual([
      ...["<a>", "<a>", "<b>", "<a>", "<a>", "<b>", "<a>", "<a>", "<b>", "<a>"],
    ]);
    expect(runs).toBe(2);
  });

  it("give each of many callers its own result or error", async () => {
    const { requestEndpoint } = await startBroker();
    const sizes: number[] = [];
    await startNode(requestEndpoint, (dispatcher) =>
      dispatcher.add(
        "embed",
        (calls: Batch<[text: string]>): Results<number> => {
          sizes.push(calls.length);
          return calls.map(([text]) => (text === "bad" ? new RangeError("not this") : text.length));
        },
        { batch: { max: 64, waitMs: 50 } },
      ),
    );
    const clients = Array.from({ length: 4 }, () => connect(requestEndpoint));
    await Promise.all(clients.map((client) => client.embed("warm")));
    sizes.length = 0;
    const texts = Array.from({ length: 40 }, (_, i) => (i === 7 ? "bad" : "x".repeat(i)));
    const results = await Promise.allSettled(texts.map((text, i) => clients[i % 4]?.embed(text)));
    expect(results[7]).toMatchObject({ status: "rejected", reason: { remoteName: "RangeError" } });
    for (const [i, result] of results.entries()) {
      if (i !== 7) expect(result).toEqual({ status: "fulfilled", value: i });
    }
    expect(sizes.reduce((sum, size) => sum + size)).toBe(40);
    expect(sizes.length).toBeLessThan(40);
  });
});

describe("another try", () => {
  it("is made when the handler asks for it, without being a failure, as often as allowed", async () => {
    const { requestEndpoint } = await startBroker();
    let runs = 0;
    await startNode(requestEndpoint, (dispatcher) =>
      dispatcher.add("poll", (until: number) => {
        if (++runs < until) throw new RetryError({ delay: "20 ms", message: "not yet" });
        return runs;
      }),
    );
    const later = connectAsync(requestEndpoint);
    expect(await later.poll(4).wait()).toBe(4);
    runs = 0;
    const error: Error = await later
      .$with({ maxRetries: 2 })
      .poll(9)
      .wait()
      .catch((e: Error) => e);
    expect(error).toBeInstanceOf(TaskFailedError);
    expect(error.message).toContain("more than 2 times: not yet");
    expect(runs).toBe(3);
  });

  it("is made of what failed, when somebody asks for it, over a kill of the broker", async () => {
    const broker = await killableBroker();
    let isBroken = true;
    await startNode(broker.endpoint, (dispatcher) =>
      dispatcher.add("charge", (n: number) => {
        if (isBroken) throw new RangeError(`no money for ${n}`);
        return n;
      }),
    );
    const later = connectAsync(broker.endpoint);
    const handles = [1, 2, 3].map((n) => later.charge(n));
    await Promise.allSettled(handles.map((handle) => handle.wait()));
    await broker.restart();
    const client = connect(broker.endpoint);
    const { tasks } = await client.$failed.list({ method: "charge" });
    expect(tasks.map(({ params, error }) => [params, error.message])).toEqual([
      [[3], "no money for 3"],
      [[2], "no money for 2"],
      [[1], "no money for 1"],
    ]);
    expect((await client.$failed.list({ error: "for 2" })).tasks).toHaveLength(1);
    isBroken = false;
    await client.$failed.retry(handles[0]?.id ?? "");
    const again = connectAsync(broker.endpoint);
    expect(await again.$handle(handles[0]?.id ?? "").wait()).toBe(1);
    expect(await client.$failed.retryAll({ error: "no money" })).toBe(2);
    expect(await Promise.all(handles.slice(1).map(({ id }) => again.$handle(id).wait()))).toEqual([2, 3]);
    expect((await client.$failed.list()).tasks).toEqual([]);
  });
});

it("takes times, priorities, groups and retries from the command line", async () => {
  const broker = await killableBroker();
  const cli = (...args: string[]) => runToEnd("client", "-r", broker.port, ...args);
  const { code, out } = await cli(
    "see",
    "7",
    "--at",
    "1 day",
    "--priority",
    "5",
    "--group",
    "g",
    "--retries",
    "2",
  );
  expect(code).toBe(0);
  const client = new Client(broker.endpoint);
  const later = new AsyncClient(broker.endpoint);
  const id = out.trim();
  expect(await later.$handle(id).status()).toBe("SCHEDULED");
  expect(await client.$call("zerotask.broker.client_task_get", { task_id: id })).toMatchObject({
    ...{ method: "see", params: [7], priority: 5, group: "g" },
  });
  expect(await cli("see", "--at", "someday")).toMatchObject({
    code: 1,
    err: expect.stringContaining("`--at`"),
  });
  await Promise.all([client.$close(), later.$close()]);
});
