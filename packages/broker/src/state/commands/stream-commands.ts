// What clients and nodes send of their streams: items on their way, and how far these were read.
import {
  BrokerMethod,
  describe,
  ErrorCode,
  type ErrorObject,
  errorObject,
  type InputKey,
  isInputKey,
  type Outcome,
  type StreamBatch,
  type StreamGrant,
  TaskStatus,
} from "zerotask-core";
import type { Streams } from "../streams/streams.ts";
import { heldAttempt } from "../tasks/attempts.ts";
import { callId } from "../tasks/calls.ts";
import type { Runs } from "../tasks/runs.ts";
import type { Settlement } from "../tasks/settlement.ts";
import type { Task } from "../tasks/task.ts";
import type { TaskTable } from "../tasks/task-table.ts";
import { type Command, type CommandHandler, type ParamReader, Refusal } from "./command.ts";

export interface StreamCommandParts {
  readonly tasks: TaskTable;
  readonly runs: Runs;
  readonly settlement: Settlement;
  readonly streams: Streams;
}

const batchNames = ["seq", "items", "bytes", "end", "error"];
const grantNames = ["taken", "received", "again", "closed"];

/** What comes for a task that ended, or is elsewhere now, is late: `false`, and nothing happens. */
const late: Outcome = { result: false };
const done: Outcome = { result: true };

export class StreamCommands {
  readonly #parts: StreamCommandParts;

  constructor(parts: StreamCommandParts) {
    this.#parts = parts;
  }

  /** Each command with the names of its params, in order. */
  table(): [string, readonly string[], CommandHandler][] {
    return [
      [BrokerMethod.NodeStreamItems, ["id", ...batchNames], (...a) => this.#items(...a)],
      [BrokerMethod.NodeInputGrant, ["id", "input", ...grantNames], (...a) => this.#inputGrant(...a)],
      [BrokerMethod.ClientStreamGrant, ["id", ...grantNames], (...a) => this.#grant(...a)],
      [BrokerMethod.ClientStreamInput, ["id", "input", ...batchNames], (...a) => this.#input(...a)],
    ];
  }

  #items(command: Command, read: ParamReader): Outcome {
    const task = this.#heldBy(command, read);
    if (task?.options.stream?.output !== true) return late;
    return this.#parts.streams.passOutput(task, readBatch(read)) ? done : this.#tooMany(task, "node");
  }

  #inputGrant(command: Command, read: ParamReader): Outcome {
    const task = this.#heldBy(command, read);
    const input = readInput(read);
    if (task?.options.stream?.inputs?.includes(input) !== true) return late;
    this.#parts.streams.grantInput(task, input, readGrant(read));
    return done;
  }

  #grant(command: Command, read: ParamReader): Outcome {
    const task = this.#calledBy(command, read);
    if (task?.options.stream?.output !== true) return late;
    this.#parts.streams.grantOutput(task, readGrant(read));
    return done;
  }

  #input(command: Command, read: ParamReader): Outcome {
    const task = this.#calledBy(command, read);
    const input = readInput(read);
    if (task?.options.stream?.inputs?.includes(input) !== true) return late;
    return this.#parts.streams.passInput(task, input, readBatch(read)) ? done : this.#tooMany(task, "client");
  }

  /** Who sends more than it was asked for would fill the memory of others: that is the end of the call. */
  #tooMany(task: Task, who: string): Outcome {
    const error = errorObject(ErrorCode.NotAllowed, `The ${who} sent more items than it was asked for`);
    this.#parts.runs.abort(task);
    this.#parts.settlement.settle(task, TaskStatus.Failed, { error }, 0);
    return { error };
  }

  #heldBy({ session }: Command, read: ParamReader): Task | undefined {
    if (session?.kind !== "node") throw new Refusal(ErrorCode.NotAllowed, "Expected a node with a session");
    return heldAttempt(this.#parts.tasks, session, read.string("id"));
  }

  #calledBy({ session }: Command, read: ParamReader): Task | undefined {
    if (session?.kind !== "client")
      throw new Refusal(ErrorCode.NotAllowed, "Expected a client with a session");
    const id = read.value("id");
    if (typeof id !== "string" && typeof id !== "number") {
      throw new Refusal(ErrorCode.InvalidParams, `Expected \`id\` to be a request's id, got ${describe(id)}`);
    }
    const task = this.#parts.tasks.get(callId(session, id));
    return task?.caller === session && task.settled === undefined ? task : undefined;
  }
}

function readBatch(read: ParamReader): StreamBatch {
  return {
    seq: read.count("seq"),
    items: read.array("items"),
    bytes: read.count("bytes"),
    ...(read.value("end") === true && { end: true }),
    ...(read.has("error") && { error: readError(read) }),
  };
}

function readError(read: ParamReader): ErrorObject {
  const { code, message, data } = read.object("error");
  if (typeof message === "string" && Number.isInteger(code))
    return errorObject(code as number, message, data);
  throw new Refusal(ErrorCode.InvalidParams, 'Expected `error` to have an integer "code" and a "message"');
}

function readGrant(read: ParamReader): StreamGrant {
  return {
    taken: read.count("taken"),
    received: read.count("received"),
    ...(read.value("again") === true && { again: true }),
    ...(read.value("closed") === true && { closed: true }),
  };
}

function readInput(read: ParamReader): InputKey {
  const input = read.value("input");
  if (isInputKey(input)) return input;
  throw new Refusal(
    ErrorCode.InvalidParams,
    `Expected \`input\` to be the place or name of a param, got ${describe(input)}`,
  );
}
