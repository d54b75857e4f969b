// What passes between caller and handler is copied through JSON, so that what works in one process works between two.
import {
  defaultLimits,
  ErrorCode,
  isAsyncIterable,
  isDeeperThan,
  isLongerThan,
  type Params,
  TooLargeError,
} from "zerotask-core";
import { checkParams } from "../params.ts";
import { LocalInput } from "./local-input.ts";

/**
 * Params as they would arrive. An async iterable among them is one whose items are copied.
 * @throws OptionError for what can't be params, TypeError for what JSON can't hold, TooLargeError for what no message can carry
 */
export function copyParams(params: Params): Params {
  checkParams(params);
  if (Array.isArray(params)) {
    if (!params.some(isAsyncIterable)) return copy("params", params) as Params;
    return params.map((param) => (isAsyncIterable(param) ? inputOf(param) : copy("params", [param])[0]));
  }
  const entries = Object.entries(params);
  if (!entries.some(([, param]) => isAsyncIterable(param))) return copy("params", params) as Params;
  return Object.fromEntries(
    entries.map(([name, param]) => [
      name,
      isAsyncIterable(param) ? inputOf(param) : copy("params", [param])[0],
    ]),
  );
}

/** A value as it would arrive; `undefined` stays what it is. @throws TypeError for what JSON can't hold, TooLargeError */
export function copyValue(what: string, value: unknown): unknown {
  return value === undefined ? undefined : copy(what, [value])[0];
}

function copy<T extends object>(what: string, value: T): T {
  let text: string;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    const { message } = error as Error;
    throw new TypeError(`Expected ${what} that JSON can hold, got some that it can't: ${message}`, {
      cause: error,
    });
  }
  const most = defaultLimits.maxMessageBytes;
  if (isLongerThan(text, most)) {
    const got = Buffer.byteLength(text);
    throw new TooLargeError(`Expected ${what} of at most ${most} bytes, got ${got}`, ErrorCode.TooLarge);
  }
  const deepest = defaultLimits.maxDepth;
  if (isDeeperThan(value, deepest)) {
    throw new TooLargeError(
      `Expected ${what} of at most ${deepest} levels of nesting, got more`,
      ErrorCode.TooLarge,
    );
  }
  return JSON.parse(text);
}

function inputOf(items: AsyncIterable<unknown>): LocalInput {
  return new LocalInput(items, (item) => copyValue("items", item));
}
