// The node's options: resolved and checked once.
import {
  booleanOption,
  type Dial,
  Dispatcher,
  dialDealer,
  knownOptions,
  type Listen,
  type Logger,
  listenSubscriber,
  milliseconds,
  nonNegativeInteger,
  OptionError,
  positiveInteger,
  type Runtime,
  silentLogger,
  systemRuntime,
} from "zerotask-core";

export interface NodeOptions {
  /**
   * Its id at the broker: 1 to 100 visible ASCII characters without "#". One node at a time is connected under a
   * name. @default a random id
   */
  readonly name?: string;
  /** Tasks that run at once. @default 100 */
  readonly slots?: number;
  /**
   * Most tasks that may wait in the node for a slot, so that it needn't wait for the broker. While tasks are
   * not short, fewer do; one that waits for 10 ms goes back to the broker, for a node with room. @default 1,000
   */
  readonly prefetch?: number;
  /** Whose methods it serves, but for `broker.*`. @default Dispatcher.instance() */
  readonly dispatcher?: Dispatcher;
  /** How long `stop` waits for running tasks before it gives them back. @default 1,000 */
  readonly drainMs?: number;
  /** What handlers print with `console` is kept as the log of their tasks, and printed as before. @default false */
  readonly captureConsole?: boolean;
  readonly logger?: Logger;
  /** Time, timers, chance and ids. @default the machine's */
  readonly runtime?: Runtime;
  /** What carries its connections. @default ZeroMQ */
  readonly dial?: Dial;
  /** What carries the announcements that the clients of its handlers listen to. @default ZeroMQ */
  readonly listen?: Listen;
}

export type ResolvedNodeOptions = Required<Omit<NodeOptions, "name">> & { readonly name: string | undefined };

const namePattern = /^[\x21-\x7e]{1,100}$/;

/** @throws OptionError for what is no name of a node */
export function nameOption(option: string, value: string): string {
  if (typeof value === "string" && namePattern.test(value) && !value.includes("#")) return value;
  throw new OptionError(option, '1 to 100 visible ASCII characters without "#"', value);
}

/** @throws OptionError for an unknown name, or a value out of range */
export function resolveNodeOptions(options: NodeOptions): ResolvedNodeOptions {
  knownOptions("node", options, [
    ...[
      "name",
      "slots",
      "prefetch",
      "dispatcher",
      "drainMs",
      "captureConsole",
      "logger",
      "runtime",
      "dial",
      "listen",
    ],
  ]);
  const slots = positiveInteger("slots", options.slots ?? 100);
  return {
    name: options.name === undefined ? undefined : nameOption("name", options.name),
    slots,
    prefetch: nonNegativeInteger("prefetch", options.prefetch ?? 1_000),
    dispatcher: options.dispatcher ?? Dispatcher.instance(),
    drainMs: milliseconds("drainMs", options.drainMs ?? 1_000),
    captureConsole: checkedBoolean("captureConsole", options.captureConsole ?? false),
    logger: options.logger ?? silentLogger,
    runtime: options.runtime ?? systemRuntime,
    dial: options.dial ?? dialDealer,
    listen: options.listen ?? listenSubscriber,
  };
}

function checkedBoolean(option: string, value: boolean): boolean {
  booleanOption(option, value);
  return value;
}
