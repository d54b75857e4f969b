// A client whose tasks run in this process: no sockets and no broker, for tests and small programs.
import {
  Dispatcher,
  ErrorCode,
  knownOptions,
  type Logger,
  NotAllowedError,
  OptionError,
  type Params,
  positiveInteger,
  type Runtime,
  silentLogger,
  systemRuntime,
  type Timer,
} from "zerotask-core";
import type { AsyncClient } from "../async-client.ts";
import type { ClientControls, StreamControls } from "../client.ts";
import type { EventFilter } from "../events/feeds.ts";
import { boundBy, type Nesting } from "../nesting.ts";
import { type CallOptions, callOptionNames, resolveCallOptions } from "../options.ts";
import { checkParams } from "../params.ts";
import { methodProxy } from "../proxy.ts";
import { checkFit } from "../streams/fit.ts";
import { hasInputs } from "../streams/inputs.ts";
import { TaskHandle } from "../task-handle.ts";
import { late, withTimeout } from "../timeout.ts";
import type { Calls, Ignores, Streams } from "../typing.ts";
import { localHostOf } from "./local-host.ts";
import type { LocalRun } from "./local-run.ts";
import { LocalStream } from "./local-stream.ts";
import type { LocalTask } from "./local-task.ts";
import { LocalTasks } from "./local-tasks.ts";

export type LocalClientOptions = CallOptions & {
  /** How many tasks run at once; one that waits for a call of its own doesn't count. @default 100 */
  readonly slots?: number;
  /** What handlers get by `current().resource(name)`. @default nothing */
  readonly resources?: { readonly [name: string]: unknown };
  /** Told of what handlers throw beside `TaskError`. @default silent */
  readonly logger?: Logger;
  /** Time, timers, chance and ids. @default the machine's */
  readonly runtime?: Runtime;
};

interface LocalControls<Methods> {
  /** Submits tasks: each call returns a handle at once. */
  readonly $later: AsyncClient<Methods>;
  /** Calls generators: the items are made as they are asked for. */
  readonly $stream: Streams<Methods> & StreamControls;
  /** Submits tasks and forgets them: never rejects. */
  readonly $ignore: Ignores<Methods>;
  /** A handle on a task that was submitted, by its id: of the last 10,000 that are settled, and all that are not. */
  $handle<Result = unknown>(id: string): TaskHandle<Result>;
  /**
   * The same client with other options for what is asked through it.
   * @throws OptionError also for `durability: "disk"`, `group` and `batch`, which need a broker
   */
  $with(options: CallOptions): LocalClient<Methods>;
  /** What runs hears of it by its signal; what is pending rejects with `ClientClosedError`. */
  $close(): Promise<void>;
}

/**
 * Calls the methods of a dispatcher as a `Client` calls those of nodes, and can be handed over in place of one. Params and
 * results are copied through JSON, errors are what a `Client` throws, and retries, delays, priorities, time limits and keys
 * count. What only a broker has (`$schedules`, `$limits`, `$failed`) rejects with `NotAllowedError`, and what methods say of
 * their concurrency, rate or singletons is passed over. A method that the dispatcher does not have is a
 * `MethodNotFoundError` at once, also for what is submitted.
 */
export type LocalClient<Methods = unknown> = Calls<Methods> &
  LocalControls<Methods> &
  Omit<ClientControls<Methods>, keyof LocalControls<Methods>>;

export interface LocalClientConstructor {
  /**
   * @param dispatcher whose methods are called. @default Dispatcher.instance()
   * @throws OptionError for an option that is unknown or out of range
   */
  new <Methods = unknown>(dispatcher?: Dispatcher, options?: LocalClientOptions): LocalClient<Methods>;
}

class LocalClientImplementation {
  constructor(dispatcher: Dispatcher = Dispatcher.instance(), options: LocalClientOptions = {}) {
    if (!(dispatcher instanceof Dispatcher)) throw new OptionError("dispatcher", "a Dispatcher", dispatcher);
    knownOptions("local client", options, ["slots", "resources", "logger", "runtime", ...callOptionNames]);
    const { slots = 100, resources = {}, logger = silentLogger, runtime = systemRuntime, ...call } = options;
    if (typeof resources !== "object" || resources === null) {
      throw new OptionError("resources", "an object", resources);
    }
    const tasks: LocalTasks = new LocalTasks({
      dispatcher,
      runtime,
      logger,
      slots: positiveInteger("slots", slots),
      resources,
      clientOf: (run) => clientView({ tasks, nesting: nestingOf(run, tasks) }, {}),
    });
    // biome-ignore lint/correctness/noConstructorReturn: what users hold is the proxy
    return clientView({ tasks }, resolveLocalOptions(call)) as LocalClientImplementation;
  }
}

/** What all views of one client share. */
interface Shared {
  readonly tasks: LocalTasks;
  /** Of the client by which a handler calls. */
  readonly nesting?: Nesting;
}

const brokersOnly: readonly (keyof CallOptions)[] = ["group", "batch"];

function resolveLocalOptions(more: CallOptions, before: CallOptions = {}): CallOptions {
  const options = resolveCallOptions(more, before);
  for (const name of brokersOnly) {
    if (options[name] === undefined) continue;
    throw new OptionError(name, "left out where there is no broker", options[name]);
  }
  if (options.durability === "disk") {
    throw new OptionError("durability", '"memory" where there is no broker', options.durability);
  }
  return options;
}

function clientView(shared: Shared, options: CallOptions): object {
  const { tasks, nesting } = shared;
  const call = async (method: string, params: Params): Promise<unknown> => {
    const bound = boundOptions(shared, options);
    const { timeoutMs } = bound;
    checkParams(params);
    const isFed = hasInputs(params);
    if (isFed) checkFit(bound);
    const task = tasks.submit(method, params, bound, traceOf(shared));
    nesting?.onWaiting(1);
    try {
      return await withTimeout(task.outcome(), timeoutMs, method, tasks.runtime);
    } finally {
      nesting?.onWaiting(-1);
      // Nobody waits for it any more, nor feeds it.
      if (isFed && !task.isOver) tasks.leave(task);
    }
  };
  const read = (method: string, params: Params): AsyncIterable<unknown> =>
    stream(shared, options, method, params);
  const controls = {
    ...commonControls(shared, options),
    ...withoutBroker,
    $later: laterView(shared, options),
    $stream: methodProxy({ $call: (method: string, params: Params = []) => read(method, params) }, read),
    $with: (more: CallOptions) => clientView(shared, resolveLocalOptions(more, options)),
    $call: (method: string, params: Params = []) => call(method, params),
  };
  return methodProxy(controls, call);
}

function laterView(shared: Shared, options: CallOptions): object {
  const host = localHostOf(shared.tasks, shared.nesting);
  const submit = (method: string, params: Params): TaskHandle =>
    new TaskHandle(submitted(shared, options, method, params), host);
  const controls = {
    ...commonControls(shared, options),
    ...withoutBroker,
    $with: (more: CallOptions) => laterView(shared, resolveLocalOptions(more, options)),
    $call: (method: string, params: Params = []) => submit(method, params),
  };
  return methodProxy(controls, submit);
}

function commonControls(shared: Shared, options: CallOptions): object {
  const { tasks, nesting } = shared;
  // That of a run's client does nothing: it is not the run's to close.
  const close = async (): Promise<void> => (nesting === undefined ? tasks.close() : undefined);
  return {
    $events: (filter?: EventFilter<unknown>) => tasks.events.follow(filter, (id) => tasks.find(id).events),
    $ignore: methodProxy({}, (method, params) => void submitted(shared, options, method, params)),
    $handle: (id: string) => {
      if (typeof id !== "string" || id === "") throw new OptionError("id", "a task's id", id);
      return new TaskHandle(tasks.find(id), localHostOf(tasks, nesting));
    },
    $close: close,
    [Symbol.asyncDispose]: close,
  };
}

function submitted(shared: Shared, options: CallOptions, method: string, params: Params): LocalTask {
  return shared.tasks.submit(method, params, options, { ...traceOf(shared), isSubmitted: true });
}

function stream(
  shared: Shared,
  options: CallOptions,
  method: string,
  params: Params,
): AsyncIterable<unknown> {
  checkFit(options);
  // Each loop is a call of its own.
  return { [Symbol.asyncIterator]: () => iterate(shared, options, method, params) };
}

function iterate(shared: Shared, options: CallOptions, method: string, params: Params): LocalStream {
  const { tasks, nesting } = shared;
  let task: LocalTask | undefined;
  let timer: Timer | undefined;
  const begin = (): void => {
    const bound = boundOptions(shared, options);
    const { timeoutMs } = bound;
    task = tasks.submit(method, params, bound, { ...traceOf(shared), stream: items });
    if (timeoutMs === undefined || task.isOver) return;
    timer = tasks.runtime.after(timeoutMs, () => items.giveUp(late(method, timeoutMs)));
  };
  const items: LocalStream = new LocalStream({
    onStart: () => {
      nesting?.onWaiting(1);
      try {
        begin();
      } catch (error) {
        items.end(error as Error);
      }
    },
    onLeft: () => {
      if (task !== undefined) tasks.leave(task);
    },
    onEnded: () => {
      timer?.cancel();
      nesting?.onWaiting(-1);
    },
  });
  return items;
}

/** A handler's calls have no more time than it has. */
function boundOptions({ nesting }: Shared, options: CallOptions): CallOptions {
  return nesting === undefined ? options : boundBy(nesting, options);
}

function traceOf({ nesting }: Shared): { readonly trace?: string } {
  return nesting === undefined ? {} : { trace: nesting.trace };
}

/** However many calls a run waits for, it is one run that waits. */
function nestingOf(run: LocalRun, tasks: LocalTasks): Nesting {
  let waiting = 0;
  return {
    trace: run.trace,
    remainingMs: () => run.remainingMs(),
    onWaiting: (change) => {
      const before = waiting;
      waiting += change;
      if (before === 0 || waiting === 0) tasks.onWaiting(run, change);
    },
  };
}

const withoutBroker = Object.fromEntries(
  ["$schedules", "$limits", "$failed"].map((name) => [
    name,
    new Proxy({}, { get: (_target, key) => (isAsked(key) ? refuse(name) : undefined) }),
  ]),
);

/** To wait for the object itself asks for `then`. */
function isAsked(key: string | symbol): boolean {
  return typeof key === "string" && key !== "then";
}

function refuse(name: string): () => Promise<never> {
  return async () => {
    const message = `A LocalClient has no broker, and so no ${name}: testCluster of zerotask-testing has one`;
    throw new NotAllowedError(message, ErrorCode.NotAllowed);
  };
}

export const LocalClient: LocalClientConstructor =
  LocalClientImplementation as unknown as LocalClientConstructor;
