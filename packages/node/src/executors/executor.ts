// The seam under the node: where handlers run.
import type { Response } from "zerotask-core";
import type { Run } from "../run.ts";

export interface Executor {
  /** Runs a task. `done` gets its response and is called once, perhaps at once. Never throws. */
  start(run: Run, done: (response: Response) => void): void;
  /** Its signal has fired: the handler is to hear of it, wherever it runs. */
  abort(run: Run): void;
  /**
   * Ends a run by force; `done` is called when it is over.
   * @returns whether that can be done: a handler that runs in the node's own thread can't be ended
   */
  kill(run: Run): boolean;
  /** Runs at once what is collected for later. */
  flush(): void;
  /** Leaves nothing behind. */
  close(): Promise<void>;
}
