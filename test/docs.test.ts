// Every example in README.md and docs/ is run as it stands, and gives the values its comments tell.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { root, runToEnd, start } from "./support/processes.ts";

interface Block {
  readonly language: string;
  readonly code: string;
}

async function blocksOf(path: string): Promise<Block[]> {
  const text = await readFile(join(root, path), "utf8");
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language = "", code = ""]) => ({
    language,
    code,
  }));
}

/** `await …; // value` becomes an assertion, where the value is JSON. */
function withAssertions(code: string): string {
  return code.replace(/^(?:const \w+ = )?await (.*); \/\/ (.+)$/gm, (line, call, value) => {
    try {
      return `assert.deepEqual(await ${call}, ${JSON.stringify(JSON.parse(value))});`;
    } catch {
      return line;
    }
  });
}

const defaultEndpoint = '"tcp://127.0.0.1:5555"';

/** A folder as a user's project would be, with the document's modules in it, served by a broker and a node. */
async function setUp(blocks: readonly Block[]): Promise<{ folder: string; port: string }> {
  const folder = await mkdtemp(join(tmpdir(), "zerotask-docs-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  const modules: string[] = [];
  for (const { code } of blocks) {
    const name = /^\/\/ ([\w-]+\.ts)\b/.exec(code)?.[1];
    if (name === undefined) continue;
    modules.push(join(folder, name));
    await writeFile(join(folder, name), code);
  }
  const broker = await start("broker", "--memory", "-r", "0", "-p", "0");
  const port = /requests at tcp:\/\/127\.0\.0\.1:(\d+)/.exec(broker.line)?.[1] ?? "";
  await start("node", "-r", port, ...modules);
  return { folder, port };
}

async function runModule(folder: string, code: string, port: string): Promise<void> {
  const file = join(folder, "main.ts");
  const text = withAssertions(code).replaceAll(defaultEndpoint, `"tcp://127.0.0.1:${port}"`);
  await writeFile(file, `import assert from "node:assert/strict";\n${text}`);
  const child = spawn(process.execPath, ["--import", "tsx", file], {
    cwd: root,
    stdio: "inherit",
    timeout: 15_000,
  });
  const [exitCode] = await once(child, "exit");
  expect(exitCode, code).toBe(0);
}

type Program = "broker" | "node" | "client";

const helps = new Map<string, Promise<string>>();

/** What a command line, or one of its commands, says of itself. */
function helpOf(name: Program, ...command: string[]): Promise<string> {
  const key = [name, ...command].join(" ");
  const help = helps.get(key) ?? runToEnd(name, ...command, "--help").then(({ out }) => out);
  helps.set(key, help);
  return help;
}

/** The names of all options that a command line takes with these words. */
async function optionsOf(name: Program, words: readonly string[]): Promise<readonly string[]> {
  const help = await helpOf(name);
  const [list = ""] = help.split("\nCommands:\n")[1]?.split("\n\n") ?? [];
  const commands = [...list.matchAll(/^ {2}([\w-]+)/gm)].map(([, command]) => command);
  const at = words.findIndex((word) => commands.includes(word));
  // Some commands have commands of their own; a method's name alone is to call it.
  const texts = [help];
  if (commands.includes("call")) texts.push(await helpOf(name, at < 0 ? "call" : (words[at] as string)));
  const next = at < 0 ? undefined : words[at + 1];
  if (next !== undefined && /^[a-z]+$/.test(next)) texts.push(await helpOf(name, words[at] as string, next));
  return texts.join("\n").match(/(?<=\s)--?[a-z][\w-]*/g) ?? [];
}

const documents = [
  "README.md",
  ...(await readdir(join(root, "docs"))).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`),
];

describe.each(documents)("%s", (path) => {
  it("has examples that run and tell the truth", async () => {
    const blocks = await blocksOf(path);
    const code = blocks.filter(({ language }) => language === "ts");
    if (code.length > 0) {
      const { folder, port } = await setUp(code);
      for (const block of code) {
        if (!/^\/\/ [\w-]+\.ts\b/.test(block.code)) await runModule(folder, block.code, port);
      }
    }
  }, 60_000);

  it("has command lines that print what they say", async () => {
    const shell = (await blocksOf(path))
      .filter(({ language }) => language === "sh")
      .map(({ code }) => code)
      .join("\n");
    const promises = [...shell.matchAll(/^npx zerotask-client (.*?)\s+# prints (.*)$/gm)];
    if (promises.length === 0) return;
    const { port } = await setUp([]);
    for (const [, args = "", printed] of promises) {
      expect(await runToEnd("client", "-r", port, ...args.split(" "))).toEqual({
        code: 0,
        out: `${printed}\n`,
        err: "",
      });
    }
  }, 60_000);

  it("has command lines with options that there are", async () => {
    const shell = (await blocksOf(path)).filter(({ language }) => language === "sh");
    const lines = shell.flatMap(({ code }) => [
      ...code.matchAll(/^npx zerotask-(broker|node|client) ([^#\n]*)/gm),
    ]);
    for (const [line, name, args = ""] of lines) {
      const words = args.split(" ");
      const known = await optionsOf(name as Program, words);
      for (const option of words.filter((word) => /^--?[a-z]/.test(word)))
        expect(known, line).toContain(option);
    }
  }, 60_000);

  it("links only to files that are there", async () => {
    const text = await readFile(join(root, path), "utf8");
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1] ?? "");
    for (const link of links) {
      await expect(readFile(join(root, path, "..", link)), `${path} → ${link}`).resolves.toBeDefined();
    }
  });
});

it("finds the README's examples", async () => {
  const blocks = await blocksOf("README.md");
  expect(blocks.filter(({ language }) => language === "ts").length).toBeGreaterThanOrEqual(4);
  expect(withAssertions("await client.add(5, 6); // 11")).toBe(
    "assert.deepEqual(await client.add(5, 6), 11);",
  );
});
