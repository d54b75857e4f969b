// `await client.add(5, 6)`: calls, each answered by a promise.
import type { Params } from "zerotask-core";
import { type CallOptions, type ClientOptions, resolveCallOptions, resolveClientOptions } from "./options.ts";
import { methodProxy } from "./proxy.ts";
import { Session } from "./session.ts";
import { withTimeout } from "./timeout.ts";
import type { Calls } from "./typing.ts";

export interface ClientControls<Methods> {
  /** The same client with other options for the calls made through it. */
  $with(options: CallOptions): Client<Methods>;
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
    const nothing = (): void => undefined;
    const session = new Session(options, { onTaskSettled: nothing, onReady: nothing });
    // biome-ignore lint/correctness/noConstructorReturn: what users hold is the proxy
    return view(session, options.call) as ClientImplementation;
  }
}

function view(session: Session, options: CallOptions): object {
  const call = (method: string, params: Params): Promise<unknown> => {
    const id = session.nextId();
    const answer = session.request(method, params, id);
    return withTimeout(answer, options.timeoutMs, method, () => session.abandon(id));
  };
  const close = (): Promise<void> => session.close(0);
  const controls = {
    $with: (more: CallOptions) => view(session, { ...options, ...resolveCallOptions(more) }),
    $call: (method: string, params: Params = []) => call(method, params),
    $close: close,
    [Symbol.asyncDispose]: close,
  };
  return methodProxy(controls, call);
}

export const Client: ClientConstructor = ClientImplementation as unknown as ClientConstructor;
