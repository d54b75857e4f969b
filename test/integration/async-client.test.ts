import { expect, it } from "vitest";
import { ClientClosedError, TaskFailedError, TaskTimeoutError, UnknownTaskError } from "zerotask-client";
import { BrokerMethod, type Dial, dialDealer } from "zerotask-core";
import { connect, connectAsync, gate, startBroker, startNode } from "../support/cluster.ts";
import { until } from "../support/wait.ts";

it("hands out a handle at once, and its result when it is there", async () => {
  const { requestEndpoint } = await startBroker();
  await startNode(requestEndpoint, (dispatcher) => dispatcher.add("add", (a: number, b: number) => a + b));
  const later = connectAsync(requestEndpoint);
  const handle = later.add(5, 6);
  expect(handle.id).toMatch(/^[0-9A-Za-z]+-1$/);
  expect(await handle.wait()).toBe(11);
  expect(await handle.result()).toBe(11);
  expect(await handle.status()).toBe("FINISHED");
});

it("tells each status that a task goes through", async () => {
  const { requestEndpoint } = await startBroker();
  const later = connectAsync(requestEndpoint);
  const { opened, open } = gate();
  const handle = later.slow();
  expect(await handle.status()).toBe("QUEUED");
  await startNode(requestEndpoint, (dispatcher) => dispatcher.add("slow", () => opened));
  await until("the task to be running", async () => (await handle.status()) === "RUNNING");
  open();
  await handle.wait();
  expect(await handle.status()).toBe("FINISHED");
});

it("lets a submitted task wait for a node for as long as it takes", async () => {
  const { requestEndpoint } = await startBroker({ graceMs: 10 });
  const later = connectAsync(requestEndpoint);
  const handle = later.add(1, 2);
  await expect(connect(requestEndpoint).add(1, 2)).rejects.toThrow("Method not found");
  expect(await handle.status()).toBe("QUEUED");
});

it("rejects a wait that takes too long, while the task goes on", async () => {
  const { requestEndpoint } = await startBroker();
  const { opened, open } = gate<string>();
  await startNode(requestEndpoint, (dispatcher) => dispatcher.add("slow", () => opened));
  const later = connectAsync(requestEndpoint);
  const handle = later.slow();
  await expect(handle.wait(10)).rejects.toBeInstanceOf(TaskTimeoutError);
  open("done");
  expect(await handle.wait()).toBe("done");
});

it("calls back, also when the result is already in", async () => {
  const { requestEndpoint } = await startBroker();
  await startNode(requestEndpoint, (dispatcher) => {
    dispatcher.add("one", () => 1);
    dispatcher.add("fail", () => {
      throw new Error("no");
    });
  });
  const later = connectAsync(requestEndpoint);
  const handle = later.one();
  const early = new Promise((resolve) => handle.callback(resolve));
  expect(await early).toBe(1);
  expect(await new Promise((resolve) => handle.callback(resolve))).toBe(1);
  const error = await new Promise((resolve) => later.fail().callback(() => undefined, resolve));
  expect(error).toBeInstanceOf(TaskFailedError);
});

it("fails quietly when nobody waits for a task", async () => {
  const { requestEndpoint } = await startBroker();
  await startNode(requestEndpoint, (dispatcher) => {
    dispatcher.add("fail", () => {
      throw new Error("no");
    });
  });
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown): number => unhandled.push(reason);
  process.on("unhandledRejection", onUnhandled);
  const later = connectAsync(requestEndpoint);
  const handle = later.fail();
  await until("the task to fail", async () => (await handle.status()) === "FAILED");
  later.$ignore.fail();
  await expect(later.fail().wait()).rejects.toThrow("no");
  process.off("unhandledRejection", onUnhandled);
  expect(unhandled).toEqual([]);
});

it("fires and forgets: the task runs, and its outcome is not kept", async () => {
  const { requestEndpoint } = await startBroker();
  const seen: number[] = [];
  await startNode(requestEndpoint, (dispatcher) => dispatcher.add("see", (n: number) => seen.push(n)));
  const later = connectAsync(requestEndpoint);
  expect(later.$ignore.see(1)).toBeUndefined();
  const handle = later.see(2);
  await handle.wait();
  expect(seen).toEqual([1, 2]);
  const ignoredId = `${handle.id.split("-")[0]}-1`;
  expect(await connect(requestEndpoint).$call("zerotask.broker.client_task_get", [ignoredId])).toMatchObject({
    status: "FINISHED",
    result: null,
  });
});

it("finds a task that somebody else submitted", async () => {
  const { requestEndpoint } = await startBroker();
  const { opened, open } = gate<string>();
  await startNode(requestEndpoint, (dispatcher) => dispatcher.add("slow", () => opened));
  const handle = connectAsync(requestEndpoint).slow();
  await handle.status();
  const other = connectAsync(requestEndpoint);
  const found = other.$handle<string>(handle.id);
  const result = found.wait();
  open("done");
  expect(await result).toBe("done");
  expect(await found.status()).toBe("FINISHED");
  expect(await other.$handle(handle.id).wait()).toBe("done");
  await expect(other.$handle("nobody-1").wait()).rejects.toBeInstanceOf(UnknownTaskError);
});

it("submits what is pending before it closes, and rejects what still waits", async () => {
  const { requestEndpoint } = await startBroker();
  const later = connectAsync(requestEndpoint, { closeTimeoutMs: 1_000 });
  const handle = later.slow();
  const waiting = handle.wait();
  waiting.catch(() => undefined);
  await later.$close();
  await expect(waiting).rejects.toBeInstanceOf(ClientClosedError);
  const other = connectAsync(requestEndpoint);
  expect(await other.$handle(handle.id).status()).toBe("QUEUED");
});

it("stops a task, whose waiters are told", async () => {
  const { requestEndpoint } = await startBroker();
  await startNode(requestEndpoint, (dispatcher) =>
    dispatcher.add("never", () => new Promise(() => undefined)),
  );
  const handle = connectAsync(requestEndpoint).never();
  const client = connect(requestEndpoint);
  await handle.status();
  expect(await client.$call("zerotask.broker.client_task_stop", [handle.id])).toBe("STOPPED");
  await expect(handle.wait()).rejects.toThrow("The task was stopped");
  expect(await client.$call("zerotask.broker.client_task_get", [handle.id])).toMatchObject({
    task_id: handle.id,
    method: "never",
    status: "STOPPED",
    attempt: 1,
    error: { code: -32040 },
  });
});

it.each([-1, 0.5, Number.NaN, 2 ** 31])("refuses to wait for %s ms", async (timeoutMs) => {
  const { requestEndpoint } = await startBroker();
  const later = connectAsync(requestEndpoint);
  await expect(later.add().wait(timeoutMs)).rejects.toThrow(
    "Expected `timeoutMs` to be whole milliseconds from 0 to",
  );
  expect(() => later.$with({ timeoutMs })).toThrow("Expected `timeoutMs`");
});

it("asks a broker once what becomes of a task that was begun again, however often it is waited for", async () => {
  const { requestEndpoint } = await startBroker();
  const { opened, open } = gate<string>();
  await startNode(requestEndpoint, (dispatcher) => dispatcher.add("work", () => opened));
  const asked: string[] = [];
  const dial: Dial = (endpoint, handlers) => {
    const connection = dialDealer(endpoint, handlers);
    const send = (text: string): void => {
      asked.push((JSON.parse(text) as { method: string }).method);
      connection.send(text);
    };
    return { send, limit: (limits) => connection.limit(limits), close: () => connection.close() };
  };
  const handle = connectAsync(requestEndpoint, { dial }).$with({ at: "1 hour" }).work();
  expect(await handle.stop()).toBe("never-started");
  await connectAsync(requestEndpoint).$handle(handle.id).start();
  for (let i = 0; i < 5; i++) await expect(handle.wait(20)).rejects.toBeInstanceOf(TaskTimeoutError);
  const outcomes = Promise.all([handle.wait(), handle.wait()]);
  open("done");
  expect(await outcomes).toEqual(["done", "done"]);
  expect(asked.filter((method) => method === BrokerMethod.ClientTaskWait).length).toBe(1);
});
