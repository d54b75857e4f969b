// Runs handlers in the node's own thread: the quickest way, and without any protection from them.
import type { Dispatcher, Params, Response, Runtime } from "zerotask-core";
import type { Run } from "../run.ts";
import type { Done, Executor } from "./executor.ts";

export class InlineExecutor implements Executor {
  readonly #dispatcher: Dispatcher;
  readonly #runtime: Runtime;

  constructor(dispatcher: Dispatcher, runtime: Runtime) {
    this.#dispatcher = dispatcher;
    this.#runtime = runtime;
  }

  start(run: Run, done: Done): void {
    const { streams } = run;
    const onEnd = (response: Response | undefined): void => {
      if (response !== undefined) done(streams === undefined ? response : streams.checked(response));
    };
    const request = streams === undefined ? run.request : streams.withInputs(run.request);
    this.#dispatcher.dispatch(request, onEnd, run, this.#runtime);
  }

  /** The handler has the signal itself. */
  abort(): void {}

  kill(): boolean {
    return false;
  }

  /** It has begun. */
  recall(): void {}

  onStream({ streams }: Run, method: string, params: Params | undefined): void {
    streams?.onPush(method, params);
  }

  resumeStreams({ streams }: Run): void {
    streams?.resume();
  }

  flush(): void {
    this.#dispatcher.flush();
  }

  /** What runs here can't be ended. */
  async end(): Promise<void> {}

  async close(): Promise<void> {}
}
