// What a supervisor and its processes tell each other, and how a supervised process does as it is told.
import { Worker } from "node:worker_threads";
import type { Logger } from "zerotask-core";
import { workerFile } from "../executors/worker-handle.ts";
import type { Node } from "../node.ts";
import type { Watch } from "../worker/watchdog.ts";

/**
 * What a process ends with that was given what it can't start with: options, modules, a name that is taken. EX_CONFIG of
 * sysexits.h.
 */
export const refusedExitCode = 78;

/** From a process: it serves these methods now. */
export interface ReadyMessage {
  readonly zerotask: "ready";
  readonly methods: readonly string[];
}

/** To a process: finish what runs, however long that takes, and end. */
export const drainMessage = { zerotask: "drain" } as const;

/** What a process was told before it had a node to do it. */
export class Supervision {
  #node: Node | undefined;
  #isLeaving = false;
  readonly #logger: Logger;

  /**
   * Listens from now on: to be made before anything else takes its time.
   * @param killMs how long the process may take to end when its supervisor is gone, whatever it is busy with
   */
  constructor(logger: Logger, killMs: number) {
    this.#logger = logger;
    // It is gone already, and nothing will say so.
    if (process.connected !== true) process.exit(0);
    watch(killMs);
    process.on("message", (message) => {
      if (isObject(message) && message.zerotask === drainMessage.zerotask) {
        this.#leave({ drainMs: Number.POSITIVE_INFINITY });
      }
    });
    // Nobody is left who could tell it to end.
    process.on("disconnect", () => this.#leave({}));
  }

  /** From now on what comes is for this node. */
  supervise(node: Node): void {
    this.#node = node;
  }

  /** Whether the process was told to end. */
  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** Tells the supervisor that the node serves. */
  ready(methods: readonly string[]): void {
    const message: ReadyMessage = { zerotask: "ready", methods };
    // One that is gone hears nothing: `disconnect` says so.
    process.send?.(message, () => undefined);
  }

  /** A node that has not begun has nothing to finish. */
  #leave(options: { drainMs?: number }): void {
    this.#isLeaving = true;
    if (this.#node === undefined) process.exit(0);
    this.#node.stop(options).then(
      () => process.exit(0),
      (error: unknown) => {
        this.#logger.error({ err: error }, "could not stop cleanly");
        process.exit(1);
      },
    );
  }
}

/** A handler that never lets go of its thread must not keep a node that nobody can tell to end. */
function watch(graceMs: number): void {
  new Worker(workerFile("watchdog"), {
    workerData: { parent: process.ppid, graceMs, maxMemoryMb: 0 } satisfies Watch,
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
    execArgv: [],
  }).unref();
}

/** The methods that a process serves, if that is what it says. */
export function readReady(message: unknown): readonly string[] | undefined {
  if (!isObject(message) || message.zerotask !== "ready" || !Array.isArray(message.methods)) return undefined;
  return message.methods.filter((method) => typeof method === "string");
}

/** Modules may send messages of their own on the same channel. */
function isObject(message: unknown): message is { readonly [name: string]: unknown } {
  return typeof message === "object" && message !== null;
}
