// One run of a task: what was assigned, and what surrounds its handler.
import { type Handler, inScope, type Params, type Request, type Scope } from "zerotask-core";
import { isLocalAttempt } from "./local-tasks.ts";
import { RunContext, type RunHost } from "./run-context.ts";
import type { Assignment } from "./state/node-state.ts";
import type { RunStreams } from "./streams/run-streams.ts";

export class Run implements Assignment, Scope {
  readonly link: number;
  readonly id: string;
  readonly request: Request;
  readonly room: string | undefined;
  readonly #host: RunHost;
  /** By when it is to have ended, by the host's clock. */
  readonly #until: number | undefined;
  #context: RunContext | undefined;
  /** Where it has streams, and runs in this process. */
  readonly streams: RunStreams | undefined;
  isAborted = false;
  isOver = false;
  readonly isLocal: boolean;

  /**
   * @param link names the broker that it came from
   * @param room the pool that it runs in; none for the node's own thread
   */
  constructor(link: number, id: string, request: Request, host: RunHost, room?: string) {
    this.link = link;
    this.id = id;
    this.request = request;
    this.isLocal = isLocalAttempt(id);
    this.room = room;
    this.#host = host;
    const { meta } = request;
    const timeoutMs = meta?.timeout_ms;
    // Those of a run in a pool are in its worker.
    const isHere = room === undefined;
    this.streams = isHere && meta?.stream ? host.streamsOf(link, id, meta.stream) : undefined;
    this.#until = timeoutMs === undefined ? undefined : host.runtime.now() + timeoutMs;
  }

  get hasStreams(): boolean {
    return this.request.meta?.stream !== undefined;
  }

  context(): RunContext {
    this.#context ??= new RunContext(this, this.#host);
    return this.#context;
  }

  /** The params as the handler was asked with: with streams in the places of those that it reads. */
  get asked(): Params | undefined {
    const { streams, request } = this;
    return (streams === undefined ? request : streams.withInputs(request)).params;
  }

  get consume(): Scope["consume"] {
    const { streams } = this;
    return streams?.hasOutput === true ? (items) => streams.send(closedIn(this, items)) : undefined;
  }

  get maxResultBytes(): number {
    return this.#host.maxResultBytes(this.link);
  }

  get invoke(): Scope["invoke"] {
    return this.#host.pipeline.isActive ? this.#invoke : undefined;
  }

  get prepare(): Scope["prepare"] {
    return this.#host.pipeline.hasResolvers ? this.#prepare : undefined;
  }

  get invokeMany(): Scope["invokeMany"] {
    return this.#host.pipeline.hasMiddleware ? this.#invokeMany : undefined;
  }

  now(): number {
    return this.#host.runtime.now();
  }

  onThrown(error: unknown): void {
    this.#host.onThrown(this, error);
  }

  /** How much time it has left, in milliseconds; `undefined` without a bound. */
  remainingMs(): number | undefined {
    return this.#until === undefined ? undefined : this.#until - this.#host.runtime.now();
  }

  /** The request for somebody else to run: with the time that is left. */
  requestFromNow(): Request {
    const { request } = this;
    const remaining = this.remainingMs();
    if (remaining === undefined) return request;
    return { ...request, meta: { ...request.meta, timeout_ms: Math.max(1, Math.round(remaining)) } };
  }

  /** Nobody wants its outcome any more: its signal fires, and who listens to that is in this run. */
  abort(): void {
    this.isAborted = true;
    const context = this.#context;
    if (context !== undefined) inScope(this, () => context.abort());
    this.streams?.abort();
  }

  /** Nothing more comes from its handler that could be told. */
  end(): void {
    this.#context?.end();
    this.isOver = true;
  }

  // Called as members of a scope, so that a run without anything around it costs no closures.

  #invoke(handler: Handler, params: readonly unknown[]): unknown {
    return this.#host.pipeline.invoke(this, handler, params);
  }

  #prepare(params: readonly unknown[]): readonly unknown[] | Promise<readonly unknown[]> {
    return this.#host.pipeline.prepare(this, params);
  }

  #invokeMany(scopes: readonly Scope[], handler: Handler, calls: readonly (readonly unknown[])[]): unknown {
    return this.#host.pipeline.invokeMany(scopes as readonly Run[], handler, calls);
  }
}

/** A handler is in its run also where it is told to end: that comes from the outside. */
function closedIn(scope: Scope, items: AsyncIterable<unknown>): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]: () => {
      const iterator = items[Symbol.asyncIterator]();
      return {
        next: () => iterator.next(),
        return: () =>
          inScope(scope, async () => (await iterator.return?.()) ?? { done: true, value: undefined }),
      };
    },
  };
}
