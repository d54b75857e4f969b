// The rules of the house (docs/architecture.md), checked on the sources.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const maxLines = 400;

interface Source {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly string[];
}

function read(path: string): Source {
  const text = readFileSync(join(root, path), "utf8");
  const imports = [...text.matchAll(/(?:from\s+|import\s*\(\s*|import\s+)"([^"]+)"/g)].map(
    (match) => match[1] ?? "",
  );
  return { path, text, imports };
}

function sourcesIn(folder: string): Source[] {
  const entries = readdirSync(join(root, folder), { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => read(relative(root, join(entry.parentPath, entry.name))));
}

const sources = ["core", "broker", "node", "client", "testing"].flatMap((name) =>
  sourcesIn(`packages/${name}/src`),
);

/** Code without comments, so that words in prose don't count. */
const codeOf = (text: string): string => text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");

const violations = (isBad: (source: Source) => boolean): string[] =>
  sources.filter(isBad).map(({ path }) => path);

it("finds the sources", () => {
  expect(sources.length).toBeGreaterThan(40);
});

describe("packages", () => {
  it("lets core import no other package, and the others only core; but nodes have clients, and tests everything", () => {
    const other = /^zerotask-(broker|node|client|testing)(\/|$)/;
    const isAllowed = (path: string, name: string): boolean =>
      (path.startsWith("packages/node/") && name === "zerotask-client") ||
      (path.startsWith("packages/testing/") && name !== "zerotask-testing");
    const isBad = ({ path, imports }: Source): boolean =>
      imports.some((name) => other.test(name) && !isAllowed(path, name));
    expect(violations(isBad)).toEqual([]);
    const isInCore = ({ path }: Source): boolean => path.startsWith("packages/core/");
    expect(
      violations((source) => isInCore(source) && source.imports.some((n) => n.startsWith("zerotask-"))),
    ).toEqual([]);
  });

  it("reaches into no other package's files", () => {
    expect(
      violations(({ imports }) =>
        imports.some((name) => /\.\.\/(core|broker|node|client|testing)\//.test(name)),
      ),
    ).toEqual([]);
  });

  it.each([
    ["zeromq", /^packages\/core\/src\/socket\//],
    ["jayson", /^packages\/core\/src\/task\/dispatcher\.ts$/],
    ["commander", /\/cli\.ts$/],
    ["chokidar", /^packages\/node\/src\/supervisor\/watcher\.ts$/],
    ["croner", /^packages\/broker\/src\/cron\.ts$/],
    ["parse-duration", /^packages\/core\/src\/protocol\/when\.ts$/],
    ["pino", /\/cli\.ts$/],
    ["pino-pretty", /\/cli\.ts$/],
    ["cli-progress", /^packages\/client\/src\/command-line\/progress-bar\.ts$/],
    ["@photostructure/sqlite", /^packages\/broker\/src\/store\/sqlite-database\.ts$/],
  ])("imports %s only where it belongs", (name, allowed) => {
    expect(violations(({ path, imports }) => imports.includes(name) && !allowed.test(path))).toEqual([]);
    expect(violations(({ path, imports }) => imports.includes(name) && allowed.test(path))).not.toEqual([]);
  });

  it("reads the environment only in command lines", () => {
    const reads = ({ text }: Source): boolean => codeOf(text).includes("process.env");
    expect(violations((source) => reads(source) && !source.path.endsWith("/cli.ts"))).toEqual([]);
  });
});

describe("state", () => {
  const impure =
    /"node:|\bDate\.now|\bnew Date\b|\bMath\.random|\basync\b|\bawait\b|\bset(Timeout|Interval|Immediate)\b|\bperformance\b|\bprocess\./;

  it("is pure: no I/O, clock, timers, randomness or promises", () => {
    const states = sources.filter(({ path }) => path.includes("/state/"));
    expect(states.length).toBeGreaterThan(10);
    expect(states.filter(({ text }) => impure.test(codeOf(text))).map(({ path }) => path)).toEqual([]);
  });

  it("takes only protocol and state from elsewhere", () => {
    const isShell = (path: string, name: string): boolean =>
      name.startsWith(".")
        ? !join(path, "..", name).startsWith(path.slice(0, path.indexOf("/state/") + "/state/".length))
        : name !== "zerotask-core";
    const states = sources.filter(
      ({ path, imports }) => path.includes("/state/") && imports.some((name) => isShell(path, name)),
    );
    expect(states.map(({ path }) => path)).toEqual([]);
  });
});

describe("files", () => {
  it(`are no longer than ${maxLines} lines`, () => {
    expect(violations(({ text }) => text.split("\n").length > maxLines)).toEqual([]);
  });

  it("begin with a comment that names the decision they keep", () => {
    expect(violations(({ text }) => !/^\/\/ .{15,}/.test(text))).toEqual([]);
  });
});
