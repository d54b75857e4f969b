// `await client.add(5, 6)`: calls, each answered by a promise.
import { BrokerMethod, optionsToWire, type Params } from "zerotask-core";
import { type AsyncClient, laterView } from "./async-client.ts";
import { delayOf } from "./delayed-text.ts";
import type { Management } from "./management.ts";
import { type Inherited, inheritedFrom, type Nesting } from "./nesting.ts";
import { type CallOptions, type ClientOptions, resolveCallOptions, resolveClientOptions } from "./options.ts";
import { checkParams } from "./params.ts";
import { methodProxy } from "./proxy.ts";
import { openShared, type Shared } from "./shared.ts";
import { hasInputs } from "./streams/inputs.ts";
import { withTimeout } from "./timeout.ts";
import type { Calls, Streams } from "./typing.ts";

export interface ClientControls<Methods> extends Management<Methods> {
  /** The same client with other options for the calls made through it. */
  $with(options: CallOptions): Client<Methods>;
  /**
   * What handlers yield, as it comes: `for await (const row of client.$stream.rows(query))`. Each iteration is a call,
   * made when its first item is asked for; leaving it stops the handler.
   */
  readonly $stream: Streams<Methods> & StreamControls;
  /** Calls a method by name, with params by position or by name. */
  // biome-ignore lint/suspicious/noExplicitAny: nothing is known of a method that is named at run time
  $call(method: string, params?: Params): Promise<any>;
  /** Leaves the broker; pending calls reject with `ClientClosedError`. */
  $close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Calls methods that nodes serve. `Client<typeof module>` is typed by a module of tasks; without a type
 * argument anything can be called.
 *
 * Calls reject with `TaskFailedError` (the handler threw), `MethodNotFoundError`, `TaskTimeoutError`,
 * `BrokerUnavailableError`, or another `ZeroTaskError`.
 */
export type Client<Methods = unknown> = Calls<Methods> & ClientControls<Methods>;

/** By which a handler calls other tasks, and submits them. */
export type NestedClient<Methods = unknown> = Calls<Methods> &
  Omit<ClientControls<Methods>, "$with"> & {
    $with(options: CallOptions): NestedClient<Methods>;
    /**
     * Submits tasks, which are of the same trace, and go on when this one has ended: they have as much time as their own
     * options say. Its `$close` does nothing.
     */
    readonly $later: AsyncClient<Methods>;
  };

export interface StreamControls {
  /** Reads what the method of this name yields. */
  // biome-ignore lint/suspicious/noExplicitAny: nothing is known of a method that is named at run time
  $call(method: string, params?: Params): AsyncIterable<any>;
}

export interface ClientConstructor {
  /**
   * Connects when the first call is made, and again whenever the connection is lost.
   * @param endpoint the broker's request socket. @default "tcp://127.0.0.1:5555"
   * @throws OptionError for an option that is unknown or out of range
   */
  new <Methods = unknown>(endpoint?: string, options?: ClientOptions): Client<Methods>;
  new <Methods = unknown>(options: ClientOptions): Client<Methods>;
}

class ClientImplementation {
  constructor(first?: string | ClientOptions, second?: ClientOptions) {
    const options = resolveClientOptions(first, second);
    const shared = openShared(options, 0);
    // biome-ignore lint/correctness/noConstructorReturn: what users hold is the proxy
    return view(shared, options.call) as ClientImplementation;
  }
}

/** One connection of a node, by which its handlers call other tasks. */
export class NestedClients {
  readonly #shared: Shared;

  /** @throws OptionError for an option that is unknown or out of range */
  constructor(options: ClientOptions) {
    this.#shared = openShared(resolveClientOptions(options, undefined), 0);
  }

  /** The client of one run. Its `$close` does nothing: the connection is the node's. */
  of(nesting: Nesting): NestedClient {
    const { session, tracker, feeds, management, streams } = this.#shared;
    const close = async (): Promise<void> => undefined;
    return view({ session, tracker, feeds, management, streams, close }, {}, nesting) as NestedClient;
  }

  close(): Promise<void> {
    return this.#shared.close();
  }
}

/** @param nesting where a handler makes the calls */
function view(shared: Shared, options: CallOptions, nesting?: Nesting): object {
  const { management, streams, close } = shared;
  const plain = nesting === undefined ? caller(shared, options) : nestedCaller(shared, nesting, options);
  const call: Invoke<Promise<unknown>> = (method, params) =>
    hasInputs(params) ? streams.call({ method, params, options, nesting }) : plain(method, params);
  const read: Invoke<AsyncIterable<unknown>> = (method, params) =>
    streams.read({ method, params, options, nesting });
  const controls = {
    ...management,
    $stream: methodProxy({ $call: (method: string, params: Params = []) => read(method, params) }, read),
    $with: (more: CallOptions) => view(shared, resolveCallOptions(more, options), nesting),
    $call: async (method: string, params: Params = []) => {
      checkParams(params);
      return call(method, params);
    },
    $close: close,
    [Symbol.asyncDispose]: close,
  };
  if (nesting !== undefined) addLater(controls, () => laterView(shared, options, nesting));
  return methodProxy(controls, call);
}

/** Made when it is asked for: most handlers submit nothing. */
function addLater(controls: object, make: () => object): void {
  let later: object | undefined;
  const get = (): object => {
    later ??= make();
    return later;
  };
  Object.defineProperty(controls, "$later", { get, enumerable: true });
}

function nestedCaller(shared: Shared, nesting: Nesting, options: CallOptions): Invoke<Promise<unknown>> {
  return async (method, params) => {
    const call = caller(shared, options, inheritedFrom(nesting));
    nesting.onWaiting(1);
    try {
      return await call(method, params);
    } finally {
      nesting.onWaiting(-1);
    }
  };
}

/** What has no options is sent as the very request that the node gets. */
function caller(
  { session, tracker }: Shared,
  options: CallOptions,
  inherited: Inherited = {},
): Invoke<Promise<unknown>> {
  const { whenBusy, ...asked } = options;
  const timeoutMs = lesser(options.timeoutMs, inherited.deadlineMs);
  const { runtime } = session;
  if (asked.durability === "disk" || asked.idempotencyKey !== undefined || asked.batch !== undefined) {
    const submit = tracker.submitter({ durability: "memory", ...options }, inherited);
    return (method, params) => {
      const task = submit(method, params);
      return withTimeout(task.outcome(timeoutMs), timeoutMs, method, runtime, () => task.abandon());
    };
  }
  const wire = optionsToWire({ ...asked, ...inherited });
  const isPlain = Object.keys(wire).length === 0;
  const delayMs = delayOf(wire);
  const waitsWhenBusy = whenBusy === "wait";
  return (method, params) => {
    const id = session.nextId();
    const answer = isPlain
      ? session.request(method, params, { id, waitsWhenBusy })
      : session.request(BrokerMethod.ClientCall, [method, params, wire], { id, waitsWhenBusy, delayMs });
    return withTimeout(answer, timeoutMs, method, runtime, () => session.abandon(id));
  };
}

function lesser(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}

type Invoke<Result> = (method: string, params: Params) => Result;

export const Client: ClientConstructor = ClientImplementation as unknown as ClientConstructor;
