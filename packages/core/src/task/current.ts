// `current()`: the task that runs, for the handler that runs it.
import type { TaskContext } from "./context.ts";
import { currentScope } from "./scope.ts";

/**
 * The task that is running, wherever in its handler it is asked for.
 * @throws Error when called anywhere else, and in a batch handler, which runs many tasks at once
 */
export function current(): TaskContext {
  const scope = currentScope();
  if (scope === undefined) {
    throw new Error("Expected current() to be called by a handler on a node, or by what it calls");
  }
  return scope.context();
}
