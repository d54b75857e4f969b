// What can be params: a list of them, or an object of them by name.
import { isAsyncIterable, OptionError, type Params } from "zerotask-core";

/** @throws OptionError for what can't be params */
export function checkParams(params: unknown): asserts params is Params {
  if (typeof params === "object" && params !== null && !isAsyncIterable(params)) return;
  throw new OptionError("params", "an array, or an object of params by name", params);
}
