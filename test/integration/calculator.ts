// The module of the README, as nodes and typed clients see it.
import { task } from "zerotask-core";

export const echo = task("echo", (value: unknown) => value);
export const foo = task("namespaces.are.awesome.foo", async () => "bar");
export const join = task({ name: "join", params: ["first", "second"] }, (first: string, second?: string) =>
  [first, second].join("+"),
);

export class Calculator {
  #calls = 0;

  @task add(a: number, b: number): number {
    this.#calls++;
    return a + b;
  }

  @task({ name: "math.subtract" }) subtract(a: number, b: number): number {
    return a - b;
  }

  @task calls(): number {
    return this.#calls;
  }
}
