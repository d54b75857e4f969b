// `current()` as the node's handlers see it: with a client.
import { current as coreCurrent } from "zerotask-core";
import type { TaskContext } from "./run-context.ts";

/**
 * The task that is running, wherever in its handler it is asked for. `current<typeof tasks>()` types its `client` by
 * another module. By the handler's own module the types would be circular: annotate then what the handler returns.
 * @throws Error when called anywhere else, and in a batch handler, which runs many tasks at once
 */
export function current<Methods = unknown>(): TaskContext<Methods> {
  return coreCurrent() as TaskContext<Methods>;
}
