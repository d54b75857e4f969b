// `task`: names a function or method, so that nodes can serve it and clients can be typed by it.
import { knownOptions, OptionError } from "../options.ts";
import { traitNames } from "../protocol/method-options.ts";
import type { AsBatch, BatchHandler, CallOf, IsBatch } from "./batch-typing.ts";
import { Dispatcher } from "./dispatcher.ts";
import type { Handler } from "./handler.ts";
import { isolationNames } from "./isolation.ts";
import { isLifecycleClass, type LifecycleClass, type LifecycleHandler, lifecycle } from "./lifecycle.ts";
import { markMethod, type TaskOptions } from "./mark.ts";
import type { BatchOptions } from "./traits.ts";

/** Only in types: the name that a task's function goes by. */
declare const taskName: unique symbol;

/** A handler with the name it is served as, from which clients are typed. */
export type Task<Name extends string, Fn extends Handler> = Fn & { readonly [taskName]: Name };

/** The name in a `Task`'s type. */
export type NameOf<T> = T extends { readonly [taskName]: infer Name } ? Name : never;

/** `Args` are the params that a singleton's function takes: the method has to be called with such. */
type MethodDecorator<Args extends readonly unknown[]> = <T extends Handler>(
  method: T & Single<T> & Taking<Parameters<T>, Args>,
  context: ClassMethodDecoratorContext,
) => void;
type BatchMethodDecorator<Args extends readonly unknown[]> = <T extends BatchHandler>(
  method: T & Branded<T> & Taking<CallOf<T>, Args>,
  context: ClassMethodDecoratorContext,
) => void;

/** Whether a function of `Args` can be called with `Params`. By `infer` it is asked once these are known, and no earlier. */
type Taking<Params, Args extends readonly unknown[]> = Params extends infer Known extends readonly unknown[]
  ? ((...args: Args) => void) extends (...args: Known) => void
    ? unknown
    : never
  : never;

/** A handler that takes a `Batch` needs the option `batch`: without it, it would be given the params of one call. */
type Single<Fn> = IsBatch<Fn> extends true ? never : unknown;
/** The items of its array are the params of calls. */
type Many<Fn> = [CallOf<Fn>] extends [never] ? never : unknown;
/** A decorator can't change a method's type: clients know by its param that it is a batch handler. */
type Branded<Fn> = IsBatch<Fn> extends true ? unknown : never;

interface Unbatched {
  readonly batch?: never;
}

interface Batched {
  readonly batch: BatchOptions;
  /** By params, or none: what runs one at a time is never collected. */
  readonly singleton?: false | object;
}

/** Serves `handler` as `name`: registers it at once. @throws OptionError when the name is taken or reserved */
export function task<const Name extends string, Fn extends Handler>(
  name: Name,
  handler: Fn & Single<Fn>,
): Task<Name, Fn>;
/** Serves a handler that takes many calls in one run, as `options.name`. */
export function task<const Name extends string, Fn extends BatchHandler>(
  options: TaskOptions<CallOf<Fn>> & Batched & { readonly name: Name },
  handler: Fn & Many<Fn>,
): Task<Name, AsBatch<Fn>>;
/** Serves `handler` as `options.name`. @throws OptionError also for options that are unknown or out of range */
export function task<const Name extends string, Fn extends Handler>(
  options: TaskOptions<Parameters<Fn>> & Unbatched & { readonly name: Name },
  handler: Fn & Single<Fn>,
): Task<Name, Fn>;
/**
 * Serves a class of long-running work, with `start()` and perhaps `stop()`: each run makes an instance with the task's
 * params, and starts it.
 */
export function task<const Name extends string, Class extends LifecycleClass>(
  name: Name | (TaskOptions<ConstructorParameters<Class>> & Unbatched & { readonly name: Name }),
  Class: Class,
): Task<Name, LifecycleHandler<Class>>;
/** Decorates a method: the node that loads the class's module makes one instance of it and serves it. */
export function task<T extends Handler>(method: T & Single<T>, context: ClassMethodDecoratorContext): void;
/** Decorates a method that takes a `Batch` of calls in one run. */
// biome-ignore lint/suspicious/noExplicitAny: what a function without types takes is not known
export function task<Args extends readonly unknown[] = any[]>(
  options: TaskOptions<Args> & Batched,
): BatchMethodDecorator<Args>;
/** Decorates a method, with options. */
// biome-ignore lint/suspicious/noExplicitAny: what a function without types takes is not known
export function task<Args extends readonly unknown[] = any[]>(
  options: TaskOptions<Args> & Unbatched,
): MethodDecorator<Args>;
export function task(first: unknown, ...rest: readonly unknown[]): unknown {
  const [second] = rest;
  if (typeof first === "function") return markMethod(first, second, {});
  const options = readOptions(first);
  if (rest.length === 0) {
    return (method: Handler, context: unknown) => markMethod(method, context, options);
  }
  if (typeof second !== "function") throw new OptionError("handler", "a function", second);
  const handler: Handler = isLifecycleClass(second) ? lifecycle(second) : (second as Handler);
  if (options.name === undefined) throw new OptionError("name", "a string", options.name);
  const { name, dispatcher = Dispatcher.instance(), ...handlerOptions } = options;
  dispatcher.add(name, handler, handlerOptions);
  return handler;
}

const optionNames = ["name", "params", "dispatcher", ...isolationNames, ...traitNames];

function readOptions(value: unknown): TaskOptions {
  if (typeof value === "string") return { name: value };
  if (typeof value === "object" && value !== null) {
    // Here rather than where a method is registered: the stack then leads to the mistake.
    knownOptions("task", value, optionNames);
    return value as TaskOptions;
  }
  throw new OptionError("task", "a name, options or a method to decorate", value);
}
