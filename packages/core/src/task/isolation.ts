// Where a handler runs, as its task or its node says: that is a node's own business, and no broker is told.
import { OptionError, positiveInteger } from "../options.ts";

/** In the node's own thread, in a thread of a pool, or in a process of a pool. */
export type Isolation = "none" | "thread" | "process";

export interface IsolationOptions {
  /**
   * Where the handler runs. In a thread or process of its own it holds up nothing else, can be ended by force, and takes
   * nothing down with it; the node has to be told its `modules`. @default what the node says, or "none"
   */
  readonly isolate?: Isolation;
  /**
   * How much memory its worker may use, in MiB: a run that needs more fails, and the worker is replaced. Of a thread it
   * bounds the heap of JavaScript, of a process buffers as well. @default what the node says, or no bound
   */
  readonly maxMemoryMb?: number;
}

export const isolationNames: readonly (keyof IsolationOptions)[] = ["isolate", "maxMemoryMb"];

/** Less than this, and no worker can start. */
const leastMemoryMb = 16;

/** @throws OptionError for a value out of range */
export function checkIsolation({ isolate, maxMemoryMb }: IsolationOptions): void {
  if (isolate !== undefined && isolate !== "none" && isolate !== "thread" && isolate !== "process") {
    throw new OptionError("isolate", '"none", "thread" or "process"', isolate);
  }
  if (maxMemoryMb === undefined) return;
  if (positiveInteger("maxMemoryMb", maxMemoryMb) < leastMemoryMb) {
    throw new OptionError("maxMemoryMb", `${leastMemoryMb} or more`, maxMemoryMb);
  }
}
