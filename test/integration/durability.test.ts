import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { sqliteStore } from "zerotask-broker";
import {
  BusyError,
  ConflictError,
  StoreFailedError,
  TaskExpiredError,
  TaskFailedError,
  TaskTimeoutError,
} from "zerotask-client";
import type { Dispatcher } from "zerotask-core";
import { current } from "zerotask-node";
import { connect, connectAsync, gate, startBroker, startNode } from "../support/cluster.ts";
import { end, freePort, runToEnd, start } from "../support/processes.ts";
import { until } from "../support/wait.ts";

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "zerotask-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

it("keeps acknowledged tasks over a kill of the broker, and runs each of them", async () => {
  const data = await temporaryFolder();
  const [port, publishPort] = [String(await freePort()), String(await freePort())];
  const args = ["--data", data, "-r", port, "-p", publishPort] as const;
  const first = await start("broker", ...args);
  expect(first.line).toContain(`tasks in ${data}`);
  const later = connectAsync(`tcp://127.0.0.1:${port}`);
  const handles = Array.from({ length: 500 }, (_, i) => later.see(i));
  expect(await Promise.all(handles.map((handle) => handle.accepted))).toEqual(handles.map(() => "disk"));
  const ids = handles.map(({ id }) => id);
  // Nobody is there who could submit them again.
  await later.$close();
  await end(first.child, "SIGKILL");
  await start("broker", ...args);
  const seen: number[] = [];
  await startNode(`tcp://127.0.0.1:${port}`, (dispatcher) =>
    dispatcher.add("see", (n: number) => seen.push(n)),
  );
  const other = connectAsync(`tcp://127.0.0.1:${port}`);
  await Promise.all(ids.map((id) => other.$handle(id).wait(20_000)));
  expect(seen.sort((a, b) => a - b)).toEqual(ids.map((_, i) => i));
});

it("lets a node go on with what it was running when the broker was killed, and runs it once", async () => {
  const data = await temporaryFolder();
  const [port, publishPort] = [String(await freePort()), String(await freePort())];
  const args = ["--data", data, "-r", port, "-p", publishPort] as const;
  const first = await start("broker", ...args);
  const endpoint = `tcp://127.0.0.1:${port}`;
  const { opened, open } = gate<string>();
  let runs = 0;
  for (let i = 0; i < 2; i++) {
    await startNode(endpoint, (dispatcher) =>
      dispatcher.add("slow", () => {
        runs++;
        return opened;
      }),
    );
  }
  const handle = connectAsync(endpoint).slow();
  await until("the task to run", () => runs === 1);
  await end(first.child, "SIGKILL");
  await start("broker", ...args);
  await until("the task to be adopted", async () => (await handle.status()) === "RUNNING");
  open("done");
  expect(await handle.wait()).toBe("done");
  expect(runs).toBe(1);
});

it("runs what was reloaded while it ran also after the broker was started anew", async () => {
  const data = await temporaryFolder();
  const file = join(data, "tasks.db");
  const first = await startBroker({ store: sqliteStore(file) });
  const seen: unknown[] = [];
  const serve = (dispatcher: Dispatcher): void =>
    dispatcher.add("watch", (item: string) => {
      const { signal } = current();
      seen.push(item);
      return item === "plum" ? "seen" : new Promise((resolve) => signal.addEventListener("abort", resolve));
    });
  await startNode(first.requestEndpoint, serve);
  const later = connectAsync(first.requestEndpoint);
  const { id, accepted } = later.watch("apple");
  await accepted;
  await until("the task to run", () => seen.length === 1);
  expect(await later.$handle(id).reload(["pear"])).toBe(undefined);
  await until("the task to run anew", () => seen.length === 2);
  await later.$close();
  await first.stop();
  const { requestEndpoint } = await startBroker({ store: sqliteStore(file) });
  const other = connectAsync(requestEndpoint);
  expect(await other.$handle(id).status()).toBe("QUEUED");
  await startNode(requestEndpoint, serve);
  await until("the task to run once more", () => seen.length === 3);
  expect(seen).toEqual(["apple", "pear", "pear"]);
  await other.$handle(id).reload(["plum"]);
  expect(await other.$handle(id).wait()).toBe("seen");
});

it("refuses a second broker on the same data, and says whose it is", async () => {
  const data = await temporaryFolder();
  const { child } = await start("broker", "--data", data, "-r", "0", "-p", "0");
  expect(await runToEnd("broker", "--data", data, "-r", "0", "-p", "0")).toMatchObject({
    code: 1,
    err: `The data directory ${data} is in use by another broker (process ${child.pid})\n`,
  });
});

it("does not take two words on where tasks are kept", async () => {
  expect(await runToEnd("broker", "--memory", "--data", "here")).toMatchObject({
    code: 1,
    err: expect.stringContaining("'-m, --memory' cannot be used with option '-d, --data <directory>'"),
  });
});

it("tells how safe a task is", async () => {
  const data = await temporaryFolder();
  const disk = await startBroker({ store: sqliteStore(data) });
  const memory = await startBroker();
  const later = connectAsync(disk.requestEndpoint);
  const handle = later.add(1, 2);
  expect(await handle.accepted).toBe("disk");
  expect(await connectAsync(disk.requestEndpoint).$handle(handle.id).accepted).toBe("disk");
  expect(await later.$with({ durability: "memory" }).add(1, 2).accepted).toBe("memory");
  expect(await connectAsync(memory.requestEndpoint).$with({ durability: "disk" }).add(1, 2).accepted).toBe(
    "memory",
  );
});

it("stores a call that is to be on disk, and answers it", async () => {
  const data = await temporaryFolder();
  const broker = await startBroker({ store: sqliteStore(data) });
  await startNode(broker.requestEndpoint, (dispatcher) =>
    dispatcher.add("add", (a: number, b: number) => a + b),
  );
  const client = connect(broker.requestEndpoint);
  expect(await client.$with({ durability: "disk" }).add(5, 6)).toBe(11);
  expect(await client.$with({ retries: 1 }).add(5, 6)).toBe(11);
  await broker.stop();
  const store = sqliteStore(data);
  await store.open();
  expect(await store.counts()).toEqual([{ method: "add", status: "FINISHED", count: 1 }]);
  await store.close();
});

it("runs a failing handler again, as the task says and as the call says", async () => {
  const { requestEndpoint } = await startBroker();
  let runs = 0;
  const backoff = { initialMs: 1, maxMs: 5 };
  await startNode(requestEndpoint, (dispatcher) => {
    const fail = (): never => {
      runs++;
      throw new Error(`run ${runs}, attempt ${current().attempt}`);
    };
    dispatcher.add("flaky", fail, { retries: 2, backoff });
    dispatcher.add("once", fail);
  });
  const client = connect(requestEndpoint);
  await expect(client.flaky()).rejects.toThrow("run 3, attempt 3");
  runs = 0;
  await expect(client.once()).rejects.toBeInstanceOf(TaskFailedError);
  await expect(client.$with({ retries: 0 }).flaky()).rejects.toThrow("run 2");
  runs = 0;
  const handle = connectAsync(requestEndpoint).$with({ retries: 4, backoff }).once();
  await expect(handle.wait()).rejects.toThrow("run 5, attempt 5");
});

it("fires the signal of a run that takes too long, or that is stopped", async () => {
  const { requestEndpoint } = await startBroker();
  const ended: string[] = [];
  await startNode(requestEndpoint, (dispatcher) => {
    const untilAborted = async (name: string): Promise<void> => {
      const { signal, method } = current();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      ended.push(`${method} ${name}`);
    };
    dispatcher.add("slow", untilAborted);
    dispatcher.add("slower", untilAborted, { timeoutMs: 20 });
  });
  const later = connectAsync(requestEndpoint);
  const client = connect(requestEndpoint);
  await expect(later.$with({ timeoutMs: 20 }).slow("a").wait()).rejects.toBeInstanceOf(TaskExpiredError);
  await expect(client.slower("b")).rejects.toBeInstanceOf(TaskExpiredError);
  await expect(client.$with({ timeoutMs: 20 }).slow("c")).rejects.toBeInstanceOf(TaskTimeoutError);
  const handle = later.slow("d");
  await until("the task to run", async () => (await handle.status()) === "RUNNING");
  await client.$call("zerotask.broker.client_task_stop", [handle.id]);
  await until("all signals to fire", () => ended.length === 4);
  expect(ended.sort()).toEqual(["slow a", "slow c", "slow d", "slower b"]);
});

it("tells a handler about its task wherever in it that is asked, and nobody else", async () => {
  const { requestEndpoint } = await startBroker();
  await startNode(requestEndpoint, (dispatcher) =>
    dispatcher.add("who", async () => {
      await new Promise((resolve) => setImmediate(resolve));
      const { id, attempt, method, trace } = current();
      return { id, attempt, method, trace };
    }),
  );
  const handles = [connectAsync(requestEndpoint).who(), connectAsync(requestEndpoint).who()];
  const known = await Promise.all(handles.map((handle) => handle.wait()));
  expect(known).toEqual(handles.map(({ id }) => ({ id, attempt: 1, method: "who", trace: id })));
  expect(() => current()).toThrow("Expected current() to be called by a handler");
});

it("ends a task that nobody runs in time", async () => {
  const { requestEndpoint } = await startBroker();
  const handle = connectAsync(requestEndpoint).$with({ expiresMs: 20 }).nobody();
  await expect(handle.wait()).rejects.toBeInstanceOf(TaskExpiredError);
  expect(await handle.status()).toBe("EXPIRED");
});

it("runs what has the same key once, for several clients", async () => {
  const { requestEndpoint } = await startBroker();
  let runs = 0;
  await startNode(requestEndpoint, (dispatcher) => dispatcher.add("pay", (sum: number) => [sum, ++runs]));
  const once = { idempotencyKey: "order-17" };
  const [one, other] = [connectAsync(requestEndpoint), connectAsync(requestEndpoint)];
  const handles = [one.$with(once).pay(5), one.$with(once).pay(5), other.$with(once).pay(5)];
  expect(await Promise.all(handles.map((handle) => handle.wait()))).toEqual([
    [5, 1],
    [5, 1],
    [5, 1],
  ]);
  expect(await connect(requestEndpoint).$with(once).pay(5)).toEqual([5, 1]);
  await expect(other.$with(once).pay(6).wait()).rejects.toBeInstanceOf(ConflictError);
});

it("refuses over a bound, or waits until there is room", async () => {
  const { requestEndpoint } = await startBroker({ maxClientTasks: 1 });
  const { opened, open } = gate<number>();
  await startNode(requestEndpoint, (dispatcher) => dispatcher.add("slow", () => opened));
  const later = connectAsync(requestEndpoint);
  const first = later.slow();
  await first.accepted;
  const refused = later.slow();
  await expect(refused.accepted).rejects.toBeInstanceOf(BusyError);
  await expect(refused.wait()).rejects.toMatchObject({ retryAfterMs: 1_000 });
  const patient = later.$with({ whenBusy: "wait" }).slow();
  open(1);
  expect(await patient.wait()).toBe(1);
  expect(await first.wait()).toBe(1);
});

it("tells clients that the disk is full, and has all that it acknowledged when it is started again", async () => {
  const data = await temporaryFolder();
  const broker = await startBroker({ store: sqliteStore(data, { maxBytes: 2 ** 20 }) });
  const later = connectAsync(broker.requestEndpoint);
  const text = "x".repeat(10_000);
  const accepted: string[] = [];
  const submit = async (): Promise<Error | undefined> => {
    const handle = later.$with({ whenBusy: "wait" }).parked(text);
    const error = await handle.accepted.then(
      () => undefined,
      (reason: Error) => reason,
    );
    if (error === undefined) accepted.push(handle.id);
    return error;
  };
  let error: Error | undefined;
  while (error === undefined) error = await submit();
  expect(error).toBeInstanceOf(StoreFailedError);
  expect(error.message).toContain("database or disk is full");
  expect(await submit()).toBeInstanceOf(StoreFailedError);
  expect(await later.$with({ durability: "memory" }).parked(text).accepted).toBe("memory");
  await broker.stop();
  const again = await startBroker({ store: sqliteStore(data) });
  expect(accepted.length).toBeGreaterThan(10);
  const other = connectAsync(again.requestEndpoint);
  for (const id of accepted) expect(await other.$handle(id).status()).toBe("QUEUED");
});

it("is not disturbed by jumps of the wall clock", async () => {
  const hour = 3_600_000;
  const { requestEndpoint } = await startBroker({ stalledMs: 60_000, leaseMs: 60_000 });
  const { opened, open } = gate<string>();
  await startNode(requestEndpoint, (dispatcher) => dispatcher.add("slow", () => opened));
  const later = connectAsync(requestEndpoint);
  const handle = later.$with({ timeoutMs: 60_000 }).slow();
  const queued = later.$with({ expiresMs: 60_000 }).nobody();
  await until("the task to run", async () => (await handle.status()) === "RUNNING");
  const now = Date.now();
  onTestFinished(() => void vi.restoreAllMocks());
  for (const jump of [hour, -hour]) {
    vi.spyOn(Date, "now").mockReturnValue(now + jump);
    await expect(later.$with({ expiresMs: 50 }).nobody().wait()).rejects.toBeInstanceOf(TaskExpiredError);
    expect(await handle.status()).toBe("RUNNING");
    expect(await queued.status()).toBe("QUEUED");
  }
  open("done");
  expect(await handle.wait()).toBe("done");
});

it("has stored all that it acknowledged when it stops in the middle of it", async () => {
  const data = await temporaryFolder();
  const broker = await startBroker({ store: sqliteStore(data) });
  const later = connectAsync(broker.requestEndpoint);
  await later.parked(0).accepted;
  const accepted: string[] = [];
  const submitted = Array.from({ length: 2_000 }, (_, i) => {
    const handle = later.parked(i);
    return handle.accepted.then(
      () => accepted.push(handle.id),
      () => undefined,
    );
  });
  await submitted[0];
  await broker.stop();
  await later.$close();
  await Promise.all(submitted);
  expect(accepted.length).toBeGreaterThan(0);
  const store = sqliteStore(data);
  await store.open();
  expect(await store.get(accepted)).toHaveLength(accepted.length);
  await store.close();
});
