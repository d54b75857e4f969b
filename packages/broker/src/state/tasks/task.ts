// The record of one task that is held in memory.
import {
  type Deadline,
  type Outcome,
  type Params,
  type RequestId,
  TaskStatus,
  type WireOptions,
} from "zerotask-core";
import type { Due } from "../due.ts";
import type { Lane } from "../order/lane.ts";
import type { MethodQueue } from "../order/method-queue.ts";
import { rankOf } from "../order/order.ts";
import type { Addressee } from "../peers/addressee.ts";
import type { ClientSession } from "../peers/client-session.ts";
import type { NodeSession } from "../peers/node-session.ts";
import type { Durability } from "../storage/stored-task.ts";
import type { Pin } from "./locals.ts";
import type { Stopping } from "./stops.ts";

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
  /** From when on it may run. */
  readonly dueAt: number;
  readonly expiresAt: number | undefined;
  readonly priority: number;
  /** What there is to be one of at a time. */
  readonly instance: string | undefined;
  /** Where a node runs it for itself. */
  readonly pin?: Pin;
}

// A class with every field set in its constructor: a million of these have one shape, and stay small.
export class Task {
  readonly id: string;
  readonly ownerId: string;
  readonly caller: ClientSession | undefined;
  readonly level: Durability | undefined;
  readonly lane: Lane;
  bytes: number;
  readonly createdAt: number;
  readonly pin: Pin | undefined;
  /** Until when it may wait for its first run. */
  readonly expiresAt: number | undefined;
  /** Until when somebody waits for it, by its deadline: no run goes on or begins after that. */
  endsAt: number | undefined;
  /** Place in the order in which tasks came into memory. */
  readonly sequence: number;
  /** From when on it may run, and its place in the order of its group. */
  dueAt: number;
  priority: number;
  rank: number;
  instance: string | undefined;
  /** Which singleton it is one of, as far as that is known. */
  singleton: string | undefined = undefined;
  addressee: Addressee | undefined;
  requestId: RequestId;
  params: Params | undefined;
  options: WireOptions;
  status: TaskStatus = TaskStatus.Queued;
  /** The status that its last event told, if that is known. */
  toldStatus: TaskStatus | undefined = undefined;
  /** Number of the current or last assignment; 0 before the first. */
  attempt = 0;
  /** How many nodes were lost with it, and how many of its runs failed. */
  losses = 0;
  failures = 0;
  /** How often its handler asked for another run. */
  reruns = 0;
  node: NodeSession | undefined = undefined;
  /** When something is to be done about it: its grace or its wait ends, its run takes too long, its retry is due. */
  deadline: Deadline<Due> | undefined = undefined;
  /** Its places among its node's tasks and its caller's calls. */
  nodeIndex = -1;
  ownerIndex = -1;
  /** Whether it stands in its group's queue. */
  inQueue = false;
  /** A node may have begun to run it: what it waits for now is no first run. */
  hasBegun = false;
  /** An earlier run of the broker may have given it to a node that will bring it back. */
  mayRunElsewhere = false;
  /** It is being stored, and can't run yet. */
  isArriving = false;
  /** It was claimed from its store by its id, and is not in its method's queue. */
  isTakenBack = false;
  /** It waits for another task to end, in the queue of its instance. */
  isParked = false;
  /** The run that it takes part in with others, whose outcome will be its own. */
  shared: Task | undefined = undefined;
  /** Of a shared run: who takes part. */
  members: Set<Task> | undefined = undefined;
  /** How often it was put somewhere else: what was to be done at the end of one move is void after the next. */
  moves = 0;
  /** When its current run was assigned. */
  assignedAt = 0;
  /** Which of its session's responses told its outcome, the last time that it was sent. */
  deliveryNumber = 0;
  settled: Settled | undefined = undefined;
  /** Its run is to end before anything else becomes of it. */
  stopping: Stopping | undefined = undefined;

  constructor(task: NewTask, lane: Lane, sequence: number) {
    this.id = task.id;
    this.ownerId = task.ownerId;
    this.caller = task.caller;
    this.level = task.level;
    this.lane = lane;
    this.bytes = task.bytes;
    this.createdAt = task.createdAt;
    this.pin = task.pin;
    this.expiresAt = task.expiresAt;
    const { deadlineMs } = task.options;
    this.endsAt = deadlineMs === undefined ? undefined : task.createdAt + deadlineMs;
    this.dueAt = task.dueAt;
    this.priority = task.priority;
    this.rank = rankOf(task.dueAt, task.priority);
    this.instance = task.instance;
    this.sequence = sequence;
    this.addressee = task.addressee;
    this.requestId = task.requestId;
    this.params = task.params;
    this.options = task.options;
  }

  get method(): MethodQueue {
    return this.lane.method;
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
