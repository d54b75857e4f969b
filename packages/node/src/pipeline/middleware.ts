// The order of what surrounds handlers, and that each part of it goes on at most once.
import type { TaskContext } from "../run-context.ts";

/** A task as middleware sees it: what `current()` returns in its handler, and its params. */
export interface TaskRun extends TaskContext {
  /** In the order in which the handler gets them, with what resolvers made of them. */
  readonly params: readonly unknown[];
  /** Only of a batch handler. */
  readonly calls?: undefined;
}

/** One run of a batch handler: it is of many tasks, so it has no id of its own. */
export interface BatchRun {
  readonly method: string;
  /** The tasks, in the order in which the handler gets their params. */
  readonly calls: readonly TaskRun[];
  /** What the node was told to provide under this name. @throws Error when it was not */
  resource<T = unknown>(name: string): T;
}

/**
 * Surrounds handlers. `next` runs what it surrounds and resolves to its result, or rejects with what it threw; that of a
 * handler that is a generator is an async iterable. What is returned is the task's result, and what is thrown its
 * failure, as if the handler had done so. Without a call of `next` the handler does not run; a second call of it throws.
 */
export type Middleware = (run: TaskRun | BatchRun, next: () => Promise<unknown>) => unknown;

/** @param handler runs when the innermost calls `next` */
export function runThrough(
  middleware: readonly Middleware[],
  run: TaskRun | BatchRun,
  handler: () => unknown,
): unknown {
  return runFrom(0, middleware, run, handler);
}

function runFrom(
  index: number,
  middleware: readonly Middleware[],
  run: TaskRun | BatchRun,
  handler: () => unknown,
): unknown {
  const layer = middleware[index];
  if (layer === undefined) return handler();
  let wasCalled = false;
  return layer(run, () => {
    if (wasCalled) throw new Error("Expected next() to be called at most once by each middleware");
    wasCalled = true;
    const result = promised(() => runFrom(index + 1, middleware, run, handler));
    // A middleware that does not wait for it has taken its outcome upon itself: it must not end the process.
    result.catch(() => undefined);
    return result;
  });
}

async function promised(run: () => unknown): Promise<unknown> {
  return run();
}
