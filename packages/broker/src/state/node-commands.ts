// What nodes tell the broker: that they are there, how much room they have, and how their tasks go.
import {
  Announcement,
  BrokerMethod,
  describe,
  ErrorCode,
  type ErrorObject,
  errorObject,
  isBrokerTask,
  isReservedMethod,
  type MethodDescription,
  type Outcome,
  outcomeOf,
  type Response,
  TaskStatus,
} from "zerotask-core";
import { busy, readProtocol, wireLimits } from "./client-commands.ts";
import { type Command, type CommandHandler, checkId, type ParamReader, Refusal } from "./command.ts";
import type { BrokerConfig } from "./config.ts";
import { NodeSession } from "./node-session.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Sessions } from "./sessions.ts";
import type { Task } from "./task.ts";
import type { TaskLife } from "./task-life.ts";
import type { TaskTable } from "./task-table.ts";
import type { Turn } from "./turn.ts";

export interface NodeCommandParts {
  readonly turn: Turn;
  readonly config: BrokerConfig;
  readonly sessions: Sessions;
  readonly tasks: TaskTable;
  readonly life: TaskLife;
  readonly scheduler: Scheduler;
}

/** How many waiting tasks a node without a protocol is told of again. */
const reannounced = 100;

export class NodeCommands {
  readonly #parts: NodeCommandParts;

  constructor(parts: NodeCommandParts) {
    this.#parts = parts;
  }

  /** Each command with the names of its params, in order. */
  table(): [string, readonly string[], CommandHandler][] {
    return [
      [
        BrokerMethod.NodeConnect,
        ["node_id", "protocol", "token", "methods", "slots", "running"],
        (...a) => this.#connect(...a),
      ],
      [BrokerMethod.NodeHeartbeat, ["node_id"], (...a) => this.#heartbeat(...a)],
      [BrokerMethod.NodeDisconnect, ["node_id"], (...a) => this.#disconnect(...a)],
      [BrokerMethod.NodeFetch, ["capacity"], (...a) => this.#fetch(...a)],
      [BrokerMethod.NodeTaskRequest, ["node_id", "task_id"], (...a) => this.#request(...a)],
      [BrokerMethod.NodeTaskStatus, ["node_id", "task_id", "status"], (...a) => this.#status(...a)],
      [BrokerMethod.NodeTaskFinished, ["node_id", "task_id", "result"], (...a) => this.#finished(...a)],
      [BrokerMethod.NodeTaskFailed, ["node_id", "task_id", "error"], (...a) => this.#failed(...a)],
    ];
  }

  /**
   * The response that a handler's run ended with. One from an attempt that is not current changes nothing.
   * @returns whether it was a task's answer
   */
  answer(node: NodeSession, response: Response, bytes: number): boolean {
    const task = typeof response.id === "string" ? this.#attempt(node, response.id) : undefined;
    if (task === undefined) return false;
    const status = "error" in response ? TaskStatus.Failed : TaskStatus.Finished;
    this.#parts.life.settle(task, status, outcomeOf(response), bytes);
    return true;
  }

  /** The node is gone: its tasks go on with their next attempts. */
  lose(node: NodeSession): void {
    this.#leave(node, (task) => this.#parts.life.lose(task));
  }

  #connect(command: Command, read: ParamReader): Outcome {
    const protocol = readProtocol(command, read);
    const { config, sessions, scheduler, turn } = this.#parts;
    const id = read.has("node_id")
      ? checkId(read.string("node_id"), ErrorCode.InvalidNodeId, "a node id")
      : config.newId();
    const token =
      protocol === undefined ? undefined : read.has("token") ? read.string("token") : config.newToken();
    const known = sessions.nodes.get(id);
    if (known !== undefined && known.token !== token) {
      throw new Refusal(ErrorCode.InvalidNodeId, `The node id ${id} belongs to another session`);
    }
    if (known === undefined && sessions.count >= config.maxSessions)
      throw busy("sessions", config.maxSessions);
    if (protocol === undefined) {
      if (known === undefined) {
        sessions.addNode(new NodeSession(id, token, undefined, turn));
        scheduler.countAskingNodes(1);
      } else known.lastSeen = turn.now;
      this.#announceWaiting();
      return { result: id };
    }
    const descriptions = readMethods(read);
    const slots = read.count("slots");
    const running = readRunning(read);
    const node = new NodeSession(id, token, command.peer, turn);
    if (known !== undefined) this.#handOver(known, node, running);
    sessions.addNode(node);
    node.slots = slots;
    node.capacity = slots;
    scheduler.serve(node, descriptions);
    const abort = [...running].filter((attemptId) => this.#attempt(node, attemptId) === undefined);
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

  /** The same node on a new connection keeps what it still runs; the rest got lost on the old one. */
  #handOver(before: NodeSession, after: NodeSession, running: ReadonlySet<string>): void {
    const kept = before.tasks.toArray().filter((task) => running.has(task.attemptId));
    for (const task of kept) {
      before.tasks.delete(task);
      after.tasks.add(task);
      task.node = after;
    }
    this.#leave(before, (task) => this.#parts.life.putBack(task));
  }

  #heartbeat(command: Command, read: ParamReader): Outcome {
    const node = this.#node(command, read);
    if (node.token === undefined) this.#announceWaiting();
    return { result: true };
  }

  #disconnect(command: Command, read: ParamReader): Outcome {
    this.#leave(this.#node(command, read), (task) => this.#parts.life.putBack(task));
    return { result: true };
  }

  #fetch({ session }: Command, read: ParamReader): Outcome {
    if (session?.kind !== "node") throw new Refusal(ErrorCode.NotAllowed, "Expected a node with a session");
    session.capacity = read.count("capacity");
    this.#parts.scheduler.offerRoom(session);
    return { result: true };
  }

  #request(command: Command, read: ParamReader): Outcome {
    const node = this.#node(command, read);
    const id = read.string("task_id");
    const task = this.#parts.tasks.get(id);
    if (task === undefined) throw unknownTask(id);
    if (task.status !== TaskStatus.Queued) return { result: null };
    this.#parts.scheduler.claim(task, node);
    return { result: { method: task.method.name, params: task.params ?? [], id: task.id } };
  }

  #status(command: Command, read: ParamReader): Outcome {
    const task = this.#heldTask(command, read);
    const status = read.string("status");
    if (status === TaskStatus.Running) this.#parts.life.start(task);
    else if (status === TaskStatus.Queued) this.#handBack(task);
    else {
      throw new Refusal(
        ErrorCode.InvalidParams,
        `Expected \`status\` to be RUNNING, or QUEUED to hand the task back, got ${describe(status)}`,
      );
    }
    return { result: true };
  }

  /** A node that hands back has less room than was thought: it gets nothing until it asks again. */
  #handBack(task: Task): void {
    const { node } = task;
    if (node !== undefined) node.capacity = node.tasks.size - 1;
    this.#parts.life.putBack(task);
  }

  #finished(command: Command, read: ParamReader): Outcome {
    const task = this.#heldTask(command, read);
    const result = read.value("result") ?? null;
    this.#parts.life.settle(task, TaskStatus.Finished, { result }, command.bytes);
    return { result: true };
  }

  #failed(command: Command, read: ParamReader): Outcome {
    const task = this.#heldTask(command, read);
    const error = readError(read.value("error"));
    this.#parts.life.settle(task, TaskStatus.Failed, { error }, command.bytes);
    return { result: true };
  }

  #leave(node: NodeSession, each: (task: Task) => void): void {
    const { sessions, scheduler } = this.#parts;
    if (sessions.nodes.get(node.id) !== node) return;
    sessions.remove(node);
    scheduler.remove(node);
    for (const task of node.tasks.toArray()) each(task);
    if (node.token === undefined) scheduler.countAskingNodes(-1);
  }

  /** Announcements are lossy: a node that depends on them is told again of what waits. */
  #announceWaiting(): void {
    const { scheduler, turn } = this.#parts;
    for (const task of scheduler.oldestWaiting(reannounced)) {
      turn.announce(Announcement.TaskReady, { method: task.method.name, task_id: task.id });
    }
  }

  /** The node that a command is about: the session's own, or one without a token, that its id is enough for. */
  #node({ session }: Command, read: ParamReader): NodeSession {
    const { sessions, turn } = this.#parts;
    const isOwn = session?.kind === "node" && (!read.has("node_id") || read.string("node_id") === session.id);
    const id = isOwn ? session.id : read.string("node_id");
    const node = isOwn ? session : sessions.nodes.get(id);
    if (node === undefined) throw new Refusal(ErrorCode.InvalidNodeId, `No node has the id ${describe(id)}`);
    if (!isOwn && node.token !== undefined) {
      throw new Refusal(ErrorCode.NotAllowed, "This node can only be spoken for on its own connection");
    }
    node.lastSeen = turn.now;
    return node;
  }

  #heldTask(command: Command, read: ParamReader): Task {
    const node = this.#node(command, read);
    const id = read.string("task_id");
    const named = this.#parts.tasks.get(id);
    const task = named?.node === node ? named : this.#attempt(node, id);
    if (task === undefined) {
      throw new Refusal(
        ErrorCode.InvalidTaskId,
        `The node ${node.id} does not hold the task ${describe(id)}`,
      );
    }
    return task;
  }

  /** The task that `<task_id>#<attempt>` names, while this node holds that attempt. */
  #attempt(node: NodeSession, attemptId: string): Task | undefined {
    const mark = attemptId.lastIndexOf("#");
    const task = mark < 0 ? undefined : this.#parts.tasks.get(attemptId.slice(0, mark));
    if (task === undefined || task.node !== node) return undefined;
    return attemptId.slice(mark + 1) === String(task.attempt) ? task : undefined;
  }
}

function unknownTask(id: string): Refusal {
  return new Refusal(ErrorCode.InvalidTaskId, `No task has the id ${describe(id)}`);
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
  return running;
}

function readMethods(read: ParamReader): MethodDescription[] {
  return read.array("methods").map((method) => {
    const description = typeof method === "string" ? { name: method } : (method as MethodDescription | null);
    const { name, params } = description ?? {};
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
    return params === undefined ? { name } : { name, params };
  });
}

/** The original's nodes report errors in any form. */
function readError(error: unknown): ErrorObject {
  if (typeof error === "object" && error !== null) {
    const { code, message, data } = error as Record<string, unknown>;
    if (typeof message === "string") {
      return errorObject(Number.isInteger(code) ? (code as number) : ErrorCode.TaskFailed, message, data);
    }
  }
  const message = typeof error === "string" ? error : "The task failed";
  return errorObject(ErrorCode.TaskFailed, message, { name: "Error", message, data: error });
}
