// A command line whose output a test reads while it runs, and modules whose tasks end when the test says so.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";
import { root } from "./processes.ts";
import { until } from "./wait.ts";

export interface Watched {
  readonly child: ChildProcess;
  /** The lines that it has printed so far. */
  readonly out: readonly string[];
  /** What it has printed on stderr so far. */
  err(): string;
  /** Waits for a line that begins so, after the name of the command. */
  printed(text: string): Promise<void>;
  /** Waits for its end. @returns the exit code */
  ended(): Promise<number | null>;
}

export function watched(name: "broker" | "node", ...args: readonly string[]): Watched {
  const script = `${root}packages/${name}/bin/zerotask-${name}.js`;
  const child = spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "pipe"], cwd: root });
  const out: string[] = [];
  let err = "";
  createInterface({ input: child.stdout }).on("line", (line) => out.push(line));
  child.stderr.on("data", (data: Buffer) => {
    err += data;
  });
  let isClosed = false;
  child.once("close", () => {
    isClosed = true;
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return {
    ...{ child, out, err: () => err },
    printed: (text) =>
      until(`the line "${text}"`, () => out.some((line) => line.startsWith(`zerotask-${name} ${text}`))),
    ended: async () => {
      await until("its end", () => isClosed, 15_000);
      return child.exitCode;
    },
  };
}

/** A folder outside of the checkout with modules in it, as a user would have it. */
export async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "zerotask-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

/** A module whose tasks tell of their process: `who` its pid, `version` what was given, and `slow` once there is a file `go`. */
export function tellingModule(version: number): string {
  return `import { existsSync } from "node:fs";
    import { task } from "zerotask-core";
    const go = new URL("go", import.meta.url);
    const version = ${version};
    task("who", () => process.pid);
    task("version", () => version);
    task("slow", () => new Promise((resolve) => {
      const timer = setInterval(() => {
        if (!existsSync(go)) return;
        clearInterval(timer);
        resolve(version);
      }, 5);
    }));`;
}

/** Whether there is such a process, and it has not ended. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0) && !isZombie(pid);
  } catch {
    return false;
  }
}

/** Whoever inherits the processes of a killed one may take its time to notice their end. */
function isZombie(pid: number): boolean {
  if (process.platform !== "linux") return false;
  return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
}
