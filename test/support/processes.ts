// The parts as users run them: the built command lines, as processes of their own.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export { freePort } from "./ports.ts";

export const root: string = fileURLToPath(new URL("../..", import.meta.url));

export interface Started {
  readonly child: ChildProcess;
  /** The line it printed when it was ready. */
  readonly line: string;
}

const boundMs = 15_000;

function bin(name: string): string {
  return `${root}packages/${name}/bin/zerotask-${name}.js`;
}

/** Starts a command line and waits for the line that says that it is ready. */
export async function start(name: "broker" | "node", ...args: string[]): Promise<Started> {
  const child = spawn(process.execPath, [bin(name), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    cwd: root,
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [line] = await once(createInterface({ input: child.stdout }), "line", {
    signal: AbortSignal.timeout(boundMs),
  });
  return { child, line };
}

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line to its end. */
export async function runToEnd(name: "broker" | "node" | "client", ...args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, [bin(name), ...args], { cwd: root, timeout: boundMs });
  let out = "";
  let err = "";
  child.stdout.on("data", (data: Buffer) => {
    out += data;
  });
  child.stderr.on("data", (data: Buffer) => {
    err += data;
  });
  const [code] = await once(child, "close");
  return { code, out, err };
}

/** Sends a signal, and resolves with the exit code and how long it took. */
export async function end(
  child: ChildProcess,
  signal: NodeJS.Signals,
): Promise<{ code: number | null; ms: number }> {
  const begin = performance.now();
  const exited = once(child, "exit");
  child.kill(signal);
  const [code] = await exited;
  return { code, ms: performance.now() - begin };
}
