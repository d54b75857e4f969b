// What the bench's node serves.
import { task } from "zerotask-core";

export const add = task("add", (first: number, second: number) => first + second);
export const echo = task("echo", (value: string) => value);
