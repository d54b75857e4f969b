// The node's options: resolved and checked once.
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import {
  booleanOption,
  checkIsolation,
  type Dial,
  Dispatcher,
  dialDealer,
  type Isolation,
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
  /** Where handlers run whose tasks don't say otherwise. @default "none": in the node's own thread */
  readonly isolate?: Isolation;
  /**
   * Workers that run isolated tasks at once, of each kind that its methods ask for. With 0 there are none: isolated tasks
   * run in the node's own thread as others do, which is for tests. @default one for each processor
   */
  readonly workers?: number;
  /** How much memory a worker may use whose tasks don't say otherwise, in MiB. @default no bound */
  readonly maxMemoryMb?: number;
  /** The modules, or directories of modules, that serve its isolated methods: paths or file URLs. Workers load them. @default none */
  readonly modules?: readonly (string | URL)[];
  readonly logger?: Logger;
  /** Time, timers, chance and ids. @default the machine's */
  readonly runtime?: Runtime;
  /** What carries its connections. @default ZeroMQ */
  readonly dial?: Dial;
  /** What carries the announcements that the clients of its handlers listen to. @default ZeroMQ */
  readonly listen?: Listen;
}

type Resolved = Required<Omit<NodeOptions, "name" | "maxMemoryMb" | "modules">>;

export interface ResolvedNodeOptions extends Resolved {
  readonly name: string | undefined;
  readonly maxMemoryMb: number | undefined;
  readonly modules: readonly string[];
}

const namePattern = /^[\x21-\x7e]{1,100}$/;

/** @throws OptionError for what is no name of a node */
export function nameOption(option: string, value: string): string {
  if (typeof value === "string" && namePattern.test(value) && !value.includes("#")) return value;
  throw new OptionError(option, '1 to 100 visible ASCII characters without "#"', value);
}

/** @throws OptionError for an unknown name, or a value out of range */
export function resolveNodeOptions(options: NodeOptions): ResolvedNodeOptions {
  knownOptions("node", options, [
    ...["name", "slots", "prefetch", "dispatcher", "drainMs", "captureConsole", "isolate", "workers"],
    ...["maxMemoryMb", "modules", "logger", "runtime", "dial", "listen"],
  ]);
  const slots = positiveInteger("slots", options.slots ?? 100);
  checkIsolation(options);
  return {
    name: options.name === undefined ? undefined : nameOption("name", options.name),
    isolate: options.isolate ?? "none",
    workers: nonNegativeInteger("workers", options.workers ?? availableParallelism()),
    maxMemoryMb: options.maxMemoryMb,
    modules: readModules(options.modules ?? []),
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

function readModules(modules: readonly (string | URL)[]): string[] {
  if (!Array.isArray(modules)) throw new OptionError("modules", "an array of paths or file URLs", modules);
  return modules.map((module: unknown) => {
    if (module instanceof URL && module.protocol === "file:") return fileURLToPath(module);
    if (typeof module !== "string" || module === "")
      throw new OptionError("modules", "paths or file URLs", module);
    return module.startsWith("file:") ? fileURLToPath(module) : module;
  });
}
