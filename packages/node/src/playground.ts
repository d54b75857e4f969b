// What a node without modules serves, to play with.
import type { Dispatcher } from "zerotask-core";

export function addPlayground(dispatcher: Dispatcher): void {
  const params = ["first", "second"];
  dispatcher.add("add", (first: number, second: number) => first + second, { params });
  dispatcher.add("subtract", (first: number, second: number) => first - second, { params });
}
