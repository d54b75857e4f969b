// From what a module serves to what can be called through a client.
import type { MethodsOf } from "zerotask-core";
import type { TaskHandle } from "./task-handle.ts";

/** Stands for a module of which nothing is known: anything can be called. */
export interface AnyMethods {
  readonly "zerotask: anything": never;
}

/** What a `Client` of this module can be asked. */
export type Calls<Module> = [Module] extends [AnyMethods] ? AnyCalls : CallsOf<MethodsOf<Module>>;

/** What an `AsyncClient` of this module can be asked. */
export type Submits<Module> = [Module] extends [AnyMethods] ? AnySubmits : SubmitsOf<MethodsOf<Module>>;

/** What can be asked without waiting for anything. */
export type Ignores<Module> = [Module] extends [AnyMethods] ? AnyIgnores : IgnoresOf<MethodsOf<Module>>;

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

// biome-ignore-start lint/suspicious/noExplicitAny: nothing is known of these methods
export interface AnyCalls {
  (...args: any[]): Promise<any>;
  readonly [name: string]: AnyCalls;
}

export interface AnySubmits {
  (...args: any[]): TaskHandle<any>;
  readonly [name: string]: AnySubmits;
}

export interface AnyIgnores {
  (...args: any[]): void;
  readonly [name: string]: AnyIgnores;
}
// biome-ignore-end lint/suspicious/noExplicitAny: nothing is known of these methods
