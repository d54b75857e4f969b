// The thread that writes to disk, as seen from the broker's: requests go in order, and come back in order.
import { Worker } from "node:worker_threads";
import { Deque } from "zerotask-core";
import type { Answers, Request, Response } from "./sqlite-messages.ts";
import { StoreError } from "./store.ts";

interface Pending {
  readonly resolve: (value: Answers[keyof Answers]) => void;
  readonly reject: (error: StoreError) => void;
}

export class SqliteThread {
  /** Resolves when it is over. */
  readonly ended: Promise<void>;
  readonly #worker: Worker;
  readonly #folder: string;
  readonly #pending = new Deque<Pending>();
  #failure: Error | undefined;
  #isOver = false;

  constructor(folder: string) {
    this.#folder = folder;
    this.#worker = startWorker();
    this.#worker.on("message", (response: Response) => this.#settle(response));
    this.#worker.on("error", (error) => {
      this.#failure = error;
    });
    this.ended = new Promise((resolve) => {
      this.#worker.once("exit", () => {
        this.#end();
        resolve();
      });
    });
  }

  /**
   * @throws StoreError when it can't be done, or the thread is over
   */
  ask<R extends Request>(request: R): Promise<Answers[R["type"]]> {
    return new Promise((resolve, reject) => {
      if (this.#isOver) {
        reject(this.#over());
        return;
      }
      this.#worker.postMessage(request);
      this.#pending.push({ resolve: resolve as Pending["resolve"], reject });
    });
  }

  #settle(response: Response): void {
    const pending = this.#pending.shift();
    if ("value" in response) pending?.resolve(response.value);
    else pending?.reject(new StoreError(response.error.message, { cause: response.error.cause }));
  }

  /** Whoever still waits for an answer gets none. */
  #end(): void {
    this.#isOver = true;
    for (let pending = this.#pending.shift(); pending !== undefined; pending = this.#pending.shift()) {
      pending.reject(this.#over());
    }
  }

  #over(): StoreError {
    const why = this.#failure === undefined ? "has ended" : `failed: ${this.#failure.message}`;
    return new StoreError(`Can't use ${this.#folder}: its thread ${why}`, { cause: this.#failure });
  }
}

/** From sources, as in tests, the thread begins by registering tsx, which it does not inherit. */
function startWorker(): Worker {
  if (!import.meta.url.endsWith(".ts")) return new Worker(new URL("./sqlite-worker.js", import.meta.url));
  const tsx = JSON.stringify(import.meta.resolve("tsx/esm/api"));
  const worker = JSON.stringify(new URL("./sqlite-worker.ts", import.meta.url).href);
  const code = `import(${tsx}).then(({ register }) => register()).then(() => import(${worker}))`;
  return new Worker(code, { eval: true, execArgv: [] });
}
