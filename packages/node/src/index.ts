// What users of the node as a library take.
export { current, type TaskContext } from "zerotask-core";
export { Node } from "./node.ts";
export type { NodeOptions } from "./options.ts";
