// What the command lines have in common: how numbers are read, how a process ends, how an error is told.
import type { Logger } from "./logger.ts";

/** Reads a number, and leaves anything else for the options to refuse by what it is. */
export function numberOrText(text: string): number {
  return /^-?\d+$/.test(text) ? Number(text) : (text as unknown as number);
}

/** The log levels that a command line takes, from saying most to saying nothing. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

const exitTimeoutMs = 1_800;

/**
 * Stops on SIGINT or SIGTERM and exits, within `timeoutMs` whatever happens.
 * @param timeoutMs 1,800 unless told otherwise
 * @param code the exit code: 0, unless ending so means that something was not done
 */
export function stopOnSignals(
  stop: () => Promise<void>,
  logger: Logger,
  timeoutMs: number = exitTimeoutMs,
  code: number = 0,
): void {
  let isStopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (isStopping) return;
    isStopping = true;
    logger.info({ signal }, "stopping");
    const giveUp = (): never => process.exit(code);
    setTimeout(giveUp, timeoutMs).unref();
    stop().then(giveUp, (error: unknown) => {
      logger.error({ err: error }, "could not stop cleanly");
      giveUp();
    });
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
}

/** Ends the process with code 1, or another one, and one line on stderr that says why. */
export function exitWithError(error: unknown, code: number = 1): never {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(code);
}
