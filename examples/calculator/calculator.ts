// What the node serves.
import { task } from "zerotask-core";

export const echo = task("echo", (value: unknown) => value);
export const foo = task("namespaces.are.awesome.foo", async () => "bar");

export class Calculator {
  @task add(a: number, b: number): number {
    return a + b;
  }

  @task({ name: "math.subtract" }) subtract(a: number, b: number): number {
    return a - b;
  }
}
