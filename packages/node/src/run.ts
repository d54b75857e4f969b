// One run of a task: what was assigned, and what surrounds its handler.
import type { Request, Scope, TaskContext } from "zerotask-core";
import { isLocalAttempt } from "./local-tasks.ts";
import { RunContext, type RunHost } from "./run-context.ts";
import type { Assignment } from "./state/node-state.ts";

export class Run implements Assignment, Scope {
  readonly link: number;
  readonly id: string;
  readonly request: Request;
  readonly #host: RunHost;
  /** By when it is to have ended, by the host's clock. */
  readonly #until: number | undefined;
  #context: RunContext | undefined;
  isAborted = false;
  readonly isLocal: boolean;

  /** @param link names the broker that it came from */
  constructor(link: number, id: string, request: Request, host: RunHost) {
    this.link = link;
    this.id = id;
    this.request = request;
    this.isLocal = isLocalAttempt(id);
    this.#host = host;
    const timeoutMs = request.meta?.timeout_ms;
    this.#until = timeoutMs === undefined ? undefined : host.runtime.now() + timeoutMs;
  }

  context(): TaskContext {
    this.#context ??= new RunContext(this, this.#host);
    return this.#context;
  }

  onThrown(error: unknown): void {
    this.#host.onThrown(this, error);
  }

  /** How much time it has left, in milliseconds; `undefined` without a bound. */
  remainingMs(): number | undefined {
    return this.#until === undefined ? undefined : this.#until - this.#host.runtime.now();
  }

  /** Nobody wants its outcome any more: its signal fires. */
  abort(): void {
    this.isAborted = true;
    this.#context?.abort();
  }

  /** Nothing more comes from its handler that could be told. */
  end(): void {
    this.#context?.end();
  }
}
