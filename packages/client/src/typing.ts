// From what a module serves to what can be called through a client.
import type { MethodsOf } from "zerotask-core";
import type { TaskHandle } from "./task-handle.ts";

/** What a `Client` of this module can be asked. Of `unknown` nothing is known: anything can be called. */
export type Calls<Module> = unknown extends Module ? AnyMethods : CallsOf<MethodsOf<Module>>;

/** What an `AsyncClient` of this module can be asked. */
export type Submits<Module> = unknown extends Module ? AnyMethods : SubmitsOf<MethodsOf<Module>>;

/** What can be asked without waiting for anything. */
export type Ignores<Module> = unknown extends Module ? AnyMethods : IgnoresOf<MethodsOf<Module>>;

type CallsOf<T> = {
  readonly [K in keyof T & string]: T[K] extends (...args: infer Args) => infer Result
    ? ((...args: Args) => Promise<Awaited<Result>>) & CallsOf<T[K]>
    : CallsOf<T[K]>;
};

type SubmitsOf<T> = {
  readonly [K in keyof T & string]: T[K] extends (...args: infer Args) => infer Result
    ? ((...args: Args) => TaskHandle<Awaited<Result>>) & SubmitsOf<T[K]>
    : SubmitsOf<T[K]>;
};

type IgnoresOf<T> = {
  readonly [K in keyof T & string]: T[K] extends (...args: infer Args) => unknown
    ? ((...args: Args) => void) & IgnoresOf<T[K]>
    : IgnoresOf<T[K]>;
};

/**
 * Anything can be called, and returns what such a client returns. Members are `any` because an index signature
 * of functions would be "possibly undefined" for users of `noUncheckedIndexedAccess`.
 */
export interface AnyMethods {
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly [name: string]: any;
}
