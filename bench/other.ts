// What the bench's second node serves.
import { task } from "zerotask-core";

export const other = task("other", (first: number, second: number) => first + second);
