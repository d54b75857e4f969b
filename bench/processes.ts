// Starts the parts as processes of their own, as users do, and waits until they are ready.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

export interface Part {
  readonly process: ChildProcess;
  /** The line it printed when it was ready. */
  readonly line: string;
}

const readyTimeoutMs = 20_000;

/** Runs `node` with these arguments until it prints its first line. */
export async function startPart(args: readonly string[]): Promise<Part> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout });
  const signal = AbortSignal.timeout(readyTimeoutMs);
  const [line] = (await once(lines, "line", { signal })) as [string];
  return { process: child, line };
}

export async function stopPart({ process: child }: Part): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}

const root = new URL("..", import.meta.url).pathname;

/** A broker on free ports, and its request endpoint. `--expose-gc` is for measuring its heap. */
export async function startBroker(...args: string[]): Promise<{ part: Part; endpoint: string }> {
  const part = await startPart(["--expose-gc", "--import", "tsx", `${root}bench/broker-process.ts`, ...args]);
  return { part, endpoint: part.line };
}

/** A node with the bench's methods, or those of the module that is told last. */
export function startNode(endpoint: string, ...args: string[]): Promise<Part> {
  const port = new URL(endpoint).port;
  const modules = args.at(-1)?.endsWith(".ts") === true ? [] : [`${root}bench/tasks.ts`];
  return startPart([`${root}packages/node/bin/zerotask-node.js`, "-r", port, ...args, ...modules]);
}
