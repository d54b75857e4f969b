// What must not happen meanwhile: nothing unhandled, no event that the broker fails at, no memory that is never given back.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { onTestFinished } from "vitest";
import { type Logger, silentLogger } from "zerotask-core";

const MiB = 1024 * 1024;

export interface Watch {
  /** For the broker: what it logs as an error is a bug that it survived. */
  readonly logger: Logger;
  /** All that went wrong so far. */
  readonly problems: readonly string[];
}

export function watch(): Watch {
  const problems: string[] = [];
  const take = (error: unknown): void => void problems.push(`unhandled: ${String(error)}`);
  process.on("unhandledRejection", take).on("uncaughtException", take);
  onTestFinished(() => void process.off("unhandledRejection", take).off("uncaughtException", take));
  const logger = {
    ...silentLogger,
    error: (data: object, message: string) => {
      const { error } = data as { error?: Error };
      problems.push(`${message}: ${error?.stack ?? JSON.stringify(data)}`);
    },
  };
  return { logger, problems };
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** What lives on the heap, in MiB. */
export async function heapMiB(): Promise<number> {
  collectGarbage();
  // What the sockets still hold is let go of in later turns.
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  return process.memoryUsage().heapUsed / MiB;
}
