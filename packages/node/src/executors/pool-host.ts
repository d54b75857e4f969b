// What a pool asks of its node, and how it is set up.
import type { BatchRule, Dial, ItemLimits, Logger, Runtime } from "zerotask-core";
import type { Run } from "../run.ts";
import type { StartWorker } from "./worker-handle.ts";

export interface PoolHost {
  readonly runtime: Runtime;
  readonly logger: Logger;
  readonly dial: Dial;
  /** Where the tasks of this link come from. */
  endpoint(link: number): string;
  /** The largest and deepest message that the broker of this link takes. */
  limits(link: number): ItemLimits;
  /** Sends a text there now, or loses it. */
  send(link: number, text: string): void;
  /** A task tells something while it runs. */
  report(link: number, method: string, params: { readonly [name: string]: unknown }): void;
  /** Its broker takes less than there is to tell it: workers are to tell less. */
  isBehind(link: number): boolean;
  /** Its handler threw, or its worker died. */
  onThrown(run: Run, error: unknown): void;
  /** It waits for tasks that it called (+1), or for none any more (−1). */
  onWaiting(run: Run, change: 1 | -1): void;
  /** It is seen to run. */
  onBegan(run: Run): void;
  /** It was taken out: before it began, or as its worker was ended because of another. */
  onRecalled(run: Run): void;
  /** These rooms, from which all was taken out as there was no worker, have one again. */
  onUp(rooms: readonly string[]): void;
}

export interface PoolOptions {
  readonly kind: "thread" | "process";
  readonly startWorker: StartWorker;
  /** Workers that run tasks at once. */
  readonly workers: number;
  readonly maxMemoryMb: number | undefined;
  readonly modules: readonly string[];
  readonly captureConsole: boolean;
  /** The names of the slots that its runs take up. */
  readonly rooms: readonly string[];
  /** What its workers have to serve, with the rules of those that take batches. */
  readonly methods: ReadonlyMap<string, BatchRule | undefined>;
}
