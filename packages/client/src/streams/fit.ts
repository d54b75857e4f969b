// Which options calls with streams can't have: what has begun to flow can't begin again.
import { OptionError } from "zerotask-core";
import type { CallOptions } from "../options.ts";

/** Options that say that a task may run more than once, or later, or is stored. */
const unfit = ["retries", "maxRetries", "backoff", "idempotencyKey", "batch", "at"] as const;

/** @throws OptionError for options that calls with streams can't have */
export function checkFit(options: CallOptions): void {
  for (const name of unfit) {
    if (options[name] !== undefined && options[name] !== 0) {
      throw new OptionError(name, "left out of calls with streams", options[name]);
    }
  }
  if (options.durability === "disk") {
    throw new OptionError("durability", '"memory" for calls with streams', options.durability);
  }
}
