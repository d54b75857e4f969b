// Params that are streams: found among the others, and taken out of what is sent.
import { type InputKey, isAsyncIterable, type Params } from "zerotask-core";
import { checkParams } from "../params.ts";

export interface SplitParams {
  /** With `null` in the place of each stream. */
  readonly params: Params;
  readonly inputs: ReadonlyMap<InputKey, AsyncIterable<unknown>>;
}

/** Whether any param is a stream. Only params themselves are looked at, not what is in them. */
export function hasInputs(params: Params): boolean {
  if (!Array.isArray(params)) return Object.values(params).some(isAsyncIterable);
  for (const param of params) if (typeof param === "object" && isAsyncIterable(param)) return true;
  return false;
}

export function splitParams(params: Params): SplitParams {
  const inputs = new Map<InputKey, AsyncIterable<unknown>>();
  const take = (key: InputKey, param: unknown): unknown => {
    if (!isAsyncIterable(param)) return param;
    inputs.set(key, param);
    return null;
  };
  if (isArray(params)) return { params: params.map((param, place) => take(place, param)), inputs };
  const entries = Object.entries(params).map(([name, param]) => [name, take(name, param)]);
  return { params: Object.fromEntries(entries), inputs };
}

/** @throws OptionError for what can't be params, TypeError when any is a stream: what is stored can't have some */
export function checkStorable(params: unknown): void {
  checkParams(params);
  if (!hasInputs(params)) return;
  throw new TypeError(
    "Expected params that can be stored, got an async iterable: only calls in memory take streams",
  );
}

/** `Array.isArray` does not narrow read-only arrays. */
function isArray(params: Params): params is readonly unknown[] {
  return Array.isArray(params);
}
