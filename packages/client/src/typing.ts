// From what a module serves to what can be called through a client.
import type { MethodsOf, Params } from "zerotask-core";
import type { TaskHandle } from "./task-handle.ts";

/** What a `Client` of this module can be asked. Of `unknown` nothing is known: anything can be called. */
export type Calls<Module> = unknown extends Module ? AnyMethods : CallsOf<MethodsOf<Module>>;

/** What an `AsyncClient` of this module can be asked. */
export type Submits<Module> = unknown extends Module ? AnyMethods : SubmitsOf<MethodsOf<Module>>;

/** What a `Client` of this module can read item by item. */
export type Streams<Module> = unknown extends Module ? AnyMethods : StreamsOf<MethodsOf<Module>>;

/** What can be asked without waiting for anything. */
export type Ignores<Module> = unknown extends Module ? AnyMethods : IgnoresOf<MethodsOf<Module>>;

type CallsOf<T> = {
  readonly [K in keyof T & string]: T[K] extends (...args: infer Args) => infer Result
    ? ((...args: Args) => Promise<Collected<Result>>) & CallsOf<T[K]>
    : CallsOf<T[K]>;
};

type SubmitsOf<T> = {
  readonly [K in keyof T & string]: T[K] extends (...args: infer Args) => infer Result
    ? ((...args: Args) => TaskHandle<Collected<Result>, Readonly<Args>>) & SubmitsOf<T[K]>
    : SubmitsOf<T[K]>;
};

type IgnoresOf<T> = {
  readonly [K in keyof T & string]: T[K] extends (...args: infer Args) => unknown
    ? ((...args: Args) => void) & IgnoresOf<T[K]>
    : IgnoresOf<T[K]>;
};

/** What a handler yields is collected where it is not asked for as a stream. */
export type Collected<Result> = 0 extends 1 & Result
  ? Result
  : Awaited<Result> extends AsyncIterable<infer Item>
    ? Item[]
    : Awaited<Result>;

type StreamsOf<T> = {
  readonly [K in keyof T & string as HasStreams<T[K]> extends true ? K : never]: StreamCall<T[K]> &
    StreamsOf<T[K]>;
};

type StreamCall<Fn> = Fn extends (...args: infer Args) => infer Result
  ? [ItemOf<Result>] extends [never]
    ? unknown
    : (...args: Args) => AsyncIterable<ItemOf<Result>>
  : unknown;

/** What a handler of this result yields; `never` where it yields nothing. */
type ItemOf<Result> = 0 extends 1 & Result
  ? never
  : Awaited<Result> extends AsyncIterable<infer Item>
    ? Item
    : never;

/** Whether it yields something, or anything in it does. What leads back to itself is not followed into what it is in. */
type HasStreams<T, Above = never> = T extends Plain | Above
  ? false
  : T extends (...args: never[]) => infer Result
    ? [ItemOf<Result>] extends [never]
      ? HasStreamsIn<T, Above | T>
      : true
    : HasStreamsIn<T, Above | T>;

type HasStreamsIn<T, Above> = true extends {
  [K in keyof T & string]: HasStreams<T[K], Above>;
}[keyof T & string]
  ? true
  : false;

/**
 * Anything can be called, and returns what such a client returns. Members are `any` because an index signature
 * of functions would be "possibly undefined" for users of `noUncheckedIndexedAccess`.
 */
export interface AnyMethods {
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly [name: string]: any;
}

/** The names of the methods of this module, such as `"images.resize"`. Of `unknown`: any. */
export type MethodName<Module> = unknown extends Module
  ? string
  : Named<MethodsOf<Module>> extends { readonly name: infer Name extends string }
    ? Name
    : never;

/** The parameters of the method of that name. */
export type ParamsOf<Module, Name> = unknown extends Module
  ? Params
  : Extract<Named<MethodsOf<Module>>, { readonly name: Name }> extends { readonly params: infer P }
    ? P
    : never;

/**
 * Each method with its whole name, of nested objects. What a module exports besides may be an object that leads back
 * to itself: it is not followed into what it is in.
 */
type Named<T, Prefix extends string = "", Above = never> = T extends Plain | Above
  ? never
  : {
      [K in keyof T & string]:
        | (T[K] extends (...args: infer Args) => unknown
            ? { readonly name: `${Prefix}${K}`; readonly params: Readonly<Args> }
            : never)
        | Named<T[K], `${Prefix}${K}.`, Above | T>;
    }[keyof T & string];

/** What has no methods of a user in it, though its own may be called. */
type Plain =
  | string
  | number
  | bigint
  | boolean
  | symbol
  | null
  | undefined
  | readonly unknown[]
  | Date
  | RegExp
  | Error
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | WeakMap<WeakKey, unknown>
  | WeakSet<WeakKey>
  | PromiseLike<unknown>
  | ArrayBufferLike
  | ArrayBufferView
  | URL
  | AbortSignal;
