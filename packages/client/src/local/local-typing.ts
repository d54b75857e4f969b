// From what a module serves to what can be asked of it within one process.
import type { MethodsOf } from "zerotask-core";
import type { TaskHandle } from "../task-handle.ts";
import type { AnyMethods } from "../typing.ts";

/** What returns handles. */
export type LocalSubmits<Module> = unknown extends Module ? AnyMethods : SubmitsOf<MethodsOf<Module>>;

/** What returns items one after another. */
export type LocalStreams<Module> = unknown extends Module ? AnyMethods : StreamsOf<MethodsOf<Module>>;

type SubmitsOf<T> = {
  readonly [K in keyof T & string]: T[K] extends (...args: infer Args) => infer Result
    ? ((...args: Args) => TaskHandle<ResultOf<Result>, Readonly<Args>>) & SubmitsOf<T[K]>
    : SubmitsOf<T[K]>;
};

type StreamsOf<T> = {
  readonly [K in keyof T & string]: T[K] extends (...args: infer Args) => infer Result
    ? ((...args: Args) => AsyncIterableIterator<ItemOf<Result>>) & StreamsOf<T[K]>
    : StreamsOf<T[K]>;
};

type ItemOf<Result> = Awaited<Result> extends AsyncIterable<infer Item> ? Item : never;
type ResultOf<Result> = Awaited<Result>;
