// How a handler is called: params become positions, and whatever comes of it becomes one result or error.
import { errorToWire, InvalidParamsError } from "../errors.ts";
import { describe } from "../protocol/decode.ts";
import { type ErrorObject, errorObject, type Params } from "../protocol/messages.ts";
import { collect, UncollectableError } from "./collect.ts";
import type { Handler } from "./handler.ts";
import { currentScope, type Scope } from "./scope.ts";

/** Gets the error, or else the result. */
export type Callback = (error: ErrorObject | null, result?: unknown) => void;

/** Calls `handler`. `callback` is called once, and at once where the handler returned no promise. Never throws. */
export function run(
  handler: Handler,
  given: Params | undefined,
  names: readonly string[] | undefined,
  callback: Callback,
): void {
  const scope = currentScope();
  let result: unknown;
  let promise: PromiseLike<unknown> | undefined;
  try {
    const params = positions(given, names);
    result = scope?.invoke === undefined ? handler(...params) : scope.invoke(handler, params);
    if (isThenable(result)) promise = result;
  } catch (error) {
    fail(error, scope, callback);
    return;
  }
  if (promise === undefined) finish(result, scope, callback);
  else
    Promise.resolve(promise).then(
      (value) => finish(value, scope, callback),
      (error) => fail(error, scope, callback),
    );
}

function finish(result: unknown, scope: Scope | undefined, callback: Callback): void {
  let isItems: boolean;
  try {
    isItems = isAsyncIterable(result);
  } catch (error) {
    fail(error, scope, callback);
    return;
  }
  if (!isItems) callback(null, result);
  else
    consume(result as AsyncIterable<unknown>, scope).then(
      (value) => callback(null, value),
      (error) => {
        if (error instanceof UncollectableError) callback(errorObject(error.code, error.message));
        else fail(error, scope, callback);
      },
    );
}

/** Tells whoever wants to know what was thrown, and then the caller. */
export function fail(error: unknown, scope: Scope | undefined, callback: Callback): void {
  try {
    scope?.onThrown?.(error);
  } catch {
    // Anything may have been thrown, also what can't even be looked at: it must not keep the answer from its caller.
  }
  callback(errorToWire(error));
}

async function consume(items: AsyncIterable<unknown>, scope: Scope | undefined): Promise<unknown> {
  return scope?.consume === undefined ? collect(items, scope) : scope.consume(items);
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

export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === "object" && value !== null) || typeof value === "function") &&
    typeof (value as { then?: unknown }).then === "function"
  );
}
