// `task`: names a function or method, so that nodes can serve it and clients can be typed by it.
import { OptionError } from "../options.ts";
import { Dispatcher } from "./dispatcher.ts";
import type { Handler } from "./handler.ts";
import { markMethod, type TaskOptions } from "./mark.ts";

/** Only in types: the name that a task's function goes by. */
declare const taskName: unique symbol;

/** A handler with the name it is served as, from which clients are typed. */
export type Task<Name extends string, Fn extends Handler> = Fn & { readonly [taskName]: Name };

/** The name in a `Task`'s type. */
export type NameOf<T> = T extends { readonly [taskName]: infer Name } ? Name : never;

type MethodDecorator = <T extends Handler>(method: T, context: ClassMethodDecoratorContext) => void;

/** Serves `handler` as `name`: registers it at once. @throws when the name is taken or reserved */
export function task<const Name extends string, Fn extends Handler>(name: Name, handler: Fn): Task<Name, Fn>;
/** Serves `handler` as `options.name`. */
export function task<const Name extends string, Fn extends Handler>(
  options: TaskOptions & { readonly name: Name },
  handler: Fn,
): Task<Name, Fn>;
/** Decorates a method: the node that loads the class's module makes one instance of it and serves it. */
export function task<T extends Handler>(method: T, context: ClassMethodDecoratorContext): void;
/** Decorates a method, with options. */
export function task(options: TaskOptions): MethodDecorator;
export function task(first: unknown, ...rest: readonly unknown[]): unknown {
  const [second] = rest;
  if (typeof first === "function") return markMethod(first, second, {});
  const options = readOptions(first);
  if (rest.length === 0) {
    return (method: Handler, context: unknown) => markMethod(method, context, options);
  }
  if (typeof second !== "function") throw new OptionError("handler", "a function", second);
  if (options.name === undefined) throw new OptionError("name", "a string", options.name);
  const { name, dispatcher = Dispatcher.instance(), ...handlerOptions } = options;
  dispatcher.add(name, second as Handler, handlerOptions);
  return second;
}

function readOptions(value: unknown): TaskOptions {
  if (typeof value === "string") return { name: value };
  if (typeof value === "object" && value !== null) return value as TaskOptions;
  throw new OptionError("task", "a name, options or a method to decorate", value);
}
