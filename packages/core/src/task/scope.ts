// What surrounds the run of a handler, and how it is known again anywhere in that run: by the asynchronous context.
import { AsyncLocalStorage } from "node:async_hooks";
import type { TaskContext } from "./context.ts";
import type { Handler } from "./handler.ts";

export interface Scope {
  /** What `current()` returns. Made when it is asked for: most handlers don't. May throw. */
  context(): TaskContext;
  /** Makes of the params of a batch handler's call what the handler gets, where that is something else. */
  readonly prepare?:
    | ((params: readonly unknown[]) => readonly unknown[] | Promise<readonly unknown[]>)
    | undefined;
  /** Calls the handler, where something is to be done around it. */
  readonly invoke?: ((handler: Handler, params: readonly unknown[]) => unknown) | undefined;
  /** Calls a batch handler, where something is to be done around it. `scopes` are those of the calls; this is the first. */
  readonly invokeMany?:
    | ((scopes: readonly Scope[], handler: Handler, calls: readonly (readonly unknown[])[]) => unknown)
    | undefined;
  /** Takes the items of a handler that returned an async iterable. @default they are collected into an array */
  readonly consume?: ((items: AsyncIterable<unknown>) => Promise<unknown>) | undefined;
  /** How large they may be together, as JSON. @default what one message may be by default */
  readonly maxResultBytes?: number;
  /** What time it is for the run, in milliseconds. @default performance.now */
  now?(): number;
  /** Is told of what the handler threw. */
  onThrown?(error: unknown): void;
}

// Several copies of this package may be loaded in one process; they share what runs.
const key = Symbol.for("zerotask.scope");
const holder = globalThis as { [key]?: AsyncLocalStorage<Scope> };
holder[key] ??= new AsyncLocalStorage<Scope>();
const storage: AsyncLocalStorage<Scope> = holder[key];

/** What surrounds the code that asks; `undefined` outside of handlers. */
export function currentScope(): Scope | undefined {
  return storage.getStore();
}

/** Calls `run`, which is in `scope` from there on, also after each `await`. */
export function inScope<Result>(scope: Scope, run: () => Result): Result {
  return storage.run(scope, run);
}
