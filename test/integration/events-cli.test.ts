// Events, logs and progress between real processes, also where one of them is killed.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { Subscriber } from "zeromq";
import type { TaskEvent, TaskHandle } from "zerotask-client";
import { connect, connectAsync, startBroker } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import { end, root, runToEnd, start } from "../support/processes.ts";
import { all, tellingNode } from "../support/telling-node.ts";
import { until } from "../support/wait.ts";

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "zerotask-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

const portOf = (endpoint: string): string => endpoint.slice(endpoint.lastIndexOf(":") + 1);

interface Running {
  readonly out: () => string;
  readonly lines: () => string[];
  signal(signal: NodeJS.Signals): Promise<number | null>;
  readonly ended: Promise<number | null>;
}

/** A command line of the client that goes on. */
function startClient(...args: string[]): Running {
  const bin = join(root, "packages/client/bin/zerotask-client.js");
  const child = spawn(process.execPath, [bin, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let out = "";
  child.stdout.on("data", (data: Buffer) => {
    out += data;
  });
  const ended = once(child, "close").then(([code]) => code as number | null);
  return {
    out: () => out,
    lines: () => out.split("\n").slice(0, -1),
    signal: (signal) => {
      child.kill(signal);
      return ended;
    },
    ended,
  };
}

it("tells every event once and in order, though the broker is killed and started again meanwhile", async () => {
  const data = await temporaryFolder();
  const [port, publishPort] = [String(await freePort()), String(await freePort())];
  const args = ["--data", data, "-r", port, "-p", publishPort] as const;
  const first = await start("broker", ...args);
  const endpoint = `tcp://127.0.0.1:${port}`;
  const node = await tellingNode(endpoint, "work");
  const later = connectAsync(endpoint);
  const handle: TaskHandle = later.work();
  const seen: TaskEvent[] = [];
  const ofMethod: TaskEvent[] = [];
  void (async () => {
    for await (const event of connect(endpoint).$events({ method: "work" })) ofMethod.push(event);
  })().catch(() => undefined);
  const ended = (async () => {
    for await (const event of handle.events()) seen.push(event);
  })();
  const { id } = await node.next();
  const numbers = (events: readonly TaskEvent[]): unknown[] =>
    events.filter(({ event }) => event === "n").map((event) => event.data);
  let count = 0;
  const emit = (): void => {
    for (let i = 0; i < 100; i++) node.emit(id, "n", count++);
  };
  const bothSee = (many: number): Promise<void> =>
    until("both loops to see what was emitted", () =>
      [seen, ofMethod].every((events) => numbers(events).length >= many),
    );
  emit();
  await until("a loop to see it", () => numbers(seen).length === 100);
  await end(first.child, "SIGKILL");
  await start("broker", ...args);
  await until("the task to be adopted", async () => (await handle.status()) === "RUNNING");
  emit();
  await bothSee(200);
  node.finish(id);
  await ended;
  const statuses = seen
    .filter(({ event }) => event === "status")
    .map((e) => (e.data as { status: string }).status);
  expect(statuses).toEqual(["QUEUED", "ASSIGNED", "RUNNING", "FINISHED"]);
  for (const events of [seen, ofMethod]) {
    expect(numbers(events)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    const seqs = events.map(({ seq }) => seq);
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
  }
}, 40_000);

it("says hello to a second subscriber of one prefix, too", async () => {
  const { publishEndpoint } = await startBroker();
  for (let i = 0; i < 3; i++) {
    const socket = new Subscriber({ linger: 0, receiveTimeout: 3_000 });
    onTestFinished(() => socket.close());
    socket.connect(publishEndpoint);
    socket.subscribe('{"jsonrpc":"2.0","method":"zerotask.broker.hello"');
    const begin = performance.now();
    const [frame] = await socket.receive();
    expect(JSON.parse(String(frame))).toMatchObject({ params: { epoch: expect.any(String), seq: 0 } });
    // The one that comes every 5 s is not what was waited for.
    expect(performance.now() - begin).toBeLessThan(2_000);
  }
});

it("prints events in two processes, until a signal or the end of the task", async () => {
  const { requestEndpoint } = await startBroker();
  const port = portOf(requestEndpoint);
  const node = await tellingNode(requestEndpoint, "work", "other");
  const later = connectAsync(requestEndpoint);
  const handle: TaskHandle = later.work();
  const { id } = await node.next();
  node.emit(id, "half", [1]);
  const json = startClient("-r", port, "events", "--task", handle.id, "--json");
  const text = startClient("-r", port, "events", "--method", "work", "--event", "more");
  await until("the first events", () => json.lines().length === 3);
  await until("both processes to listen", () => {
    node.emit(id, "more");
    return text.lines().length > 0;
  });
  expect(text.lines()[0]).toMatch(new RegExp(`^\\d{4}-.*Z work ${handle.id} more$`));
  expect(await text.signal("SIGINT")).toBe(0);
  node.finish(id);
  expect(await json.ended).toBe(0);
  const events = json.lines().map((line) => JSON.parse(line));
  expect(events.map(({ event }) => event).filter((name) => name !== "more")).toEqual([
    ...["status", "status", "half", "status"],
  ]);
  expect(events[2]).toMatchObject({ taskId: handle.id, method: "work", data: [1] });
  // All of them, also those that were emitted before it listened.
  const kept = await all(handle.events());
  expect(events.map(({ seq }) => seq)).toEqual(kept.map(({ seq }) => seq));
});

it("prints the lines that a task logged, and follows them", async () => {
  const { requestEndpoint } = await startBroker();
  const port = portOf(requestEndpoint);
  const node = await tellingNode(requestEndpoint, "work");
  const handle: TaskHandle = connectAsync(requestEndpoint).work();
  const { id } = await node.next();
  node.log(id, "one");
  await until("the line", async () => (await all(handle.logs({ follow: false }))).length === 1);
  const { code, out } = await runToEnd("client", "-r", port, "logs", handle.id);
  expect(code).toBe(0);
  expect(out).toMatch(/^\d{4}-.*Z INFO {2}one\n$/);
  const follower = startClient("-r", port, "logs", handle.id, "--follow", "--json");
  await until("the first line", () => follower.lines().length === 1);
  node.log(id, "two");
  node.finish(id);
  expect(await follower.ended).toBe(0);
  expect(follower.lines().map((line) => JSON.parse(line).message)).toEqual(["one", "two"]);
  expect(await runToEnd("client", "-r", port, "logs", "nobody-1")).toMatchObject({
    code: 1,
    err: expect.stringContaining("nobody-1"),
  });
});

it("prints progress as lines where there is no terminal, and then the result", async () => {
  const { requestEndpoint } = await startBroker();
  const port = portOf(requestEndpoint);
  const node = await tellingNode(requestEndpoint, "work");
  const work = async (finish: (id: string) => void): Promise<void> => {
    const { id, params } = await node.next();
    expect(params).toEqual([1]);
    node.emit(id, "progress", { fraction: 0.25, note: "a quarter" });
    node.emit(id, "progress", { fraction: 0.25, note: "a quarter" });
    node.emit(id, "progress", { fraction: 1 });
    finish(id);
  };
  const worked = work((id) => node.finish(id, { rows: 3 }));
  expect(await runToEnd("client", "-r", port, "--progress", "work", "1")).toEqual({
    code: 0,
    out: '{\n  "rows": 3\n}\n',
    err: "25 % a quarter\n100 %\n",
  });
  await worked;
  const failed = work((id) => node.fail(id, "no room"));
  const { code, err } = await runToEnd("client", "-r", port, "--progress", "work", "1");
  expect([code, err.split("\n").slice(-2)]).toEqual([1, ["Error: no room", ""]]);
  await failed;
});

it("prints what a handler throws as one line that controls no terminal", async () => {
  const { requestEndpoint } = await startBroker();
  const node = await tellingNode(requestEndpoint, "work");
  const ended = runToEnd("client", "-r", portOf(requestEndpoint), "work");
  node.fail((await node.next()).id, "bad \u001b[31mred\u001b[2J\nsecond line");
  expect(await ended).toEqual({ code: 1, out: "", err: "Error: bad  [31mred [2J second line\n" });
});

it("prints the result where nobody reads the progress any more", async () => {
  const { requestEndpoint } = await startBroker();
  const node = await tellingNode(requestEndpoint, "work");
  const bin = join(root, "packages/client/bin/zerotask-client.js");
  const child = spawn(process.execPath, [bin, "-r", portOf(requestEndpoint), "--progress", "work"]);
  onTestFinished(() => void child.kill("SIGKILL"));
  let out = "";
  child.stdout.on("data", (data: Buffer) => {
    out += data;
  });
  const ended = once(child, "close");
  const { id } = await node.next();
  node.emit(id, "progress", { fraction: 0.25 });
  await once(child.stderr, "data");
  child.stderr.destroy();
  for (const fraction of [0.5, 0.75, 1]) node.emit(id, "progress", { fraction });
  node.finish(id, 3);
  expect([(await ended)[0], out]).toEqual([0, "3\n"]);
});

it("tells the task's id where a signal ends the wait for its result", async () => {
  const { requestEndpoint } = await startBroker();
  const node = await tellingNode(requestEndpoint, "work");
  const bin = join(root, "packages/client/bin/zerotask-client.js");
  const child = spawn(process.execPath, [bin, "-r", portOf(requestEndpoint), "--progress", "work"]);
  onTestFinished(() => void child.kill("SIGKILL"));
  let err = "";
  child.stderr.on("data", (data: Buffer) => {
    err += data;
  });
  const { id } = await node.next();
  node.emit(id, "progress", { fraction: 0.5 });
  await until("the progress", () => err === "50 %\n");
  expect((await end(child, "SIGINT")).code).toBe(130);
  const [, told] = /^50 %\nThe task goes on: (\S+)\n$/.exec(err) ?? [];
  expect(told).toBe(id.split("#")[0]);
  node.finish(id);
  expect(await runToEnd("client", "-r", portOf(requestEndpoint), "status", told ?? "")).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^[A-Z]+\n$/),
  });
});

it("ends quietly when nobody reads any more", async () => {
  const { requestEndpoint } = await startBroker();
  const port = portOf(requestEndpoint);
  const node = await tellingNode(requestEndpoint, "work");
  const handle: TaskHandle = connectAsync(requestEndpoint).work();
  const { id } = await node.next();
  for (const args of [
    ["events", "--task", handle.id],
    ["logs", handle.id, "--follow"],
  ]) {
    const bin = join(root, "packages/client/bin/zerotask-client.js");
    const child = spawn(process.execPath, [bin, "-r", port, ...args]);
    onTestFinished(() => void child.kill("SIGKILL"));
    let err = "";
    child.stderr.on("data", (data: Buffer) => {
      err += data;
    });
    node.log(id, "line");
    await once(child.stdout, "data");
    child.stdout.destroy();
    const closed = once(child, "close");
    await until("it to end", () => {
      node.emit(id, "n");
      node.log(id, "line");
      return child.exitCode !== null;
    });
    await closed;
    expect([child.exitCode, err]).toEqual([0, ""]);
  }
  node.finish(id);
});

it("prints what handlers tell on one line each, without what controls a terminal", async () => {
  const { requestEndpoint } = await startBroker();
  const port = portOf(requestEndpoint);
  const node = await tellingNode(requestEndpoint, "work");
  const handle: TaskHandle = connectAsync(requestEndpoint).work();
  const { id } = await node.next();
  const evil = "a\n\u001b[2Jb\u009b2Jc\u2028d";
  node.emit(id, `x${evil}`, evil);
  node.log(id, evil);
  node.finish(id);
  await handle.wait();
  const events = await runToEnd("client", "-r", port, "events", "--task", handle.id);
  expect(events.out.split("\n").filter((line) => line.includes("[2J"))).toEqual([
    expect.stringMatching(/ xa \[2Jb 2Jc d "a\\n\\u001b\[2Jb\\u009b2Jc\\u2028d"$/),
  ]);
  const logs = await runToEnd("client", "-r", port, "logs", handle.id);
  expect(logs.out).toMatch(/ a \[2Jb 2Jc d\n$/);
  const json = await runToEnd("client", "-r", port, "logs", handle.id, "--json");
  expect(json.out).toMatch(/^[\x20-\x7e]+\n$/);
  expect(JSON.parse(json.out)).toMatchObject({ message: evil });
});

it("stops, starts and reloads tasks, and calls methods named like commands", async () => {
  const { requestEndpoint } = await startBroker();
  const port = portOf(requestEndpoint);
  const node = await tellingNode(requestEndpoint, "work", "status");
  const handle: TaskHandle = connectAsync(requestEndpoint).$with({ at: "1 hour" }).work(1);
  await handle.accepted;
  const run = (...args: string[]) => runToEnd("client", "-r", port, ...args);
  expect(await run("status", handle.id)).toEqual({ code: 0, out: "SCHEDULED\n", err: "" });
  expect(await run("stop", handle.id, "--grace", "10")).toEqual({ code: 0, out: "never-started\n", err: "" });
  expect(await handle.status()).toBe("STOPPED");
  expect(await run("start", handle.id)).toMatchObject({ code: 0, err: "" });
  const started = await node.next();
  expect(started.params).toEqual([1]);
  node.finish(started.id);
  expect(await run("start", handle.id)).toMatchObject({ code: 1, out: "" });
  expect(await run("reload", handle.id, "[2]", "--force")).toMatchObject({ code: 0, err: "" });
  const reloaded = await node.next();
  expect(reloaded.params).toEqual([2]);
  node.finish(reloaded.id);
  expect(await run("reload", handle.id, "2")).toMatchObject({
    code: 1,
    err: expect.stringContaining("a JSON array"),
  });
  const called = run("call", "status");
  node.finish((await node.next()).id, "of a method");
  expect((await called).out).toBe('"of a method"\n');
});

it("draws a bar on a terminal", async () => {
  const { progressBar } = await import("../../packages/client/src/command-line/progress-bar.ts");
  let drawn = "";
  const terminal = {
    isTTY: true,
    columns: 80,
    write: (text: string) => {
      drawn += text;
      return true;
    },
    on: () => undefined,
    once: () => undefined,
    removeListener: () => undefined,
  };
  const bar = await progressBar(terminal as unknown as NodeJS.WriteStream);
  bar.show({ fraction: 0.4, note: "resizing\u001b[2J" });
  bar.end();
  // The cursor is shown again.
  expect(drawn.lastIndexOf("\u001b[?25h")).toBeGreaterThan(drawn.lastIndexOf("\u001b[?25l"));
  const { length } = drawn;
  bar.end();
  expect(drawn.length).toBe(length);
  expect(drawn).toContain("40 % resizing");
  expect(drawn).not.toContain("\u001b[2J");
});

it("logs in the form and to the files that it is told", async () => {
  const folder = await temporaryFolder();
  const files = [join(folder, "a.log"), join(folder, "deep", "b.log")] as const;
  const bin = join(root, "packages/broker/bin/zerotask-broker.js");
  const args = ["--memory", "-r", "0", "-p", "0", "-l", "info", "--log-format", "pretty"];
  const more = files.flatMap((file) => ["--log-file", file]);
  const child = spawn(process.execPath, [bin, ...args, ...more], { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let err = "";
  child.stderr.on("data", (data: Buffer) => {
    err += data;
  });
  await once(child.stdout, "data");
  await end(child, "SIGTERM");
  expect(err).toMatch(/INFO.*broker is ready/);
  for (const file of files) {
    const lines = (await readFile(file, "utf8")).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual([
      "broker is ready",
      "stopping",
      "broker is stopped",
    ]);
  }
  expect(await runToEnd("node", "--log-format", "xml")).toMatchObject({
    code: 1,
    err: expect.stringContaining("pretty"),
  });
});
