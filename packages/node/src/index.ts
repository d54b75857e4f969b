// What users of the node as a library take.
export { Node } from "./node.ts";
export type { NodeOptions } from "./options.ts";
