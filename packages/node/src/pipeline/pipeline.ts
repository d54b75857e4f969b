// What surrounds handlers on a node, or in one of its workers: resolvers, then middleware; and resources beside them.
import {
  type Handler,
  type Logger,
  OptionError,
  type Params,
  type Runtime,
  stoppedBefore,
} from "zerotask-core";
import type { RunContext, TaskContext } from "../run-context.ts";
import { type Middleware, runThrough, type TaskRun } from "./middleware.ts";
import { type Resolver, Resolvers } from "./resolvers.ts";
import { Resources } from "./resources.ts";
import type { NodeSetup } from "./setup.ts";

/** The run of a task, as far as its pipeline has to know it. */
export interface PipelineRun {
  /** How it was asked for, with what it reads in place. */
  readonly asked: Params | undefined;
  /** Nobody wants its outcome any more. */
  readonly isAborted: boolean;
  context(): RunContext;
}

export interface PipelineOptions {
  /** Told of resources that can't be closed. */
  readonly logger: Logger;
  readonly runtime: Runtime;
}

/** Knows no node: a worker has one of its own. */
export class Pipeline implements Omit<NodeSetup, "onException" | "runLocal"> {
  /** Copied when it changes: what runs keeps what it began with. */
  #middleware: readonly Middleware[] = [];
  readonly #resolvers = new Resolvers();
  readonly #resources: Resources;

  constructor({ logger, runtime }: PipelineOptions) {
    this.#resources = new Resources(logger, runtime);
  }

  /** Whether handlers have to be called by `invoke`. */
  get isActive(): boolean {
    return this.#middleware.length > 0 || this.#resolvers.size > 0;
  }

  get hasMiddleware(): boolean {
    return this.#middleware.length > 0;
  }

  get hasResolvers(): boolean {
    return this.#resolvers.size > 0;
  }

  use(middleware: Middleware): () => void {
    if (typeof middleware !== "function") throw new OptionError("middleware", "a function", middleware);
    // The same function may be used twice: each time is a layer of its own.
    const layer: Middleware = (run, next) => middleware(run, next);
    this.#middleware = [...this.#middleware, layer];
    return () => {
      this.#middleware = this.#middleware.filter((other) => other !== layer);
    };
  }

  provide<T>(name: string, open: () => T | PromiseLike<T>, close?: (resource: T) => unknown): void {
    this.#resources.provide(name, open, close);
  }

  resolve(scheme: string, resolver: Resolver): () => void {
    return this.#resolvers.add(scheme, resolver);
  }

  /** Opens what is provided. @returns undefined where that is nothing; rejects with an error that names what can't be opened */
  open(): Promise<void> | undefined {
    return this.#resources.open();
  }

  /** Closes what is open. Never rejects. */
  close(): Promise<void> {
    return this.#resources.close();
  }

  /** @throws Error when nothing of that name is open */
  resource(name: string): unknown {
    return this.#resources.get(name);
  }

  /** The params with what resolvers make of them. */
  prepare(run: PipelineRun, params: readonly unknown[]): readonly unknown[] | Promise<readonly unknown[]> {
    if (!this.hasResolvers) return params;
    return this.#resolvers.apply(params, run.asked, (): TaskContext => run.context());
  }

  /**
   * Calls a handler with params that may have to be resolved, through all middleware.
   * @throws TaskStoppedError when the run was given up before the handler is called
   */
  invoke(run: PipelineRun, handler: Handler, params: readonly unknown[]): unknown {
    const middleware = this.#middleware;
    const call = (prepared: readonly unknown[]): unknown => {
      if (run.isAborted) throw stoppedBefore();
      if (middleware.length === 0) return handler(...prepared);
      return runThrough(middleware, taskRun(run, prepared), () => {
        if (run.isAborted) throw stoppedBefore();
        return handler(...prepared);
      });
    };
    const prepared = this.prepare(run, params);
    return prepared instanceof Promise ? prepared.then(call) : call(prepared);
  }

  /**
   * Calls a batch handler, through all middleware, with calls whose params are resolved.
   * @throws TaskStoppedError when all of them were given up before the handler is called
   */
  invokeMany(
    runs: readonly PipelineRun[],
    handler: Handler,
    calls: readonly (readonly unknown[])[],
  ): unknown {
    const all = runs.map((run, index) => taskRun(run, calls[index] ?? []));
    const batch = {
      method: all[0]?.method ?? "",
      calls: all,
      resource: <T>(name: string): T => this.resource(name) as T,
    };
    return runThrough(this.#middleware, batch, () => {
      if (runs.every(({ isAborted }) => isAborted)) throw stoppedBefore();
      return handler(calls);
    });
  }
}

function taskRun(run: PipelineRun, params: readonly unknown[]): TaskRun {
  const context = run.context();
  context.params = params;
  return context;
}
