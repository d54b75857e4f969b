// The record of one task.
import { type Outcome, type Params, type RequestId, TaskStatus } from "zerotask-core";
import type { Addressee } from "./addressee.ts";
import type { ClientSession } from "./client-session.ts";
import type { MethodQueue } from "./method-queue.ts";
import type { NodeSession } from "./node-session.ts";

/** Somebody who is told when a task is settled. */
export interface Waiter {
  readonly addressee: Addressee;
  readonly requestId: RequestId;
  /** Whether it was answered, or gave up. */
  done: boolean;
}

/**
 * What becomes of the record when the task is settled: it is dropped, kept until the client has
 * acknowledged the answer (a call), or kept for `resultTtlMs` (a submitted task).
 */
export type Retention = "none" | "replay" | "record";

export interface NewTask {
  readonly id: string;
  readonly owner: ClientSession;
  readonly params: Params | undefined;
  readonly retention: Retention;
  /** Who gets the response, and under which id; nobody for submitted tasks and notifications. */
  readonly addressee: Addressee | undefined;
  readonly requestId: RequestId;
  /** Whether the owner is pushed a notification when it is settled. */
  readonly notify: boolean;
  /** Submitted tasks wait for a node as long as it takes; calls and notifications only for the grace. */
  readonly isSubmitted: boolean;
}

// A class with every field set in its constructor: a million of these have one shape, and stay small.
export class Task {
  readonly id: string;
  owner: ClientSession;
  readonly method: MethodQueue;
  readonly retention: Retention;
  readonly isSubmitted: boolean;
  readonly createdAt: number;
  /** Place in the order of submission. */
  readonly sequence: number;
  addressee: Addressee | undefined;
  requestId: RequestId;
  params: Params | undefined;
  notify: boolean;
  status: TaskStatus = TaskStatus.Queued;
  /** Number of the current or last assignment; 0 before the first. */
  attempt = 0;
  /** How many nodes were lost with it. */
  losses = 0;
  node: NodeSession | undefined = undefined;
  /** Whether a deadline stands for the end of its grace. */
  hasGrace = false;
  /** Its places among its node's tasks and its owner's calls. */
  nodeIndex = -1;
  ownerIndex = -1;
  /** Whether an entry for it stands in its method's queue, even one that is passed over now. */
  inQueue = false;
  waiters: Waiter[] | undefined = undefined;
  /** Which of its session's responses told its outcome, the last time that it was sent. */
  deliveryNumber = 0;
  settled: Settled | undefined = undefined;

  constructor(task: NewTask, method: MethodQueue, sequence: number, createdAt: number) {
    this.id = task.id;
    this.owner = task.owner;
    this.method = method;
    this.retention = task.retention;
    this.isSubmitted = task.isSubmitted;
    this.createdAt = createdAt;
    this.sequence = sequence;
    this.addressee = task.addressee;
    this.requestId = task.requestId;
    this.params = task.params;
    this.notify = task.notify;
  }

  /** Names this assignment on the wire: the fence against late answers. */
  get attemptId(): string {
    return `${this.id}#${this.attempt}`;
  }
}

export interface Settled {
  readonly outcome: Outcome;
  readonly at: number;
  readonly bytes: number;
}
