import { expect, it } from "vitest";
import { ClientClosedError, type TaskEvent, type TaskHandle, UnknownTaskError } from "zerotask-client";
import { connect, connectAsync, startBroker, startNode } from "../support/cluster.ts";
import { all, take, tellingNode } from "../support/telling-node.ts";
import { until } from "../support/wait.ts";

/** The status of an event, or its name. */
const short = ({ event, data }: TaskEvent): string =>
  event === "status" ? (data as { status: string }).status : event;

it("tells what happens to a task, and ends when it is settled", async () => {
  const { requestEndpoint } = await startBroker();
  const node = await tellingNode(requestEndpoint, "work");
  const handle: TaskHandle = connectAsync(requestEndpoint).work();
  const told = all(handle.events());
  const { id } = await node.next();
  node.emit(id, "half", { rows: 5 });
  node.emit(id, "done");
  node.finish(id, 1);
  const events = await told;
  expect(events.map(short)).toEqual(["QUEUED", "ASSIGNED", "half", "done", "FINISHED"]);
  expect(events[2]).toMatchObject({ taskId: handle.id, method: "work", data: { rows: 5 } });
  expect(events[2]?.at).toBeInstanceOf(Date);
  const seqs = events.map(({ seq }) => seq);
  expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
  // Who comes late sees the same.
  expect(await all(handle.events())).toEqual(events);
  expect(await all(connectAsync(requestEndpoint).$handle(handle.id).events())).toEqual(events);
});

it("tells how a task that is settled ended, though nothing of it is kept", async () => {
  const { requestEndpoint } = await startBroker({ eventsKept: 1 });
  await startNode(requestEndpoint, (dispatcher) => dispatcher.add("work", () => 1));
  const later = connectAsync(requestEndpoint);
  const handle: TaskHandle = later.work();
  await handle.wait();
  await later.work().wait();
  expect(await all(handle.events())).toMatchObject([{ event: "status", data: { status: "FINISHED" } }]);
  await expect(all(later.$handle("nobody-1").events())).rejects.toBeInstanceOf(UnknownTaskError);
});

it("tells who comes late that the first events and lines are gone", async () => {
  const { requestEndpoint } = await startBroker({ eventsPerTask: 5, logLinesPerTask: 5 });
  const node = await tellingNode(requestEndpoint, "work");
  const later = connectAsync(requestEndpoint);
  const handle: TaskHandle = later.work();
  const { id } = await node.next();
  for (let i = 0; i < 10; i++) node.emit(id, `e${i}`);
  node.log(id, ...Array.from({ length: 10 }, (_, i) => `line ${i}`));
  node.finish(id);
  await handle.wait();
  const told = await all(later.$handle(handle.id).events());
  expect(told.map(short)).toEqual(["gap", "e6", "e7", "e8", "e9", "FINISHED"]);
  expect(told[0]?.seq).toBeLessThan(told[1]?.seq ?? 0);
  const lines = await all(later.$handle(handle.id).logs());
  expect(lines.map(({ message }) => message)).toEqual([
    "Lines are missing here: the broker keeps them no longer",
    ...["line 5", "line 6", "line 7", "line 8", "line 9"],
  ]);
  // Of those that are named, too: nobody knows which were among them.
  expect((await all(later.$events({ task: handle.id, event: "e9" }))).map(short)).toEqual(["gap", "e9"]);
});

it("tells progress and lines of logs while a task runs", async () => {
  const { requestEndpoint } = await startBroker();
  const node = await tellingNode(requestEndpoint, "work");
  const handle: TaskHandle = connectAsync(requestEndpoint).work();
  const [progress, lines] = [all(handle.progress()), all(handle.logs())];
  const { id } = await node.next();
  node.log(id, "one", "two");
  node.emit(id, "progress", { fraction: 0.5, note: "half" });
  node.emit(id, "other", { fraction: 0.7 });
  await until("a line", async () => (await all(handle.logs({ follow: false }))).length === 2);
  node.log(id, "three");
  node.emit(id, "progress", { fraction: 1 });
  node.fail(id, "no");
  expect(await progress).toEqual([
    { fraction: 0.5, note: "half" },
    { fraction: 1, note: undefined },
  ]);
  const messages = (await lines).map(({ message, level, attempt }) => [message, level, attempt]);
  expect(messages).toEqual(["one", "two", "three"].map((message) => [message, "info", 1]));
  await expect(handle.wait()).rejects.toThrow("no");
});

it("tells the events of a method, and of all, with calls among them, to several who listen", async () => {
  const { requestEndpoint, publishEndpoint } = await startBroker();
  expect(publishEndpoint).not.toBe("");
  await startNode(requestEndpoint, (dispatcher) => {
    dispatcher.add("add", (a: number, b: number) => a + b);
    dispatcher.add("sub", (a: number, b: number) => a - b);
  });
  const client = connect(requestEndpoint);
  const other = connect(requestEndpoint);
  const loops = [
    take(client.$events({ method: "add", event: "status" }), 3),
    take(other.$events({ method: "add", event: "status" }), 3),
  ];
  const everything = take(other.$events(), 6);
  // A call is told of once the broker knows that somebody listens.
  const sums = new Set<string>();
  let isOver = false;
  void Promise.all([...loops, everything]).then(() => {
    isOver = true;
  });
  while (!isOver) sums.add(`${await client.add(1, 2)} ${await client.sub(1, 2)}`);
  expect([...sums]).toEqual(["3 -1"]);
  for (const events of await Promise.all(loops)) {
    expect(new Set(events.map(({ method }) => method))).toEqual(new Set(["add"]));
    expect(new Set(events.map(({ taskId }) => taskId)).size).toBeLessThanOrEqual(2);
  }
  expect(new Set((await everything).map(({ method }) => method))).toEqual(new Set(["add", "sub"]));
});

it("makes no events of calls that nobody listens to, and of none after the loop is left", async () => {
  const { requestEndpoint } = await startBroker();
  await startNode(requestEndpoint, (dispatcher) => dispatcher.add("add", (a: number, b: number) => a + b));
  const client = connect(requestEndpoint);
  const asked = async (): Promise<number> =>
    ((await client.$call("zerotask.broker.client_events", [null, "add"])) as { seq: number }).seq;
  await client.add(1, 2);
  expect(await asked()).toBe(0);
  const loop = take(client.$events({ method: "add" }), 1);
  let isOver = false;
  void loop.then(() => {
    isOver = true;
  });
  while (!isOver) await client.add(1, 2);
  await until("calls not to be told of", async () => {
    const before = await asked();
    await client.add(1, 2);
    return (await asked()) === before;
  });
});

it("sees every event once and in order, also where a slow loop falls behind by thousands", async () => {
  const { requestEndpoint } = await startBroker({ eventsPerTask: 100_000 });
  const node = await tellingNode(requestEndpoint, "work");
  const handle: TaskHandle = connectAsync(requestEndpoint).work();
  const { id } = await node.next();
  const numbers: unknown[] = [];
  let count = 0;
  const emit = (many: number): void => {
    for (let i = 0; i < many; i++) node.emit(id, "n", count++);
  };
  emit(10);
  for await (const { event, data } of handle.events()) {
    if (event === "gap") throw new Error("Expected nothing to be missing");
    if (event !== "n") continue;
    numbers.push(data);
    if (numbers.length === 10) {
      emit(9_990);
      await until("the broker to have them all", async () => {
        const [last] = (await take(handle.events(), 10_002)).slice(-1);
        return last?.data === 9_999;
      });
    }
    if (numbers.length === 10_000) node.finish(id);
  }
  expect(numbers).toEqual(Array.from({ length: 10_000 }, (_, i) => i));
});

it("tells where events are missing that the broker keeps no longer", async () => {
  const { requestEndpoint } = await startBroker({ eventsPerTask: 100 });
  const node = await tellingNode(requestEndpoint, "work");
  const handle: TaskHandle = connectAsync(requestEndpoint).work();
  const { id } = await node.next();
  const names: string[] = [];
  const later = connectAsync(requestEndpoint).$handle(handle.id);
  for await (const event of handle.events()) {
    names.push(short(event));
    if (event.event === "ASSIGNED" || names.length !== 2) continue;
    for (let i = 0; i < 5_000; i++) node.emit(id, `e${i}`);
    node.finish(id);
    await later.wait();
  }
  expect(names.slice(0, 2)).toEqual(["QUEUED", "ASSIGNED"]);
  const gap = names.indexOf("gap");
  expect(gap).toBeGreaterThan(1);
  // Those before it came as they were announced.
  expect(names.slice(2, gap)).toEqual(Array.from({ length: gap - 2 }, (_, i) => `e${i}`));
  expect(names.slice(gap + 1)).toEqual([
    ...Array.from({ length: 99 }, (_, i) => `e${4_901 + i}`),
    "FINISHED",
  ]);
});

it("follows a task where the publish socket is out of reach", async () => {
  const { requestEndpoint } = await startBroker();
  const node = await tellingNode(requestEndpoint, "work");
  const deaf = connectAsync(requestEndpoint, {
    listen: () => ({ subscribe: () => undefined, unsubscribe: () => undefined, close: () => undefined }),
  });
  const handle: TaskHandle = deaf.work();
  const told = all(handle.events());
  const lines = all(handle.logs());
  const { id } = await node.next();
  node.emit(id, "half");
  node.log(id, "one");
  node.finish(id);
  expect((await told).map(short)).toEqual(["QUEUED", "ASSIGNED", "half", "FINISHED"]);
  expect(await lines).toMatchObject([{ message: "one" }]);
});

it("ends loops when they are left from outside, and when the client is closed", async () => {
  const { requestEndpoint } = await startBroker({ graceMs: 10 });
  const client = connect(requestEndpoint);
  const left = client.$events()[Symbol.asyncIterator]();
  const pending = left.next();
  await left.return?.();
  expect(await pending).toEqual({ done: true, value: undefined });
  const closed = all(client.$events());
  await client.add(1, 2).catch(() => undefined);
  await client.$close();
  await expect(closed).rejects.toBeInstanceOf(ClientClosedError);
  await expect(all(client.$events())).rejects.toBeInstanceOf(ClientClosedError);
});

it("rejects as the task does that was not accepted", async () => {
  const { requestEndpoint } = await startBroker({ maxTasks: 1 });
  const later = connectAsync(requestEndpoint);
  await later.work().accepted;
  await expect(all(later.work().events())).rejects.toThrow("as many tasks as it may");
});
