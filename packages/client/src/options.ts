// The client's options: resolved and checked once.
import {
  checkSubmitOptions,
  DEFAULT_ENDPOINT,
  type Dial,
  dialDealer,
  endpointOption,
  knownOptions,
  type Listen,
  type Logger,
  listenSubscriber,
  milliseconds,
  OptionError,
  positiveInteger,
  type Runtime,
  type StreamWindow,
  type SubmitOptions,
  silentLogger,
  submitOptionNames,
  systemRuntime,
  windowTable,
} from "zerotask-core";

export type ClientOptions = ConnectionOptions & CallOptions;

interface ConnectionOptions {
  /** The request socket of the broker. @default "tcp://127.0.0.1:5555" */
  readonly endpoint?: string;
  /** How long a call waits for a broker to be there before it rejects with `BrokerUnavailableError`. @default 5,000 */
  readonly connectTimeoutMs?: number;
  /** How long `$close` waits for submitted tasks to be accepted. @default 1,000 */
  readonly closeTimeoutMs?: number;
  /** How often it shows that it is there when it has nothing to say, and so learns whether the broker knows it. @default 5,000 */
  readonly keepAliveMs?: number;
  /** Told when the connection comes and goes. @default silent */
  readonly logger?: Logger;
  /** Time, timers, chance and ids. @default the machine's */
  readonly runtime?: Runtime;
  /** What carries its connection. @default ZeroMQ */
  readonly dial?: Dial;
  /** What carries announcements to it, while events or logs are followed. @default ZeroMQ */
  readonly listen?: Listen;
}

/** What can be set for each call, by `$with`. `batch` and `idempotencyKey` each say by themselves which task is meant. */
export type CallOptions = AnyCallOptions & ({ readonly batch?: never } | { readonly idempotencyKey?: never });

interface AnyCallOptions extends SubmitOptions {
  /**
   * How long one run of the task may take: then its handler's signal fires, and it fails with `TaskExpiredError`.
   * A `Client` also waits no longer than this for the answer, counted from the call, however late its `at` is: then it
   * rejects with `TaskTimeoutError`, and the task goes on. @default no bound
   */
  readonly timeoutMs?: number;
  /** What to do while the broker takes no more: reject with `BusyError`, or try again until it does. @default "fail" */
  readonly whenBusy?: "fail" | "wait";
  /** How far a handler that yields, or an async iterable among the params, may be ahead of who reads it. */
  readonly window?: Partial<StreamWindow>;
}

export interface ResolvedClientOptions {
  readonly endpoint: string;
  readonly connectTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly logger: Logger;
  readonly runtime: Runtime;
  readonly dial: Dial;
  readonly listen: Listen;
  readonly call: CallOptions;
}

export const callOptionNames: readonly string[] = [...submitOptionNames, "whenBusy", "window"];
const optionNames = [
  "endpoint",
  "connectTimeoutMs",
  "closeTimeoutMs",
  "keepAliveMs",
  "logger",
  "runtime",
  "dial",
  "listen",
  ...callOptionNames,
];

/** @throws OptionError for an unknown name, or a value out of range */
export function resolveClientOptions(
  first: string | ClientOptions | undefined,
  second: ClientOptions | undefined,
): ResolvedClientOptions {
  const options = typeof first === "string" ? { ...second, endpoint: first } : { ...first };
  if (typeof first !== "string" && second !== undefined) {
    throw new OptionError("endpoint", "a string when options follow it", first);
  }
  knownOptions("client", options, optionNames);
  const { endpoint, connectTimeoutMs, closeTimeoutMs, keepAliveMs, logger, runtime, dial, listen, ...call } =
    options;
  return {
    endpoint: endpointOption("endpoint", endpoint ?? DEFAULT_ENDPOINT),
    connectTimeoutMs: milliseconds("connectTimeoutMs", connectTimeoutMs ?? 5_000),
    closeTimeoutMs: milliseconds("closeTimeoutMs", closeTimeoutMs ?? 1_000),
    keepAliveMs: milliseconds("keepAliveMs", positiveInteger("keepAliveMs", keepAliveMs ?? 5_000)),
    logger: logger ?? silentLogger,
    runtime: runtime ?? systemRuntime,
    dial: dial ?? dialDealer,
    listen: listen ?? listenSubscriber,
    call: resolveCallOptions(call),
  };
}

function checkWindow(window: Partial<StreamWindow> | undefined): void {
  if (window === undefined) return;
  knownOptions("window", window, windowTable.names);
  windowTable.check(window);
}

/**
 * What is asked with `more`, on top of what was asked `before`.
 * @throws OptionError for an unknown name, a value out of range, or two that don't go together
 */
export function resolveCallOptions(more: CallOptions, before: CallOptions = {}): CallOptions {
  knownOptions("call", more, callOptionNames);
  checkSubmitOptions(more);
  // A client's timer has to be able to wait for it.
  if (more.timeoutMs !== undefined) milliseconds("timeoutMs", more.timeoutMs);
  const { whenBusy } = more;
  if (whenBusy !== undefined && whenBusy !== "fail" && whenBusy !== "wait") {
    throw new OptionError("whenBusy", '"fail" or "wait"', whenBusy);
  }
  checkWindow(more.window);
  const options: AnyCallOptions = { ...before, ...more };
  if (options.batch !== undefined && options.idempotencyKey !== undefined) {
    // Each says by itself which task a submission is.
    throw new OptionError("batch", "left out where there is an `idempotencyKey`", options.batch);
  }
  return options as CallOptions;
}
