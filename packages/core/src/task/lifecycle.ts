// Long-running work as a class: made with the task's params, started, and stopped when the task is.
import { errorToWire, stoppedBefore } from "../errors.ts";
import { OptionError } from "../options.ts";
import { current } from "./current.ts";
import type { Handler } from "./handler.ts";

/** Work that goes on until it is stopped, or done. */
export interface Lifecycle {
  /**
   * Does the work: the task runs until it returns, or what it returns resolves, with the task's result. One that has
   * only begun something, and returns at once, is `FINISHED`. It has to be a method, not a property.
   */
  start(): unknown;
  /**
   * Called once when the task is to end: `start` has to return soon. What it returns is waited for, too. A class without
   * it learns from `current().signal` that it is to end.
   */
  stop?(): unknown;
}

/** A class of such work, whose constructor takes the params. */
// biome-ignore lint/suspicious/noExplicitAny: the params of unknown classes can't be typed otherwise
export type LifecycleClass = new (...args: any[]) => Lifecycle;

/** The handler of a task that runs such a class. */
export type LifecycleHandler<Class extends LifecycleClass> = (
  ...args: ConstructorParameters<Class>
) => ReturnType<InstanceType<Class>["start"]>;

/** What a class of such work has to have, where one is given that has not. */
export const expectedLifecycle: string =
  "a class with a method `start() {…}` (a property `start = () => …` is none)";

/** Makes a handler of a class: each run makes an instance of its own. @throws OptionError for what is no such class */
export function lifecycle<Class extends LifecycleClass>(Class: Class): LifecycleHandler<Class> {
  if (!isLifecycleClass(Class)) throw new OptionError("Class", expectedLifecycle, Class);
  return (async (...params: ConstructorParameters<Class>) => {
    const { signal, log } = current();
    if (signal.aborted) throw stoppedBefore();
    const work = new Class(...params);
    let stopping: Promise<unknown> | undefined;
    const stop = (): void => {
      stopping ??= (async () => work.stop?.())();
      // It may be why the work does not end.
      stopping.catch((error: unknown) => {
        const { message, data } = errorToWire(error);
        log.error(`stop() threw: ${message}`, data);
      });
    };
    signal.addEventListener("abort", stop, { once: true });
    try {
      return await work.start();
    } finally {
      signal.removeEventListener("abort", stop);
      // However start() ended: the next run of the task begins when this one is over.
      await stopping?.catch(() => undefined);
    }
  }) as Handler as LifecycleHandler<Class>;
}

/** By its text: only so a class is told from other functions, of which some can be called without `new`. */
export function isClass(value: unknown): boolean {
  return typeof value === "function" && /^class\b/.test(Function.prototype.toString.call(value));
}

export function isLifecycleClass(value: unknown): value is LifecycleClass {
  if (typeof value !== "function") return false;
  const { prototype } = value as { readonly prototype?: { readonly start?: unknown } };
  return typeof prototype?.start === "function";
}
