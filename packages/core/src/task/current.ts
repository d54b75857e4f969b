// What a handler can know of the task that it runs, and how it hears that nobody wants it any more.

export interface TaskContext {
  /** The task's id. */
  readonly id: string;
  /** Which assignment of the task to a node this is, from 1. Each has its own. */
  readonly attempt: number;
  readonly method: string;
  /** Fires when the task was stopped, ran out of time, or was given to another node: its outcome counts no more. */
  readonly signal: AbortSignal;
}

interface Shared {
  making: (() => TaskContext) | undefined;
}

// Several copies of this package may be loaded in one process; they share what runs.
const key = Symbol.for("zerotask.current");
const holder = globalThis as { [key]?: Shared };
holder[key] ??= { making: undefined };
const shared: Shared = holder[key];

/**
 * The task that is running. To be called at the start of a handler, before its first `await`: keep what it returns.
 * @throws Error when called anywhere else
 */
export function current(): TaskContext {
  if (shared.making === undefined) {
    throw new Error("Expected current() to be called by a handler on a node, before its first await");
  }
  return shared.making();
}

/**
 * From here on `current()` is what `make` makes.
 * @returns what it was before, for `leave`
 */
export function enter(make: (() => TaskContext) | undefined): (() => TaskContext) | undefined {
  const outer = shared.making;
  shared.making = make;
  return outer;
}

/** Ends what `enter` began. */
export function leave(outer: (() => TaskContext) | undefined): void {
  shared.making = outer;
}
