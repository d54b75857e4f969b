// How a handler is called: params become positions, and whatever comes of it becomes one result or error.
import { errorToWire, InvalidParamsError } from "../errors.ts";
import { describe } from "../protocol/decode.ts";
import type { ErrorObject, Params } from "../protocol/messages.ts";
import type { Handler } from "./handler.ts";

/** Gets the error, or else the result. */
export type Callback = (error: ErrorObject | null, result?: unknown) => void;

/** Calls `handler`. `callback` is called once, and at once where the handler returned no promise. Never throws. */
export function run(
  handler: Handler,
  given: Params | undefined,
  names: readonly string[] | undefined,
  callback: Callback,
): void {
  let result: unknown;
  let promise: PromiseLike<unknown> | undefined;
  try {
    result = handler(...positions(given, names));
    if (isThenable(result)) promise = result;
  } catch (error) {
    callback(errorToWire(error));
    return;
  }
  if (promise === undefined) callback(null, result);
  else
    Promise.resolve(promise).then(
      (value) => callback(null, value),
      (error) => callback(errorToWire(error)),
    );
}

/** Params in the order of `names`; without names, params by name are one object. @throws InvalidParamsError */
export function positions(
  given: Params | undefined,
  names: readonly string[] | undefined,
): readonly unknown[] {
  if (given === undefined) return [];
  if (Array.isArray(given)) return given;
  if (names === undefined) return [given];
  for (const name of Object.keys(given)) {
    if (!names.includes(name)) {
      throw new InvalidParamsError(`Expected the params ${names.join(", ")}, got ${describe(name)}`);
    }
  }
  const named = given as { readonly [name: string]: unknown };
  return names.map((name) => (Object.hasOwn(named, name) ? named[name] : undefined));
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === "object" && value !== null) || typeof value === "function") &&
    typeof (value as { then?: unknown }).then === "function"
  );
}
