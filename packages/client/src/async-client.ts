// `later.add(5, 6)`: submits tasks, and returns handles at once.
import { OptionError, type Params } from "zerotask-core";
import { handleHostOf } from "./handle-host.ts";
import type { Management } from "./management.ts";
import type { Nesting } from "./nesting.ts";
import { type CallOptions, type ClientOptions, resolveCallOptions, resolveClientOptions } from "./options.ts";
import { methodProxy } from "./proxy.ts";
import { openShared, type Shared } from "./shared.ts";
import { TaskHandle } from "./task-handle.ts";
import type { Ignores, Submits } from "./typing.ts";

export interface AsyncClientControls<Methods> extends Management<Methods> {
  /** The same client with other options for the tasks submitted through it. */
  $with(options: CallOptions): AsyncClient<Methods>;
  /** Submits tasks and forgets them: never rejects, and nothing is kept of them. */
  readonly $ignore: Ignores<Methods>;
  /** A handle on a task that anybody submitted, by its id. */
  $handle<Result = unknown>(id: string): TaskHandle<Result>;
  /** Submits a task by its method's name, with params by position or by name. */
  // biome-ignore lint/suspicious/noExplicitAny: nothing is known of a method that is named at run time
  $call(method: string, params?: Params): TaskHandle<any>;
  /** Waits a moment for submitted tasks to be accepted, and leaves the broker; tasks go on, waits reject. */
  $close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Submits tasks to nodes. Each call returns a `TaskHandle` at once. Typed like `Client`. */
export type AsyncClient<Methods = unknown> = Submits<Methods> & AsyncClientControls<Methods>;

export interface AsyncClientConstructor {
  /**
   * Connects when the first task is submitted, and again whenever the connection is lost.
   * @param endpoint the broker's request socket. @default "tcp://127.0.0.1:5555"
   * @throws OptionError for an option that is unknown or out of range
   */
  new <Methods = unknown>(endpoint?: string, options?: ClientOptions): AsyncClient<Methods>;
  new <Methods = unknown>(options: ClientOptions): AsyncClient<Methods>;
}

class AsyncClientImplementation {
  constructor(first?: string | ClientOptions, second?: ClientOptions) {
    const options = resolveClientOptions(first, second);
    // biome-ignore lint/correctness/noConstructorReturn: what users hold is the proxy
    return laterView(openShared(options, options.closeTimeoutMs), options.call) as AsyncClientImplementation;
  }
}

/** @param nesting where a handler submits the tasks: they are of its trace, but have all the time that they want */
export function laterView(shared: Shared, options: CallOptions, nesting?: Nesting): object {
  const { tracker, management, close } = shared;
  const host = handleHostOf(shared, nesting);
  const inherited = nesting === undefined ? {} : { trace: nesting.trace };
  const track = tracker.submitter(options, inherited);
  const ignored = { ...options, ...inherited };
  const submit = (method: string, params: Params): TaskHandle => new TaskHandle(track(method, params), host);
  const controls = {
    ...management,
    $with: (more: CallOptions) => laterView(shared, resolveCallOptions(more, options), nesting),
    $ignore: methodProxy({}, (method, params) => {
      tracker.ignore(method, params, ignored).catch(() => undefined);
    }),
    $handle: (id: string) => {
      if (typeof id !== "string" || id === "") throw new OptionError("id", "a task's id", id);
      return new TaskHandle(tracker.find(id), host);
    },
    $call: (method: string, params: Params = []) => submit(method, params),
    $close: close,
    [Symbol.asyncDispose]: close,
  };
  return methodProxy(controls, submit);
}

export const AsyncClient: AsyncClientConstructor =
  AsyncClientImplementation as unknown as AsyncClientConstructor;
