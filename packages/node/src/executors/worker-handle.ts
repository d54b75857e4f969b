// The seam under a pool: one worker, whatever it is.

export interface WorkerHandle {
  /** Sends lines. */
  send(text: string): void;
  /** The number of the unit that it began last; 0 for none. Also when it is gone. */
  running(): number;
  /**
   * It begins nothing more of what it was given.
   * @returns the order of what it began last: all after that never begin
   */
  revoke(): number;
  /** It may begin again what it is given from now on. */
  resume(): void;
  /** How much of all its reports was taken and passed on, in UTF-16 units and 32 bits. */
  tookReports(total: number): void;
  /** Ends it by force. */
  end(): void;
}

export interface WorkerHandlers {
  /** Lines came. */
  onText(text: string): void;
  /** Longest line that it has any reason to send, in UTF-16 units: one that sends a longer one is ended. */
  maxLine(): number;
  /**
   * It is no more, and nothing comes from it any more. Called once.
   * @param why what it did, such as "exited with code 3"
   */
  onGone(why: string): void;
}

export interface WorkerOptions {
  readonly maxMemoryMb: number | undefined;
}

export type StartWorker = (options: WorkerOptions, handlers: WorkerHandlers) => WorkerHandle;

export function outOfMemory(maxMemoryMb: number | undefined): string {
  return `ran out of memory${maxMemoryMb === undefined ? "" : ` (maxMemoryMb: ${maxMemoryMb})`}`;
}

/** The built beginning of a worker: also from sources, as in tests. */
export function workerFile(name: string): URL {
  const folder = import.meta.url.endsWith(".ts") ? "../../dist/worker/" : "../worker/";
  return new URL(`${folder}${name}.js`, import.meta.url);
}
