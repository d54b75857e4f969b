// The record of one task that is held in memory.
import {
  type Deadline,
  type Outcome,
  type Params,
  type RequestId,
  TaskStatus,
  type WireOptions,
} from "zerotask-core";
import type { Addressee } from "./addressee.ts";
import type { ClientSession } from "./client-session.ts";
import type { Due } from "./due.ts";
import type { MethodQueue } from "./method-queue.ts";
import type { NodeSession } from "./node-session.ts";
import type { Durability } from "./stored-task.ts";

export interface NewTask {
  readonly id: string;
  readonly ownerId: string;
  /** Whose call it is; nobody's, once it was submitted. */
  readonly caller: ClientSession | undefined;
  /** Where it is stored; calls are not. */
  readonly level: Durability | undefined;
  readonly params: Params | undefined;
  readonly options: WireOptions;
  /** Who gets the response, and under which id; nobody for submitted tasks and notifications. */
  readonly addressee: Addressee | undefined;
  readonly requestId: RequestId;
  /** About how large its params are. */
  readonly bytes: number;
  readonly createdAt: number;
  readonly expiresAt: number | undefined;
}

// A class with every field set in its constructor: a million of these have one shape, and stay small.
export class Task {
  readonly id: string;
  readonly ownerId: string;
  readonly caller: ClientSession | undefined;
  readonly level: Durability | undefined;
  readonly method: MethodQueue;
  readonly bytes: number;
  readonly createdAt: number;
  /** Until when it may wait for its first run. */
  readonly expiresAt: number | undefined;
  /** Place in the order in which tasks came into memory. */
  readonly sequence: number;
  addressee: Addressee | undefined;
  requestId: RequestId;
  params: Params | undefined;
  options: WireOptions;
  status: TaskStatus = TaskStatus.Queued;
  /** Number of the current or last assignment; 0 before the first. */
  attempt = 0;
  /** How many nodes were lost with it, and how many of its runs failed. */
  losses = 0;
  failures = 0;
  node: NodeSession | undefined = undefined;
  /** When something is to be done about it: its grace or its wait ends, its run takes too long, its retry is due. */
  deadline: Deadline<Due> | undefined = undefined;
  /** Its places among its node's tasks and its caller's calls. */
  nodeIndex = -1;
  ownerIndex = -1;
  /** Whether an entry for it stands in its method's queue, even one that is passed over now. */
  inQueue = false;
  /** A node may have begun to run it: what it waits for now is no first run. */
  hasBegun = false;
  /** It is being stored, and can't run yet. */
  isArriving = false;
  /** It was claimed from its store by its id, and is not in its method's queue. */
  isTakenBack = false;
  /** Which of its session's responses told its outcome, the last time that it was sent. */
  deliveryNumber = 0;
  settled: Settled | undefined = undefined;

  constructor(task: NewTask, method: MethodQueue, sequence: number) {
    this.id = task.id;
    this.ownerId = task.ownerId;
    this.caller = task.caller;
    this.level = task.level;
    this.method = method;
    this.bytes = task.bytes;
    this.createdAt = task.createdAt;
    this.expiresAt = task.expiresAt;
    this.sequence = sequence;
    this.addressee = task.addressee;
    this.requestId = task.requestId;
    this.params = task.params;
    this.options = task.options;
  }

  /** Submitted tasks are stored, and wait for a node as long as it takes; calls only for the grace. */
  get isSubmitted(): boolean {
    return this.level !== undefined;
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
