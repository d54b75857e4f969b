// What users of the node as a library take: with it, what the handlers that it runs take from the core.
export {
  type Batch,
  current,
  InvalidParamsError,
  OptionError,
  type Results,
  RetryError,
  type TaskContext,
  type TaskOptions,
  task,
} from "zerotask-core";
export { Node } from "./node.ts";
export type { NodeOptions } from "./options.ts";
