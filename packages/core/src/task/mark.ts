// What `@task` leaves on a method, for the loader of its module to find.
import type { Dispatcher } from "./dispatcher.ts";
import type { Handler } from "./handler.ts";
import type { IsolationOptions } from "./isolation.ts";
import type { TraitOptions } from "./traits.ts";

/** `Args` are the params of one call. */
// biome-ignore lint/suspicious/noExplicitAny: a decorator's options don't know their method's params
export interface TaskOptions<Args extends readonly unknown[] = any[]>
  extends TraitOptions<Args>,
    IsolationOptions {
  /** The method it is asked for by. @default the decorated method's own name */
  readonly name?: string;
  /** Parameter names in order: calls with params by name are then turned into positions. */
  readonly params?: readonly string[];
  /** Where to register. @default Dispatcher.instance(), or for decorated methods the loading node's */
  readonly dispatcher?: Dispatcher;
}

export interface TaskMark extends TaskOptions {
  readonly name: string;
}

export interface MarkedMethod {
  readonly mark: TaskMark;
  readonly handler: Handler;
}

// Several copies of this package may be loaded in one process; they share their marks.
const markKey = Symbol.for("zerotask.task");

/** Marks a method. @throws TypeError when it is no public instance method, or the decorators are the old ones */
export function markMethod(method: unknown, context: unknown, options: TaskOptions): void {
  const { kind, name, private: isPrivate, static: isStatic } = (context ?? {}) as ClassMethodDecoratorContext;
  if (
    kind !== "method" ||
    typeof method !== "function" ||
    typeof name !== "string" ||
    isPrivate ||
    isStatic
  ) {
    throw new TypeError(
      "@task expects a public instance method and standard decorators " +
        '(a tsconfig.json with "experimentalDecorators" has the old ones)',
    );
  }
  Object.defineProperty(method, markKey, { value: { ...options, name: options.name ?? name } });
}

/** Every marked method of an object or a prototype. One that is overridden counts as its override is marked. */
export function* taskMethods(object: object): Generator<MarkedMethod> {
  const seen = new Set<string>();
  for (
    let level: object | null = object;
    level && level !== Object.prototype;
    level = Object.getPrototypeOf(level)
  ) {
    for (const [key, { value }] of Object.entries(Object.getOwnPropertyDescriptors(level))) {
      const mark = seen.has(key) ? undefined : markOf(value);
      seen.add(key);
      if (mark !== undefined) yield { mark, handler: value };
    }
  }
}

function markOf(value: unknown): TaskMark | undefined {
  return typeof value === "function" ? (value as { [markKey]?: TaskMark })[markKey] : undefined;
}
