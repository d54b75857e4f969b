// The broker's options: resolved and checked once.
import {
  DEFAULT_ADDRESS,
  DEFAULT_PUBLISH_PORT,
  DEFAULT_REQUEST_PORT,
  Dispatcher,
  defaultLimits,
  knownOptions,
  type Logger,
  type MessageLimits,
  nonNegativeInteger,
  OptionError,
  portOption,
  positiveInteger,
  type Runtime,
  silentLogger,
  systemRuntime,
  type Transport,
  zeromqTransport,
} from "zerotask-core";
import { memoryStore } from "./store/memory-store.ts";
import type { Store } from "./store/store.ts";

export interface BrokerOptions extends Partial<MessageLimits> {
  /** Address to bind to. @default "127.0.0.1" */
  readonly address?: string;
  /** Port of the request socket; 0 for any free one. @default 5555 */
  readonly requestPort?: number;
  /** Port of the publish socket; 0 for any free one. @default 5556 */
  readonly publishPort?: number;
  /** Whose `broker.*` tasks run in the broker. @default Dispatcher.instance() */
  readonly dispatcher?: Dispatcher;
  /** How long a call waits for a node that serves its method. @default 5,000 */
  readonly graceMs?: number;
  /** How often nodes are looked after. @default 1,000 */
  readonly heartbeatMs?: number;
  /** How long a node without a session keeps its tasks in silence. @default 30,000 */
  readonly leaseMs?: number;
  /** How long a connected node may say nothing before it counts as stuck, and so as lost. @default 30,000 */
  readonly stalledMs?: number;
  /** How long a client that is not connected keeps its session. @default 60,000 */
  readonly sessionTtlMs?: number;
  /**
   * Where submitted tasks are kept: `sqliteStore("./folder")` is a disk. They are acknowledged once they are stored.
   * @default memoryStore()
   */
  readonly store?: Store;
  /** How long after a start stored tasks are kept for nodes that may still be running them. @default 1,500 */
  readonly adoptMs?: number;
  /** How long the outcome of a submitted task is kept. @default 3,600,000 */
  readonly resultTtlMs?: number;
  /** How long that of one that failed is kept, for `client.$failed`; at least as long as others. @default 604,800,000 (a week) */
  readonly failedTtlMs?: number;
  /** Most records of settled tasks that a store keeps; the oldest go first. @default 1,000,000 */
  readonly maxResults?: number;
  /** Most bytes of such records. @default 256 MiB */
  readonly maxResultBytes?: number;
  /** How long an answer is kept that its client has not acknowledged. @default 60,000 */
  readonly replayMs?: number;
  /** Most such answers of one client. @default 20,000 */
  readonly maxReplay?: number;
  /** Most bytes of such answers of one client. @default 64 MiB */
  readonly maxReplayBytes?: number;
  /** How often a task may lose its node before it fails. @default 3 */
  readonly redeliveries?: number;
  /** Most unsettled tasks in memory: calls, and what is submitted to memory. @default 4,000,000 */
  readonly maxTasks?: number;
  /** Most bytes of them. @default 1 GiB */
  readonly maxTaskBytes?: number;
  /** Most unsettled tasks on disk. @default 100,000,000 */
  readonly maxStoredTasks?: number;
  /** Most bytes of them. @default 64 GiB */
  readonly maxStoredBytes?: number;
  /** Most unsettled tasks of one client. @default 4,000,000 */
  readonly maxClientTasks?: number;
  /** Most bytes of them. @default 1 GiB */
  readonly maxClientBytes?: number;
  /** Most requests that wait for tasks to be settled. @default 1,000,000 */
  readonly maxWaiters?: number;
  /** Most groups of tasks that have something queued. @default 100,000 */
  readonly maxGroups?: number;
  /** Most schedules. @default 10,000 */
  readonly maxSchedules?: number;
  /** Most clients and nodes. @default 100,000 */
  readonly maxSessions?: number;
  /** How much may wait for one peer that doesn't read before it is cut off, in bytes. @default 64 MiB */
  readonly maxOutboxBytes?: number;
  /** How many events of tasks are kept for those who come late; the oldest go first. @default 100,000 */
  readonly eventsKept?: number;
  /** How many of one task. @default 1,000 */
  readonly eventsPerTask?: number;
  /** Most bytes of them in all. @default 64 MiB */
  readonly maxEventBytes?: number;
  /** How many lines that handlers logged are kept; the oldest go first. @default 100,000 */
  readonly logsKept?: number;
  /** How many of one task. @default 1,000 */
  readonly logLinesPerTask?: number;
  /** Most bytes of them in all. @default 64 MiB */
  readonly maxLogBytes?: number;
  readonly logger?: Logger;
  /** Time, timers, chance and ids. @default the machine's */
  readonly runtime?: Runtime;
  /** What carries its sockets. @default ZeroMQ */
  readonly transport?: Transport;
}

export type ResolvedBrokerOptions = Required<BrokerOptions>;

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;

const defaults = {
  ...defaultLimits,
  requestPort: DEFAULT_REQUEST_PORT,
  publishPort: DEFAULT_PUBLISH_PORT,
  graceMs: 5_000,
  heartbeatMs: 1_000,
  leaseMs: 30_000,
  stalledMs: 30_000,
  sessionTtlMs: 60_000,
  resultTtlMs: 3_600_000,
  failedTtlMs: 604_800_000,
  adoptMs: 1_500,
  maxResults: 1_000_000,
  maxResultBytes: 256 * MiB,
  replayMs: 60_000,
  maxReplay: 20_000,
  maxReplayBytes: 64 * MiB,
  redeliveries: 3,
  maxTasks: 4_000_000,
  maxTaskBytes: GiB,
  maxStoredTasks: 100_000_000,
  maxStoredBytes: 64 * GiB,
  maxClientTasks: 4_000_000,
  maxClientBytes: GiB,
  maxWaiters: 1_000_000,
  maxGroups: 100_000,
  maxSchedules: 10_000,
  maxSessions: 100_000,
  maxOutboxBytes: 64 * MiB,
  eventsKept: 100_000,
  eventsPerTask: 1_000,
  maxEventBytes: 64 * MiB,
  logsKept: 100_000,
  logLinesPerTask: 1_000,
  maxLogBytes: 64 * MiB,
};

type NumericOption = keyof typeof defaults;

const ports: readonly string[] = ["requestPort", "publishPort"];
const mayBeZero: readonly string[] = [
  "graceMs",
  "adoptMs",
  "resultTtlMs",
  "failedTtlMs",
  "redeliveries",
  "maxResults",
  "maxResultBytes",
];

/** @throws OptionError for an unknown name, or a value out of range */
export function resolveBrokerOptions(options: BrokerOptions): ResolvedBrokerOptions {
  const others = ["address", "dispatcher", "store", "logger", "runtime", "transport"];
  knownOptions("broker", options, [...Object.keys(defaults), ...others]);
  const address = options.address ?? DEFAULT_ADDRESS;
  if (typeof address !== "string" || address === "") throw new OptionError("address", "an address", address);
  const numbers = { ...defaults };
  for (const name of Object.keys(defaults) as NumericOption[]) {
    const value = options[name] ?? defaults[name];
    const check = ports.includes(name)
      ? portOption
      : mayBeZero.includes(name)
        ? nonNegativeInteger
        : positiveInteger;
    numbers[name] = check(name, value);
  }
  return {
    ...numbers,
    address,
    store: options.store ?? memoryStore(),
    dispatcher: options.dispatcher ?? Dispatcher.instance(),
    logger: options.logger ?? silentLogger,
    runtime: options.runtime ?? systemRuntime,
    transport: options.transport ?? zeromqTransport,
  };
}
