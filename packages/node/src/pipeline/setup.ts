// What a module may do to the node, or the worker, that loads it: `export function configure(node: NodeSetup)`.
import type { Params } from "zerotask-core";
import type { ExceptionListener } from "../exceptions.ts";
import type { Middleware } from "./middleware.ts";
import type { Resolver } from "./resolvers.ts";

export interface NodeSetup {
  /**
   * Wraps the handlers of all tasks that begin from now on. The first that is used is the outermost.
   * @returns what removes it, for tasks that begin after that
   * @throws OptionError for what is no function
   */
  use(middleware: Middleware): () => void;
  /**
   * Opens a resource before the first task is taken, after those that were provided before; handlers get it by
   * `current().resource(name)`. It is closed when the last handler has ended, before those that were provided before.
   * @param name 1 to 200 characters
   * @param close gets what `open` returned or promised; it has 5 seconds, and all together have 10
   * @throws OptionError for a name that is taken, or when tasks are being taken already
   */
  provide<T>(name: string, open: () => T | PromiseLike<T>, close?: (resource: T) => unknown): void;
  /**
   * Params that are strings and begin with `scheme` become what `resolver` returns or promises, before middleware and
   * handler see them: params at the top level, by position or by name. Where it throws, the task fails with that.
   * @param scheme a name and a colon, as `"redis:"`; small and large letters are the same
   * @returns what removes it, for tasks that begin after that
   * @throws OptionError for another scheme, or one that is resolved already
   */
  resolve(scheme: string, resolver: Resolver): () => void;
  /**
   * Calls `listener` with each exception of a handler: what it throws beside `TaskError`, `InvalidParamsError` and
   * `RetryError`, and before anybody gave the task up.
   * What a listener throws itself, or rejects with, is logged.
   * @returns what ends that
   * @throws OptionError for what is no function
   */
  onException(listener: ExceptionListener): () => void;
  /**
   * Runs a task on the node that loads the module, and on no other, from when it starts: see `Node.runLocal`. Does nothing
   * in a worker, as the node does it.
   * @param params by position or by name
   * @returns the id of the task; nothing in a worker
   * @throws OptionError for params that are none
   */
  runLocal(method: string, params?: Params): string | undefined;
}
