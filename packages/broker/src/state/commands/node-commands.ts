// What nodes tell the broker: that they are there, how much room they have, and how their tasks go.
import {
  BrokerMethod,
  describe,
  type Entry,
  ErrorCode,
  type ErrorObject,
  errorObject,
  isBrokerTask,
  isReservedMethod,
  type Outcome,
  outcomeOf,
  type Response,
  respond,
  TaskStatus,
} from "zerotask-core";
import { type Emptiness, isEmpty } from "../order/emptiness.ts";
import { nodeOf } from "../peers/introduction.ts";
import { NodeArrivals, type NodeParts } from "../peers/node-arrivals.ts";
import type { NodeSession } from "../peers/node-session.ts";
import { heldAttempt, isFree, maxAttempt } from "../tasks/attempts.ts";
import { localPrefix } from "../tasks/locals.ts";
import { unknownTask } from "../tasks/submissions.ts";
import type { Task } from "../tasks/task.ts";
import { type Command, type CommandHandler, checkId, type ParamReader, Refusal } from "./command.ts";

export class NodeCommands {
  readonly #parts: NodeParts & { readonly emptiness: Emptiness };
  readonly #arrivals: NodeArrivals;
  #refused = 0;

  constructor(parts: NodeParts & { readonly emptiness: Emptiness }) {
    this.#parts = parts;
    this.#arrivals = new NodeArrivals(parts);
  }

  /** How many answers came from attempts that were not current any more. */
  get refusedAnswers(): number {
    return this.#refused;
  }

  /** Each command with the names of its params, in order. */
  table(): [string, readonly string[], CommandHandler][] {
    return [
      [
        BrokerMethod.NodeConnect,
        ["node_id", "protocol", "token", "methods", "slots", "running", "rooms"],
        (...a) => this.#arrivals.connect(...a),
      ],
      [BrokerMethod.NodeHeartbeat, ["node_id"], (...a) => this.#heartbeat(...a)],
      [BrokerMethod.NodeDisconnect, ["node_id"], (...a) => this.#disconnect(...a)],
      [BrokerMethod.NodeFetch, ["capacity", "room"], (...a) => this.#fetch(...a)],
      [BrokerMethod.NodeEmpty, ["wait"], (...a) => this.#empty(...a)],
      [BrokerMethod.NodeTaskRequest, ["node_id", "task_id"], (...a) => this.#request(...a)],
      [BrokerMethod.NodeTaskStatus, ["node_id", "task_id", "status"], (...a) => this.#status(...a)],
      [BrokerMethod.NodeRunLocal, ["name", "method", "params", "attempt"], (...a) => this.#runLocal(...a)],
      [BrokerMethod.NodeTaskUnstoppable, ["node_id", "task_id"], (...a) => this.#unstoppable(...a)],
      [BrokerMethod.NodeTaskFinished, ["node_id", "task_id", "result"], (...a) => this.#finished(...a)],
      [BrokerMethod.NodeTaskFailed, ["node_id", "task_id", "error"], (...a) => this.#failed(...a)],
    ];
  }

  /**
   * The response that a handler's run ended with. One from an attempt that is not current changes nothing.
   * @returns whether it was a task's answer
   */
  answer(node: NodeSession, response: Response, bytes: number): boolean {
    const task =
      typeof response.id === "string" ? heldAttempt(this.#parts.tasks, node, response.id) : undefined;
    if (task === undefined) {
      if (this.#parts.admission.naming.answer(node, response)) return true;
      this.#refused++;
      return false;
    }
    const status = "error" in response ? TaskStatus.Failed : TaskStatus.Finished;
    this.#parts.runs.end(task, status, outcomeOf(response), bytes);
    return true;
  }

  /** Answers that come from where a node was given up: its tasks are others' now. */
  refuse(entries: readonly Entry[]): void {
    for (const { kind } of entries) if (kind === "response") this.#refused++;
  }

  /** A connection is gone that no session is on, so far. */
  forget(peer: string): void {
    this.#arrivals.forget(peer);
  }

  /** The node is gone: its tasks go on with their next attempts. One that is back already, and waits to be heard, has them. */
  lose(node: NodeSession): void {
    if (this.#arrivals.isComing(node)) return;
    this.#arrivals.leave(node, (task) => this.#parts.runs.lose(task));
  }

  #heartbeat(command: Command, read: ParamReader): Outcome {
    const node = nodeOf(command, read, this.#parts);
    if (node.token === undefined) this.#arrivals.announceWaiting();
    return { result: true };
  }

  #disconnect(command: Command, read: ParamReader): Outcome {
    this.#arrivals.leave(nodeOf(command, read, this.#parts), (task) => this.#parts.runs.putBack(task));
    return { result: true };
  }

  #fetch({ session }: Command, read: ParamReader): Outcome {
    if (session?.kind !== "node") throw new Refusal(ErrorCode.NotAllowed, "Expected a node with a session");
    const name = read.has("room") ? read.string("room") : undefined;
    const room = session.room(name);
    if (room === undefined) {
      const expected = "Expected `room` to be one that the node introduced";
      throw new Refusal(ErrorCode.InvalidParams, `${expected}, got ${describe(name)}`);
    }
    room.capacity = read.count("capacity");
    this.#parts.scheduler.offerRoom(session);
    return { result: true };
  }

  #empty({ session, requestId }: Command, read: ParamReader): Outcome | undefined {
    if (session?.kind !== "node") throw new Refusal(ErrorCode.NotAllowed, "Expected a node with a session");
    const mayWait = read.flag("wait");
    const { emptiness } = this.#parts;
    if (!mayWait) return isEmpty(emptiness.isEmpty(session));
    if (requestId !== null) emptiness.wait(session, requestId);
    return undefined;
  }

  #request(command: Command, read: ParamReader): Outcome | undefined {
    const node = nodeOf(command, read, this.#parts);
    const id = read.string("task_id");
    const task = this.#parts.tasks.get(id);
    if (task !== undefined) return this.#give(task, node);
    // One that was left to a store can be asked for, too.
    const { life, sessions, tasks } = this.#parts;
    const { addressee, requestId } = command;
    life.take([id], (known) => {
      const held = tasks.submitted(id);
      const isThere = sessions.nodes.get(node.id) === node;
      const outcome = held !== undefined && isThere ? this.#give(held, node) : { result: null };
      addressee.deliver(respond(requestId, known.length === 0 ? unknownTask(id).error : outcome));
    });
    return undefined;
  }

  #give(task: Task, node: NodeSession): Outcome {
    const { admission, scheduler } = this.#parts;
    if (
      task.dueAt > this.#parts.turn.now ||
      !isFree(task) ||
      !scheduler.mayBegin(task) ||
      !admission.claim(task)
    )
      return { result: null };
    scheduler.claim(task, node);
    return { result: { method: task.method.name, params: task.params ?? [], id: task.id } };
  }

  #status(command: Command, read: ParamReader): Outcome {
    const task = this.#heldTask(command, read);
    const status = read.string("status");
    if (status === TaskStatus.Running) this.#parts.runs.start(task);
    else if (status === TaskStatus.Queued) this.#handBack(task);
    else {
      throw new Refusal(
        ErrorCode.InvalidParams,
        `Expected \`status\` to be RUNNING, or QUEUED to hand the task back, got ${describe(status)}`,
      );
    }
    return { result: true };
  }

  /** A node that hands back has less room than was thought: it gets nothing more of that until it asks again. */
  #handBack(task: Task): void {
    const room = task.node?.roomOf(task.method.name);
    if (room !== undefined) room.capacity = room.held - 1;
    this.#parts.runs.handBack(task);
  }

  #runLocal({ session, bytes }: Command, read: ParamReader): Outcome {
    if (session?.kind !== "node") throw new Refusal(ErrorCode.NotAllowed, "Expected a node with a session");
    const id = `${localPrefix}${session.id}-${readName(read)}`;
    const attempt = read.has("attempt") ? readAttemptNumber(read) : undefined;
    const { method, params } = { method: read.string("method"), params: read.taskParams("params") };
    if (isReservedMethod(method) || isBrokerTask(method)) {
      const expected = "Expected `method` to be one that nodes serve";
      throw new Refusal(ErrorCode.InvalidParams, `${expected}, got ${describe(method)}`);
    }
    this.#parts.locals.run(session, { id, method, params, bytes, attempt });
    return { result: id };
  }

  #unstoppable(command: Command, read: ParamReader): Outcome {
    this.#parts.stops.onUnstoppable(this.#heldTask(command, read));
    return { result: true };
  }

  #finished(command: Command, read: ParamReader): Outcome {
    const task = this.#heldTask(command, read);
    const result = read.value("result") ?? null;
    this.#parts.runs.end(task, TaskStatus.Finished, { result }, command.bytes);
    return { result: true };
  }

  #failed(command: Command, read: ParamReader): Outcome {
    const task = this.#heldTask(command, read);
    const error = readError(read.value("error"));
    this.#parts.runs.end(task, TaskStatus.Failed, { error }, command.bytes);
    return { result: true };
  }

  #heldTask(command: Command, read: ParamReader): Task {
    const node = nodeOf(command, read, this.#parts);
    const id = read.string("task_id");
    // A task may be called what an attempt of another is: nodes that know of attempts mean these.
    const named = this.#parts.tasks.get(id);
    const task = heldAttempt(this.#parts.tasks, node, id) ?? (named?.node === node ? named : undefined);
    if (task === undefined) {
      throw new Refusal(
        ErrorCode.InvalidTaskId,
        `The node ${node.id} does not hold the task ${describe(id)}`,
      );
    }
    return task;
  }
}

/** @throws Refusal for what no attempt has as its number */
function readAttemptNumber(read: ParamReader): number {
  const number = read.count("attempt");
  if (number >= 1 && number <= maxAttempt) return number;
  const expected = `Expected \`attempt\` to be an integer from 1 to ${maxAttempt}`;
  throw new Refusal(ErrorCode.InvalidParams, `${expected}, got ${describe(number)}`);
}

/** What follows the last dash of an id: with one of its own, two tasks could have one id. */
function readName(read: ParamReader): string {
  const name = checkId(read.string("name"), ErrorCode.InvalidTaskId, "a name");
  if (!name.includes("-")) return name;
  throw new Refusal(ErrorCode.InvalidTaskId, `Expected a name without "-", got ${describe(name)}`);
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
