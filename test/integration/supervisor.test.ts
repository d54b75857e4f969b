// Several node processes under one supervisor, and modules that change while they are served.

import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Client } from "zerotask-client";
import { nameOf } from "../../packages/node/src/supervisor/names.ts";
import { watchModules } from "../../packages/node/src/supervisor/watcher.ts";
import { connect, connectAsync, startBroker } from "../support/cluster.ts";
import { root, runToEnd } from "../support/processes.ts";
import { until } from "../support/wait.ts";
import { folderWith, isAlive, tellingModule, type Watched, watched } from "../support/watched.ts";

/** What is seen to change in a folder until the test ends, and what goes wrong with that. */
async function watchedChanges(folder: string): Promise<string[]> {
  const seen: string[] = [];
  const stopWatching = await watchModules([folder], {
    onChange: (path) => seen.push(path),
    onError: (error) => seen.push(String(error)),
  });
  onTestFinished(stopWatching);
  return seen;
}

interface Served {
  readonly node: Watched;
  readonly client: Client;
  readonly endpoint: string;
  readonly port: string;
  readonly folder: string;
  /** Serves this text from now on. */
  change(text: string): Promise<void>;
}

/** A broker, and a supervisor that serves a module of this test. */
async function serve(...flags: readonly string[]): Promise<Served> {
  const { requestEndpoint: endpoint } = await startBroker();
  const folder = await folderWith({ "tasks.mjs": tellingModule(1), "package.json": '{ "type": "module" }' });
  const port = endpoint.slice(endpoint.lastIndexOf(":") + 1);
  const file = join(folder, "tasks.mjs");
  const node = watched("node", "-r", port, ...flags, file);
  await node.printed("is ready");
  const client = connect(endpoint, { timeoutMs: 10_000 });
  return { ...{ node, client, endpoint, port, folder }, change: (text) => writeFile(file, text) };
}

/** The processes that answer, once there are so many of them besides some. */
async function pids(client: Client, count: number, besides: readonly number[] = []): Promise<number[]> {
  const found = new Set<number>();
  await until(`${count} processes`, async () => {
    const calls = Array.from({ length: 10 }, () => client.who() as Promise<number>);
    for (const pid of await Promise.all(calls)) if (!besides.includes(pid)) found.add(pid);
    return found.size >= count;
  });
  return [...found];
}

describe("several processes", () => {
  it("serve side by side, and one that is killed is started again", async () => {
    const { node, client } = await serve("--processes", "2");
    expect(node.out).toEqual([
      expect.stringMatching(/is ready: takes tasks from tcp:.*, serves who, version, slow, in 2 processes$/),
    ]);
    const [first = 0, second = 0] = await pids(client, 2);
    process.kill(first, "SIGKILL");
    const [third = 0] = await pids(client, 1, [first, second]);
    expect(third).not.toBe(first);
    expect(isAlive(second)).toBe(true);
    expect(node.err()).toContain("a process crashed, and is started again");
    node.child.kill("SIGTERM");
    expect(await node.ended()).toBe(0);
    expect([second, third].map(isAlive)).toEqual([false, false]);
  });

  it("have names of their own, that nobody else gets", async () => {
    const { port } = await serve("--processes", "2", "--name", "crew");
    const ended = await runToEnd("node", "-r", port, "-n", "crew-2");
    expect(ended).toMatchObject({ code: 1, err: expect.stringContaining('got "crew-2"') });
    expect(nameOf({ name: undefined, isNumbered: true }, 2, 1)).toBe(`${hostname()}-2`);
    expect(nameOf({ name: "crew", isNumbered: true }, 2, 3)).toBe("crew-2.3");
    expect(nameOf({ name: "crew", isNumbered: false }, 1, 2)).toBe("crew.2");
    expect(nameOf({ name: undefined, isNumbered: false }, 1, 2)).toBe(undefined);
  });

  it("leave, and finish what they run, when their supervisor is killed", async () => {
    const { node, client, endpoint, folder } = await serve("--processes", "2", "--drain", "10000");
    const both = await pids(client, 2);
    const slow = connectAsync(endpoint).slow();
    await until("the run", async () => (await slow.status()) === "RUNNING");
    node.child.kill("SIGKILL");
    await until("one to leave", () => both.filter(isAlive).length === 1);
    await writeFile(join(folder, "go"), "");
    expect(await slow.wait()).toBe(1);
    await until("both to leave", () => !both.some(isAlive));
  });

  it("end when their supervisor is killed before they have begun", async () => {
    const script = join(root, "packages/node/bin/zerotask-node.js");
    const { requestEndpoint } = await startBroker();
    const port = requestEndpoint.slice(requestEndpoint.lastIndexOf(":") + 1);
    const child = fork(script, ["--supervised", "", "-r", port]);
    onTestFinished(() => void child.kill("SIGKILL"));
    child.disconnect();
    await until("its end", () => child.exitCode !== null, 10_000);
    expect(child.exitCode).toBe(0);
  });

  it("end when their supervisor is killed, though they are busy for ever", async () => {
    const supervised = new URL("../../packages/node/dist/supervisor/supervised.js", import.meta.url).href;
    const folder = await folderWith({
      "supervisor.mjs": `import { fork } from "node:child_process";
        const child = fork(new URL("supervised.mjs", import.meta.url));
        child.once("message", () => console.log(child.pid));`,
      "supervised.mjs": `import { Supervision } from ${JSON.stringify(supervised)};
        new Supervision({ error: console.error }, 300);
        process.send("busy", () => { for (;;); });`,
    });
    const supervisor = spawn(process.execPath, [join(folder, "supervisor.mjs")], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void supervisor.kill("SIGKILL"));
    const [pid] = (await once(supervisor.stdout, "data", { signal: AbortSignal.timeout(10_000) })).map(
      Number,
    );
    if (pid === undefined || !isAlive(pid)) throw new Error("Expected a process that is busy");
    onTestFinished(() => void (isAlive(pid) && process.kill(pid, "SIGKILL")));
    supervisor.kill("SIGKILL");
    await until("its end", () => !isAlive(pid), 10_000);
  });

  it("leave when nothing is left to do, and so does their supervisor", async () => {
    const { requestEndpoint: endpoint } = await startBroker();
    const later = connectAsync(endpoint);
    const handles = Array.from({ length: 30 }, (_, i) => later.add(i, 1));
    await Promise.all(handles.map(({ accepted }) => accepted));
    const port = endpoint.slice(endpoint.lastIndexOf(":") + 1);
    const node = watched("node", "-r", port, "--processes", "2", "--exit-when-empty");
    expect(await node.ended()).toBe(0);
    expect(node.out.at(-1)).toBe("zerotask-node leaves: nothing that it serves is queued or due");
    const statuses = await Promise.all(handles.map((handle) => handle.status()));
    expect(statuses).toEqual(handles.map(() => "FINISHED"));
  });

  it("are not started again and again when their module can't be loaded", async () => {
    const { requestEndpoint: endpoint } = await startBroker();
    const folder = await folderWith({ "bad.mjs": "this is no module" });
    const port = endpoint.slice(endpoint.lastIndexOf(":") + 1);
    const ended = await runToEnd("node", "-r", port, "--processes", "2", join(folder, "bad.mjs"));
    expect(ended).toMatchObject({ code: 1, out: "", err: expect.stringContaining("SyntaxError") });
  });

  it("are started again and again when a resource can't be opened, until it can", async () => {
    const { requestEndpoint: endpoint } = await startBroker();
    const folder = await folderWith({
      "db.mjs": `import { existsSync } from "node:fs";
        import { task } from "zerotask-core";
        export function configure(node) {
          node.provide("db", () => {
            if (!existsSync(new URL("up", import.meta.url))) throw new Error("the database is away");
          });
        }
        task("who", () => process.pid);`,
      "package.json": '{ "type": "module" }',
    });
    const port = endpoint.slice(endpoint.lastIndexOf(":") + 1);
    const node = watched("node", "-r", port, "--processes", "2", join(folder, "db.mjs"));
    await until("both to crash", () => node.err().split("the database is away").length > 2);
    await writeFile(join(folder, "up"), "");
    await node.printed("is ready");
    node.child.kill("SIGTERM");
    expect(await node.ended()).toBe(0);
  });

  it("are refused with a number that makes no sense", async () => {
    for (const count of ["0", "many", "100000"])
      expect(await runToEnd("node", "--processes", count)).toMatchObject({
        code: 1,
        err: expect.stringContaining("Expected `--processes` to be"),
      });
    expect(await runToEnd("node", "--watch")).toMatchObject({
      code: 1,
      err: "Expected modules to watch, got none\n",
    });
  });
});

describe("--watch", () => {
  it("serves changed modules, while what runs ends on the old ones", async () => {
    const { node, client, endpoint, folder, change } = await serve(
      ...["--watch", "--name", "worker", "--drain", "0"],
    );
    const old = (await client.who()) as number;
    const slow = connectAsync(endpoint).slow();
    await until("the run", async () => (await slow.status()) === "RUNNING");
    await change(tellingModule(2));
    // Each of these calls is answered: there is always a node that serves.
    await until("the new version", async () => (await client.version()) === 2);
    expect(isAlive(old)).toBe(true);
    expect(await slow.status()).toBe("RUNNING");
    await writeFile(join(folder, "go"), "");
    expect(await slow.wait()).toBe(1);
    await until("the old one's end", () => !isAlive(old));
    expect(await client.version()).toBe(2);
    node.child.kill("SIGINT");
    expect(await node.ended()).toBe(0);
  });

  it("goes on with the old modules when the changed ones can't be loaded, until they can", async () => {
    const { node, client, change } = await serve("--watch", "--processes", "2");
    const before = await pids(client, 2);
    await change("this is no module");
    await until("the errors", () => node.err().split("the old ones go on").length === 3);
    expect(node.err()).toContain("SyntaxError");
    expect((await pids(client, 2)).sort()).toEqual(before.sort());
    await change(tellingModule(3));
    await until("the old ones' end", () => !before.some(isAlive));
    expect(await client.version()).toBe(3);
  });

  it("sees modules in a folder that was removed for a while", async () => {
    const folder = join(await folderWith({}), "built");
    const file = join(folder, "tasks.mjs");
    const build = async (): Promise<void> => {
      await mkdir(folder);
      await writeFile(file, "");
    };
    await build();
    const seen = await watchedChanges(folder);
    for (let times = 0; times < 2; times++) {
      await rm(folder, { recursive: true });
      // So long that it is taken for gone, rather than for replaced.
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      seen.length = 0;
      await build();
      await until("the folder", () => seen.includes(folder));
      seen.length = 0;
      await writeFile(file, "export const changed = true;");
      await until("the change", () => seen.includes(file));
    }
  });

  it("sees modules in a folder that was removed and made again at once", async () => {
    const folder = join(await folderWith({}), "built");
    const file = join(folder, "tasks.mjs");
    await mkdir(folder);
    const seen = await watchedChanges(folder);
    for (let times = 0; times < 5; times++) {
      await rm(folder, { recursive: true });
      // So soon that nobody looked meanwhile; the system may number both folders alike.
      await new Promise((resolve) => setTimeout(resolve, 60));
      await mkdir(folder);
      await writeFile(file, "");
      seen.length = 0;
      // That it came may be seen without its being watched.
      await until("several changes", async () => {
        await writeFile(file, `export const changed = ${performance.now()};`);
        return seen.filter((path) => path === file).length > 3;
      });
    }
  });

  it("sees what a module imports from beside it, and nothing of packages", async () => {
    const { node, client, folder, change } = await serve("--watch", "-l", "info");
    await writeFile(join(folder, "number.mjs"), "export const number = 5;");
    await change(
      `import { task } from "zerotask-core"; import { number } from "./number.mjs"; task("version", () => number);`,
    );
    await until("the new module", async () => (await client.version()) === 5);
    await writeFile(join(folder, "number.mjs"), "export const number = 6;");
    await until("the new import", async () => (await client.version()) === 6);
    expect(node.err()).not.toContain("node_modules");
  });
});
