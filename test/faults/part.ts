// A process of the system under test, as users run it; it can be killed, stopped and started again.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const root: string = fileURLToPath(new URL("../..", import.meta.url));

const startBoundMs = 20_000;
const keptErrorLength = 4_000;

/** The arguments of `node` that run a command line. */
export function commandLine(name: "broker" | "node", ...args: string[]): string[] {
  return [`${root}packages/${name}/bin/zerotask-${name}.js`, ...args];
}

export class Part {
  readonly #child: ChildProcess;
  /** Resolves when the process has ended, however it did. */
  readonly ended: Promise<void>;
  #stderr = "";
  #isStopped = false;

  private constructor(args: readonly string[], onLine: (line: string) => void) {
    this.#child = spawn(process.execPath, args, { cwd: root });
    this.ended = new Promise((resolve) => this.#child.on("close", () => resolve()));
    this.#child.stdin?.on("error", () => undefined);
    this.#child.stderr?.on("data", (data: Buffer) => {
      this.#stderr = (this.#stderr + data).slice(-keptErrorLength);
    });
    if (this.#child.stdout !== null) createInterface({ input: this.#child.stdout }).on("line", onLine);
  }

  /** Resolves when it has printed its first line. @throws Error when it ends before that, or takes too long */
  static async start(
    args: readonly string[],
    onLine: (line: string) => void = () => undefined,
  ): Promise<Part> {
    let onReady: () => void = () => undefined;
    const ready = new Promise<void>((resolve) => {
      onReady = resolve;
    });
    const part = new Part(args, (line) => {
      onReady();
      onLine(line);
    });
    const bound = AbortSignal.timeout(startBoundMs);
    const isReady = await Promise.race([
      ready.then(() => true),
      part.ended.then(() => false),
      once(bound, "abort").then(() => false),
    ]);
    if (isReady) return part;
    await part.kill();
    throw new Error(`Expected ${args.join(" ")} to be ready, got ${part.stderr || "nothing"}`);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Processes that it started, on Linux: elsewhere nobody knows of them. */
  get children(): number[] {
    try {
      return childrenOf(this.pid);
    } catch {
      return []; // It is gone, or this is no Linux.
    }
  }

  /** The last of what it wrote there. */
  get stderr(): string {
    return this.#stderr;
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** `kill -9`. Resolves when all that it printed was read. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
  }

  stop(): void {
    this.#isStopped = true;
    this.#child.kill("SIGSTOP");
  }

  continue(): void {
    this.#isStopped = false;
    this.#child.kill("SIGCONT");
  }

  say(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.split(" ").flatMap((child) => (child.trim() === "" ? [] : [Number(child)]));
}
