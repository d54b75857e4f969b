// The type of a batch handler, and what one call of it looks like to a client.
import type { Handler } from "./handler.ts";

/** Only in types: what tells the calls of a batch handler from an array that is a param. */
declare const batched: unique symbol;

/**
 * What a batch handler takes: the params of each call, such as `Batch<[text: string]>`. By it a client's method is known
 * to take the params of one call. It is an array like any other, so a test can hand over `[["a"], ["b"]]`.
 */
export interface Batch<Args extends readonly unknown[]> extends Array<Args> {
  readonly [batched]?: Args;
}

/** What a batch handler returns, or promises: a result for each call, in the same order, or the error of that call. */
export type Results<Result> = readonly (Result | Error)[];

/** Any batch handler. */
// biome-ignore lint/suspicious/noExplicitAny: parameters of unknown handlers can't be typed otherwise
export type BatchHandler = (calls: Batch<any>) => Results<unknown> | PromiseLike<Results<unknown>>;

/** The params of one call of a batch handler. */
export type CallOf<Fn> = Fn extends (calls: infer Calls) => unknown
  ? Calls extends readonly (infer Args extends readonly unknown[])[]
    ? Args
    : never
  : never;

/** The same handler, whose calls are told from an array that is a param. */
export type AsBatch<Fn extends BatchHandler> = (calls: Batch<CallOf<Fn>>) => ReturnType<Fn>;

/** Whether a handler's type says that it takes a `Batch`. */
export type IsBatch<Fn> = Fn extends (calls: infer Calls) => unknown ? IsBrandedArray<Calls> : false;

/** How a handler is called by a client: a batch handler by the params of one call, any other as it is. */
export type PerCall<Fn> = IsBatch<Fn> extends true ? (...args: CallOf<Fn>) => Promise<ResultOf<Fn>> : Fn;

// `any` and `never` have every key: `0 extends 1 & any`, and so does `never`.
type IsBrandedArray<Calls> = 0 extends 1 & Calls
  ? false
  : [Calls] extends [never]
    ? false
    : typeof batched extends keyof Calls
      ? true
      : false;

type ResultOf<Fn> = Fn extends Handler
  ? Awaited<ReturnType<Fn>> extends readonly (infer Item)[]
    ? Success<Awaited<Item>>
    : never
  : never;

/** Data may look like an error, with a name and a message; a stack only errors have. */
type Success<Item> = Item extends Error ? ("stack" extends keyof Item ? never : Item) : Item;
