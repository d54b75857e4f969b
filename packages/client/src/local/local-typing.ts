// From what a module serves to what can be asked of it within one process.
import type { MethodsOf } from "zerotask-core";
import type { TaskHandle } from "../task-handle.ts";
import type { AnyMethods, Collected } from "../typing.ts";

/** What returns handles. */
export type LocalSubmits<Module> = unknown extends Module ? AnyMethods : SubmitsOf<MethodsOf<Module>>;

type SubmitsOf<T> = {
  readonly [K in keyof T & string]: T[K] extends (...args: infer Args) => infer Result
    ? ((...args: Args) => TaskHandle<Collected<Result>, Readonly<Args>>) & SubmitsOf<T[K]>
    : SubmitsOf<T[K]>;
};
