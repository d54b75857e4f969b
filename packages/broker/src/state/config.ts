// What the state machine is told once: bounds and times, and where ids come from.
import type { MessageLimits, MethodDescription, Params } from "zerotask-core";
import type { EventBounds } from "./events/events.ts";
import type { LoadBounds } from "./load.ts";

export interface BrokerConfig extends LoadBounds, EventBounds {
  /** Names this run of the broker. */
  readonly epoch: string;
  readonly version: string;
  readonly limits: MessageLimits;
  /** How long a call waits for a node that serves its method. */
  readonly graceMs: number;
  /** How often the nodes that hold tasks are looked after, and how often a node is to send a heartbeat. */
  readonly heartbeatMs: number;
  /** How long a node without a connection of its own (protocol 1) keeps its tasks in silence. */
  readonly leaseMs: number;
  /** How long a connected node may say nothing before it counts as stuck, and so as lost. */
  readonly stalledMs: number;
  /** How long a client that is not connected keeps its session. */
  readonly sessionTtlMs: number;
  /** How long the outcome of a submitted task is kept. */
  readonly resultTtlMs: number;
  /** How long that of one that failed is kept, so that it can be retried. */
  readonly failedTtlMs: number;
  /** How many records of settled tasks are kept in each store, and their bytes in all. */
  readonly maxResults: number;
  readonly maxResultBytes: number;
  /** How long, and how many for each session, answers are kept that a client has not acknowledged. */
  readonly replayMs: number;
  readonly maxReplay: number;
  readonly maxReplayBytes: number;
  /** How often a task may lose its node before it fails. */
  readonly redeliveries: number;
  /** How many groups of tasks may be known. */
  readonly maxGroups: number;
  /** How many clients and nodes may be known. */
  readonly maxSessions: number;
  /** How many requests may wait for tasks to be settled. */
  readonly maxWaiters: number;
  /**
   * How long after a start stored tasks are kept for the nodes that may still be running them; and how long streams
   * are kept for a node that was lost.
   */
  readonly adoptMs: number;
  /** Whether there is a store on disk, besides the one in memory. */
  readonly hasDisk: boolean;
  /** Where its announcements are published, told to clients. */
  readonly announce: () => string;
  /** Whether anybody listens to the events of this method: else no events are made of how calls go. Asked often. */
  readonly isHeard: (method: string) => boolean;
  /** The `broker.*` tasks that the broker itself serves now. */
  readonly brokerTasks: () => readonly MethodDescription[];
  /** How many schedules there may be. */
  readonly maxSchedules: number;
  /** The first time after `after` that a cron expression names in a time zone, if any. @throws Error when it is none */
  readonly nextSlot: (cron: string, timeZone: string, after: number) => number | undefined;
  /** What the clock on the wall says: milliseconds since the epoch, which may jump. */
  readonly wall: () => number;
  /** Names the instance of a singleton that the params of a `broker.*` task are of. @throws Error */
  readonly instanceOf: (method: string, params: Params) => string;
  /** A random number from 0 to 1. */
  readonly random: () => number;
  /** A new random id. */
  readonly newId: () => string;
  /** A new secret of 128 bits. */
  readonly newToken: () => string;
}
