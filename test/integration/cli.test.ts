import { existsSync } from "node:fs";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { end, freePort, root, runToEnd, start } from "../support/processes.ts";
import { until } from "../support/wait.ts";
import { watched } from "../support/watched.ts";

async function startBroker(...args: string[]): Promise<string> {
  const { line } = await start("broker", "--memory", "-r", "0", "-p", "0", ...args);
  return /requests at tcp:\/\/127\.0\.0\.1:(\d+), announcements at tcp:/.exec(line)?.[1] ?? line;
}

/** A folder outside of the checkout with modules in it, as a user would have it. */
async function folderWith(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "zerotask-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

it("prints 11: a broker, a node without modules and a client", async () => {
  const port = await startBroker();
  const { line } = await start("node", "-r", port);
  expect(line).toBe(`zerotask-node is ready: takes tasks from tcp://127.0.0.1:${port}, serves add, subtract`);
  expect(await runToEnd("client", "-r", port, "add", "5", "6")).toEqual({ code: 0, out: "11\n", err: "" });
  expect(await runToEnd("client", "-r", port, "call", "subtract", "5", "6")).toEqual({
    code: 0,
    out: "-1\n",
    err: "",
  });
  expect(await runToEnd("client", "subtract", "5", "-6", "-r", port)).toMatchObject({ code: 0, out: "11\n" });
});

it("takes each argument as JSON, or else as a string", async () => {
  const folder = await folderWith({
    "tasks.mjs": 'import { task } from "zerotask-core"; task("all", (...args) => args);',
  });
  const port = await startBroker();
  await start("node", "-r", port, join(folder, "tasks.mjs"));
  const { out } = await runToEnd("client", "-r", port, "all", "1", '"1"', "one two", '{"a":[null]}', "true");
  expect(JSON.parse(out)).toEqual([1, "1", "one two", { a: [null] }, true]);
});

it("serves modules in TypeScript and JavaScript, and directories of them", async () => {
  const folder = await folderWith({
    "a.ts": `import { task } from "zerotask-core";
      export class Calculator {
        #calls: number = 0;
        @task add(a: number, b: number): number { this.#calls++; return a + b; }
        @task({ name: "math.calls" }) calls(): number { return this.#calls; }
      }`,
    "b.js": 'import { task } from "zerotask-core"; task("b", () => "js");',
    "c.mjs": 'import { task } from "zerotask-core"; task("c", () => "mjs");',
    "package.json": '{ "type": "module" }',
    "ignored.test.ts": "throw new Error('must not be loaded');",
    "README.md": "no module",
  });
  const port = await startBroker();
  const { line } = await start("node", "-r", port, folder);
  expect(line).toMatch(/serves (?=.*\badd\b)(?=.*\bmath\.calls\b)(?=.*\bb\b)(?=.*\bc\b)/);
  expect((await runToEnd("client", "-r", port, "add", "1", "2")).out).toBe("3\n");
  expect((await runToEnd("client", "-r", port, "math.calls")).out).toBe("1\n");
});

it("serves a TypeScript module from a folder without a package.json", async () => {
  const folder = await folderWith({
    "calculator.ts": `import { task } from "zerotask-core";
      export class Calculator { @task add(a: number, b: number) { return a + b; } }`,
  });
  const port = await startBroker();
  await start("node", "-r", port, join(folder, "calculator.ts"));
  expect((await runToEnd("client", "-r", port, "add", "5", "6")).out).toBe("11\n");
});

it("runs broker tasks from modules given to the broker", async () => {
  const folder = await folderWith({
    "hot.ts":
      'import { task } from "zerotask-core"; export const hot = task("broker.new_hotness", (): number => 42);',
  });
  const port = await startBroker(join(folder, "hot.ts"));
  expect((await runToEnd("client", "-r", port, "broker.new_hotness")).out).toBe("42\n");
});

it.each<["broker" | "node", NodeJS.Signals]>([
  ["broker", "SIGINT"],
  ["broker", "SIGTERM"],
  ["node", "SIGINT"],
  ["node", "SIGTERM"],
])("ends a %s within 2 s of %s, with exit code 0", async (name, signal) => {
  const port = await startBroker();
  const args = name === "broker" ? ["-r", "0", "-p", "0"] : ["-r", port];
  const { child } = await start(name, ...args);
  const { code, ms } = await end(child, signal);
  expect(code).toBe(0);
  expect(ms).toBeLessThan(2_000);
});

it("closes what modules provide before it exits, also where that takes longer than the drain", async () => {
  const folder = await folderWith({
    "slow.mjs": `import { writeFileSync } from "node:fs";
      import { task } from "zerotask-core";
      export function configure(node) {
        node.provide("db", () => 1, async () => {
          await new Promise((resolve) => setTimeout(resolve, 2_000));
          writeFileSync(new URL("closed", import.meta.url), "");
        });
      }
      task("one", () => 1);`,
  });
  const port = await startBroker();
  const { child } = await start("node", "-r", port, "--drain", "0", join(folder, "slow.mjs"));
  expect((await end(child, "SIGTERM")).code).toBe(0);
  expect(existsSync(join(folder, "closed"))).toBe(true);
});

it("prints errors on stderr, with exit code 1", async () => {
  const folder = await folderWith({
    "fail.mjs":
      'import { task } from "zerotask-core"; task("fail", () => { throw new RangeError("too much"); });',
    "empty.mjs": "export {};",
  });
  const port = await startBroker();
  await start("node", "-r", port, join(folder, "fail.mjs"));
  expect(await runToEnd("client", "-r", port, "fail")).toEqual({
    code: 1,
    out: "",
    err: "RangeError: too much\n",
  });
  expect(await runToEnd("client", "-r", port, "-t", "50", "nobody")).toMatchObject({
    code: 1,
    err: "No outcome of nobody within 50 ms\n",
  });
  expect(await runToEnd("client", "-r", "abc", "add")).toMatchObject({
    code: 1,
    err: "Expected `--request-port` to be a port from 0 to 65535, got 'abc'\n",
  });
  expect(await runToEnd("node", "-x", "0")).toMatchObject({
    code: 1,
    err: "Expected `slots` to be a positive integer, got 0\n",
  });
  expect(await runToEnd("node", join(folder, "nothing.ts"))).toMatchObject({
    code: 1,
    err: expect.stringContaining("found nothing at"),
  });
  expect(await runToEnd("node", join(folder, "empty.mjs"))).toMatchObject({
    code: 1,
    err: expect.stringContaining("Expected modules with tasks, got none"),
  });
  expect(await runToEnd("broker", "--memory", "-r", port)).toMatchObject({
    code: 1,
    err: expect.stringContaining("Address already in use"),
  });
  expect(await runToEnd("broker", "-l", "loud")).toMatchObject({
    code: 1,
    err: expect.stringContaining("silent"),
  });
});

it("says why it ends where a module waits for what can't come any more", async () => {
  const never = "new Promise(() => undefined)";
  const folder = await folderWith({
    "load.mjs": `await ${never};`,
    "configure.mjs": `export const configure = () => ${never};`,
    "open.mjs": `import { task } from "zerotask-core";
      export const one = task("one", () => 1);
      export const configure = (node) => node.provide("db", () => ${never});`,
  });
  for (const name of ["load.mjs", "configure.mjs", "open.mjs"]) {
    expect(await runToEnd("node", join(folder, name)), name).toMatchObject({
      code: 13,
      out: "",
      err: expect.stringContaining("a promise among them that nothing is left to settle"),
    });
  }
});

it("gives up on a broker that is not there", async () => {
  const port = await freePort();
  const ended = await runToEnd("client", "-r", String(port), "-t", "300", "add", "1", "2");
  expect(ended).toMatchObject({ code: 1, out: "" });
});

it("does not say that a node is ready that is ended before any broker was there", async () => {
  const node = watched("node", "-r", `${await freePort()}`);
  await until("it to look for a broker", () => node.err().includes("not connected"));
  node.child.kill("SIGTERM");
  expect(await node.ended()).toBe(0);
  expect(node.out).toEqual([]);
});

it("refuses what is said of isolated workers where there would be none", async () => {
  const folder = await folderWith({
    "tasks.mjs": 'import { task } from "zerotask-core"; task("one", () => 1);',
  });
  for (const [args, expected] of [
    [["--isolate", "thread"], "Expected modules beside --isolate thread"],
    [["-w", "2"], "Expected modules beside --workers"],
    [["--max-memory", "64"], "Expected modules beside --max-memory"],
    [["--max-memory", "64", join(folder, "tasks.mjs")], "beside --max-memory: no method"],
    [["--isolate", "none", "-w", "2", join(folder, "tasks.mjs")], "beside --workers: no method"],
  ] as const) {
    expect(await runToEnd("node", ...args)).toMatchObject({
      code: 1,
      err: expect.stringContaining(expected),
    });
  }
  expect(await runToEnd("broker", "--memory", "--events-kept", "0")).toMatchObject({
    code: 1,
    err: "Expected `--events-kept` to be a positive integer, got 0\n",
  });
}, 40_000);
