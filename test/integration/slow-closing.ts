// A resource that takes long to close, and one that can't be closed.
import { writeFileSync } from "node:fs";
import { type NodeSetup, task } from "zerotask-node";

/** One resource has 5 s, and all together have 10 s. */
const closeMs = 3_500;

export const add = task("add", (first: number, second: number) => first + second);
let file = "";
export const tellIn = task("tellIn", (path: string) => {
  file = path;
});

export function configure(node: NodeSetup): void {
  node.provide(
    "told",
    () => "told",
    () => writeFileSync(file, "closed"),
  );
  for (const name of ["first", "second"]) {
    node.provide(
      name,
      () => name,
      () => new Promise((resolve) => setTimeout(resolve, closeMs)),
    );
  }
  node.provide(
    "broken",
    () => "broken",
    () => {
      throw new RangeError("can't be closed");
    },
  );
}
