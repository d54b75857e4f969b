// The seam under the node: where handlers run.
import type { Params } from "zerotask-core";
import type { Run } from "../run.ts";
import type { Answer } from "../state/node-state.ts";

/** Takes the response to a run, or its JSON; `tookMs` is how long the run took, where that was measured. */
export type Done = (answer: Answer, tookMs?: number) => void;

export interface Executor {
  /** Runs a task. `done` is called once, perhaps at once, but not where the task is recalled. Never throws. */
  start(run: Run, done: Done): void;
  /** Its signal has fired: the handler is to hear of it, wherever it runs. */
  abort(run: Run): void;
  /**
   * Ends a run by force; `done` is called when it is over.
   * @returns whether that can be done: a handler that runs in the node's own thread can't be ended
   */
  kill(run: Run): boolean;
  /** Takes a run out, for other nodes, that waits for a worker. */
  recall(run: Run): void;
  /** A broker pushed something for the streams of a run. */
  onStream(run: Run, method: string, params: Params | undefined): void;
  /** The connection to the broker of a run with streams is there again. */
  resumeStreams(run: Run): void;
  /** Runs at once what is collected for later. */
  flush(): void;
  /** Ends by force what still runs, and begins nothing more. Resolves when that is over. */
  end(): Promise<void>;
  /** Leaves nothing behind, once nothing runs any more. */
  close(): Promise<void>;
}
