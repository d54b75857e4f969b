// What users of the node as a library take: with it, what the handlers that it runs take from the core.
export {
  type Batch,
  InvalidParamsError,
  type Lifecycle,
  lifecycle,
  NameTakenError,
  OptionError,
  type Results,
  RetryError,
  TaskError,
  type TaskLog,
  type TaskOptions,
  task,
} from "zerotask-core";
export { current } from "./current.ts";
export type { ExceptionInfo, ExceptionListener } from "./exceptions.ts";
export type { StopOptions } from "./leaving.ts";
export { Node } from "./node.ts";
export type { NodeOptions } from "./options.ts";
export type { BatchRun, Middleware, TaskRun } from "./pipeline/middleware.ts";
export type { Resolver } from "./pipeline/resolvers.ts";
export type { NodeSetup } from "./pipeline/setup.ts";
export type { TaskContext } from "./run-context.ts";
