// How nodes come and go: what they serve, and which runs they bring back.
import {
  Announcement,
  describe,
  ErrorCode,
  isBrokerTask,
  isReservedMethod,
  type MethodDescription,
  type MethodTraits,
  OptionError,
  type Outcome,
  respond,
  traitsFromWire,
} from "zerotask-core";
import type { Admission } from "../admission/admission.ts";
import { busy, type Command, checkId, type ParamReader, Refusal } from "../commands/command.ts";
import type { BrokerConfig } from "../config.ts";
import type { Scheduler } from "../order/scheduler.ts";
import type { Streams } from "../streams/streams.ts";
import { heldAttempt, isFree, readAttempt } from "../tasks/attempts.ts";
import type { Locals } from "../tasks/locals.ts";
import type { Runs } from "../tasks/runs.ts";
import type { Stops } from "../tasks/stops.ts";
import type { Task } from "../tasks/task.ts";
import type { TaskLife } from "../tasks/task-life.ts";
import type { TaskTable } from "../tasks/task-table.ts";
import type { Waiters } from "../tasks/waiters.ts";
import type { Turn } from "../turn.ts";
import { checkNoSession, readProtocol, readToken, wireLimits } from "./introduction.ts";
import { type RoomDescription, readRooms } from "./node-room.ts";
import { NodeSession } from "./node-session.ts";
import type { Sessions } from "./sessions.ts";

export interface NodeParts {
  readonly turn: Turn;
  readonly config: BrokerConfig;
  readonly sessions: Sessions;
  readonly tasks: TaskTable;
  readonly life: TaskLife;
  readonly scheduler: Scheduler;
  readonly waiters: Waiters;
  readonly runs: Runs;
  readonly stops: Stops;
  readonly locals: Locals;
  readonly admission: Admission;
  readonly streams: Streams;
}

/** How many attempts a node may bring back. */
const maxRunning = 100_000;

/** How many waiting tasks a node without a protocol is told of again. */
const reannounced = 100;

interface Introduction {
  readonly id: string;
  readonly token: string | undefined;
  readonly peer: string;
  readonly descriptions: readonly MethodDescription[];
  readonly slots: number;
  readonly running: ReadonlySet<string>;
  readonly rooms: readonly RoomDescription[];
}

export class NodeArrivals {
  readonly #parts: NodeParts;
  /** Those that wait until it is known what they run, by node. */
  readonly #introductions = new Map<string, Introduction>();

  constructor(parts: NodeParts) {
    this.#parts = parts;
  }

  /** A node introduces itself: it is answered once it is known what it still runs. */
  connect(command: Command, read: ParamReader): Outcome | undefined {
    const protocol = readProtocol(command, read, this.#parts);
    const { config, sessions, scheduler, turn } = this.#parts;
    const id = read.has("node_id")
      ? checkId(read.string("node_id"), ErrorCode.InvalidNodeId, "a node id")
      : config.newId();
    const token =
      protocol === undefined ? undefined : read.has("token") ? readToken(read) : config.newToken();
    this.#checkOwner(id, token);
    if (protocol === undefined) {
      const known = sessions.nodes.get(id);
      if (known === undefined) {
        sessions.addNode(new NodeSession(id, token, undefined, turn));
        scheduler.countAskingNodes(1);
      } else known.lastSeen = turn.now;
      this.announceWaiting();
      return { result: id };
    }
    const introduction = {
      id,
      token,
      peer: command.peer,
      descriptions: readMethods(read),
      slots: read.count("slots"),
      running: readRunning(read),
      rooms: readRooms(read),
    };
    const { life, stops, tasks } = this.#parts;
    const name = nameOf(introduction);
    this.#introductions.set(name, introduction);
    // What it runs and no task in memory is, an earlier run of the broker gave it.
    const ids = [...introduction.running].flatMap((attemptId) => readAttempt(attemptId)?.id ?? []);
    life.take(
      ids.filter((taskId) => tasks.get(taskId) === undefined),
      () => {
        if (this.#introductions.get(name) !== introduction) {
          command.addressee.deliver(respond(command.requestId, goneBy(id).error));
          return;
        }
        this.#introductions.delete(name);
        command.addressee.deliver(respond(command.requestId, this.#welcome(introduction)));
        this.#parts.admission.askNames();
        for (const task of sessions.nodes.get(id)?.tasks.toArray() ?? []) stops.remind(task);
      },
    );
    return undefined;
  }

  /** A connection is gone: whoever introduced itself on it does so on another one. */
  forget(peer: string): void {
    for (const [name, introduction] of this.#introductions)
      if (introduction.peer === peer) this.#introductions.delete(name);
  }

  /** It has introduced itself on another connection, which is to be answered before long. */
  isComing(node: NodeSession): boolean {
    return this.#introductions.size > 0 && this.#introductions.has(nameOf(node));
  }

  /** @throws Refusal when the id is another's, or there are too many sessions */
  #checkOwner(id: string, token: string | undefined): void {
    const { config, sessions } = this.#parts;
    const known = sessions.nodes.get(id);
    if (known !== undefined && known.token !== token) {
      throw new Refusal(ErrorCode.InvalidNodeId, `The node id ${id} belongs to another session`);
    }
    if (known === undefined && sessions.count >= config.maxSessions)
      throw busy("sessions", config.maxSessions);
  }

  /** Makes the node's session: from here on it is given tasks. */
  #welcome(introduction: Introduction): Outcome {
    const { config, sessions, scheduler, turn } = this.#parts;
    const { id, token, peer, descriptions, slots, running, rooms } = introduction;
    try {
      checkNoSession(peer, sessions);
      this.#checkOwner(id, token);
    } catch (error) {
      if (error instanceof Refusal) return error.error;
      throw error;
    }
    const known = sessions.nodes.get(id);
    const node = new NodeSession(id, token, peer, turn, slots);
    for (const room of rooms) node.addRoom(room);
    if (known !== undefined) this.#handOver(known, node, running);
    sessions.addNode(node);
    // What it serves says which of its runs may go on beside others.
    scheduler.serve(node, descriptions);
    const abort = [...running].filter((attemptId) => !this.#adopt(node, attemptId));
    const { epoch, heartbeatMs, leaseMs } = config;
    return {
      result: {
        node_id: id,
        token,
        epoch,
        heartbeat_ms: heartbeatMs,
        lease_ms: leaseMs,
        abort,
        limits: wireLimits(config.limits),
      },
    };
  }

  /**
   * Lets a node go on with an attempt. One that is not its own is taken over when no later one was made, as
   * after a restart of the broker.
   */
  #adopt(node: NodeSession, attemptId: string): boolean {
    const held = heldAttempt(this.#parts.tasks, node, attemptId);
    if (held !== undefined) {
      this.#parts.admission.keep(held);
      return true;
    }
    const attempt = readAttempt(attemptId);
    const streaming = attempt && this.#parts.tasks.get(attempt.id);
    if (streaming !== undefined && this.#parts.streams.mayGoOn(streaming, attempt?.number ?? 0, node)) {
      this.#parts.scheduler.adopt(streaming, node, streaming.attempt);
      return true;
    }
    const task = attempt && this.#parts.tasks.submitted(attempt.id);
    if (attempt === undefined || task === undefined) return false;
    if (!isFree(task) || !task.mayRunElsewhere) return false;
    if (attempt.number <= task.attempt || !this.#parts.admission.adopt(task)) return false;
    this.#parts.scheduler.adopt(task, node, attempt.number);
    return true;
  }

  /** The same node on a new connection keeps what it still runs; the rest got lost on the old one. */
  #handOver(before: NodeSession, after: NodeSession, running: ReadonlySet<string>): void {
    const kept = before.tasks.toArray().filter((task) => running.has(task.attemptId));
    for (const task of kept) {
      before.release(task);
      after.hold(task);
      task.node = after;
    }
    this.leave(before, (task) => this.#parts.runs.putBack(task));
  }

  /** The node takes no part any more; `each` is done with what it had. */
  leave(node: NodeSession, each: (task: Task) => void): void {
    const { sessions, scheduler, waiters } = this.#parts;
    if (sessions.nodes.get(node.id) !== node) return;
    sessions.remove(node);
    scheduler.remove(node);
    waiters.forget(node);
    this.#parts.admission.lose(node);
    for (const task of node.tasks.toArray()) each(task);
    if (node.token === undefined) scheduler.countAskingNodes(-1);
  }

  /** Announcements are lossy: a node that depends on them is told again of what waits. */
  announceWaiting(): void {
    const { scheduler, turn } = this.#parts;
    for (const task of scheduler.oldestWaiting(reannounced)) {
      turn.announce(Announcement.TaskReady, { method: task.method.name, task_id: task.id });
    }
  }
}

function nameOf({ id, token }: { readonly id: string; readonly token: string | undefined }): string {
  return JSON.stringify([id, token]);
}

function goneBy(id: string): Refusal {
  const message = `Expected the node ${id} on its latest connection, got an earlier one`;
  return new Refusal(ErrorCode.InvalidNodeId, message);
}

function readRunning(read: ParamReader): ReadonlySet<string> {
  const running = new Set<string>();
  for (const id of read.array("running")) {
    if (typeof id !== "string") {
      throw new Refusal(
        ErrorCode.InvalidParams,
        `Expected \`running\` to be attempt ids, got ${describe(id)}`,
      );
    }
    running.add(id);
  }
  if (running.size > maxRunning) {
    throw new Refusal(
      ErrorCode.TooLarge,
      `Expected \`running\` to have at most ${maxRunning} attempt ids, got ${running.size}`,
    );
  }
  return running;
}

function readMethods(read: ParamReader): MethodDescription[] {
  return read.array("methods").map((method) => {
    const description = typeof method === "string" ? { name: method } : method;
    const { name, params, ...options } = (description ?? {}) as {
      readonly name?: unknown;
      readonly params?: unknown;
    };
    const areNames =
      params === undefined || (Array.isArray(params) && params.every((p) => typeof p === "string"));
    if (typeof name !== "string" || name === "" || !areNames) {
      throw new Refusal(
        ErrorCode.InvalidParams,
        `Expected \`methods\` to be names or {name, params?}, got ${describe(method)}`,
      );
    }
    if (isReservedMethod(name) || isBrokerTask(name)) {
      throw new Refusal(
        ErrorCode.NotAllowed,
        `A node can't serve rpc.*, zerotask.* or broker.*, got ${describe(name)}`,
      );
    }
    return { name, ...(params !== undefined && { params }), ...readTraits(options) };
  });
}

function readTraits(wire: { readonly [name: string]: unknown }): MethodTraits {
  try {
    return traitsFromWire(wire);
  } catch (error) {
    if (error instanceof OptionError) throw new Refusal(ErrorCode.InvalidParams, error.message);
    throw error;
  }
}
