// What a schedule is called that was given no name: its method, with the params as JSON.
import type { Params } from "zerotask-core";

/** `add(5, 6)`, or `add` where there are no params. */
export function defaultName(method: string, params: Params = []): string {
  const texts = (Array.isArray(params) ? params : [params]).map((param) => JSON.stringify(param) ?? "null");
  return texts.length === 0 ? method : `${method}(${texts.join(", ")})`;
}
