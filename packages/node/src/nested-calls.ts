// The clients by which handlers call other tasks: one connection to each broker that tasks come from.
import { type NestedClient, NestedClients } from "zerotask-client";
import type { Dial, Listen, Logger, Runtime } from "zerotask-core";
import type { Run } from "./run.ts";

interface Connecting {
  readonly endpoint: string;
  readonly runtime: Runtime;
  readonly dial: Dial;
  readonly listen?: Listen;
  readonly logger: Logger;
}

export interface NestedCallsOptions {
  /** How to connect to where the tasks of this link come from. */
  readonly optionsFor: (link: number) => Connecting;
  /** A run waits for its first call (+1), or for none any more (−1). */
  readonly onWaiting: (run: Run, change: 1 | -1) => void;
}

export class NestedCalls {
  readonly #options: NestedCallsOptions;
  readonly #connections = new Map<number, NestedClients>();

  constructor(options: NestedCallsOptions) {
    this.#options = options;
  }

  /** The client of one run. */
  clientOf(run: Run): NestedClient {
    let waiting = 0;
    const { onWaiting } = this.#options;
    return this.#connection(run.link).of({
      trace: run.context().trace,
      remainingMs: () => run.remainingMs(),
      onWaiting: (change) => {
        const before = waiting;
        waiting += change;
        if (before === 0 || waiting === 0) onWaiting(run, change);
      },
    });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#connections.values()].map((connection) => connection.close()));
  }

  #connection(link: number): NestedClients {
    let connection = this.#connections.get(link);
    if (connection === undefined) {
      connection = new NestedClients(this.#options.optionsFor(link));
      this.#connections.set(link, connection);
    }
    return connection;
  }
}
