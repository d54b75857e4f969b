// What handlers tell of their tasks while they run, and who reads it: events and lines of logs.
import {
  BrokerMethod,
  describe,
  ErrorCode,
  EventName,
  maxEventDataBytes,
  maxEventName,
  type Outcome,
  type TaskLogLevel,
  taskLogLevels,
} from "zerotask-core";
import {
  type EventBody,
  type Events,
  eventToWire,
  type LogBody,
  logToWire,
  type Subject,
} from "../events/events.ts";
import type { Entry } from "../events/journal.ts";
import { bytesOf } from "../storage/stored-task.ts";
import { heldAttempt } from "../tasks/attempts.ts";
import type { Task } from "../tasks/task.ts";
import { type Command, type CommandHandler, type ParamReader, Refusal } from "./command.ts";
import { type TaskViewParts, TaskViews } from "./task-views.ts";

export interface EventCommandParts extends TaskViewParts {
  readonly events: Events;
  readonly wall: () => number;
}

const defaultLimit = 1_000;
const maxLimit = 10_000;

export class EventCommands {
  readonly #parts: EventCommandParts;
  readonly #views: TaskViews;

  constructor(parts: EventCommandParts) {
    this.#parts = parts;
    this.#views = new TaskViews(parts);
  }

  /** Each command with the names of its params, in order. */
  table(): [string, readonly string[], CommandHandler][] {
    const filter = ["task_id", "method", "event", "after", "limit"];
    return [
      [BrokerMethod.ClientEvents, filter, (...a) => this.#read(...a)],
      [BrokerMethod.ClientTaskLogs, ["task_id", "after", "limit"], (...a) => this.#readLogs(...a)],
      [BrokerMethod.NodeTaskEvent, ["task_id", "event", "data"], (...a) => this.#emit(...a)],
      [BrokerMethod.NodeTaskLog, ["task_id", "lines"], (...a) => this.#log(...a)],
    ];
  }

  #read(command: Command, read: ParamReader): Outcome | undefined {
    const taskId = read.has("task_id") ? read.string("task_id") : undefined;
    const method = read.has("method") ? read.string("method") : undefined;
    const event = read.has("event") ? read.string("event") : undefined;
    const matches =
      event === undefined ? undefined : ({ body }: Entry<EventBody>): boolean => body.event === event;
    const place = readPlace(read);
    const stream = taskId !== undefined ? "task" : method !== undefined ? "method" : "all";
    const find = (): object => {
      const { events } = this.#parts;
      const page = events.events.find({ taskId, method, matches, ...place });
      return {
        events: page.entries.map((entry) => eventToWire(entry, entry.prev[stream])),
        seq: events.seq,
        ...(page.hasMore && { more: true }),
        ...(page.hasLost && { lost: true }),
      };
    };
    if (taskId === undefined) return { result: find() };
    return this.#views.view(command, [taskId], ({ status }) => ({ result: { ...find(), status } }));
  }

  #readLogs(command: Command, read: ParamReader): undefined {
    const taskId = read.string("task_id");
    const place = readPlace(read);
    return this.#views.view(command, [taskId], ({ status }) => {
      const { events } = this.#parts;
      const page = events.logs.find({ taskId, ...place });
      const result = {
        lines: page.entries.map(logToWire),
        seq: events.seq,
        ...(page.hasMore && { more: true }),
        ...(page.hasLost && { lost: true }),
        status,
      };
      return { result };
    });
  }

  #emit(command: Command, read: ParamReader): Outcome {
    const task = this.#heldTask(command, read);
    const event = read.string("event");
    if (
      event === "" ||
      event.length > maxEventName ||
      event === EventName.Status ||
      event === EventName.Gap
    ) {
      const expected = `\`event\` to be a string of 1 to ${maxEventName} characters, and not "status" or "gap"`;
      throw new Refusal(ErrorCode.InvalidParams, `Expected ${expected}, got ${describe(event)}`);
    }
    const { data, bytes } = bounded(read.value("data"));
    if (event === EventName.Progress) checkProgress(data);
    for (const subject of subjectsOf(task)) this.#parts.events.add(subject, event, data, bytes);
    return { result: true };
  }

  #log(command: Command, read: ParamReader): Outcome {
    const task = this.#heldTask(command, read);
    for (const line of read.array("lines")) {
      const told = readLine(line, task.attempt);
      if (told === undefined) continue;
      const { at = this.#parts.wall(), body, bytes } = told;
      for (const subject of subjectsOf(task)) this.#parts.events.log(subject, at, body, bytes);
    }
    return { result: true };
  }

  /** The task whose current attempt this node has. @throws Refusal, also for an attempt that is over */
  #heldTask({ session }: Command, read: ParamReader): Task {
    if (session?.kind !== "node") throw new Refusal(ErrorCode.NotAllowed, "Expected a node with a session");
    const id = read.string("task_id");
    const task = heldAttempt(this.#parts.tasks, session, id);
    if (task !== undefined) return task;
    const message = `The node ${session.id} does not hold the attempt ${describe(id)}`;
    throw new Refusal(ErrorCode.InvalidTaskId, message);
  }
}

function readPlace(read: ParamReader): { readonly after: number; readonly limit: number } {
  const after = read.has("after") ? read.count("after") : 0;
  return { after, limit: read.has("limit") ? Math.min(read.count("limit"), maxLimit) : defaultLimit };
}

/** What happens in a shared run happens to all that take part in it. */
function subjectsOf({ id, method: { name: method }, members }: Task): Iterable<Subject> {
  if (members === undefined) return [{ id, method }];
  return [...members].map((member) => ({ id: member.id, method }));
}

/** Data over the bound is replaced by how large it was: the event itself is told. */
function bounded(data: unknown): { readonly data: unknown; readonly bytes: number } {
  if (data === undefined) return { data, bytes: 0 };
  const bytes = bytesOf(JSON.stringify(data));
  return bytes <= maxEventDataBytes ? { data, bytes } : { data: { too_large: bytes }, bytes: 0 };
}

/** @throws Refusal for data that is no progress */
function checkProgress(data: unknown): void {
  const { fraction, note } = (typeof data === "object" && data !== null ? data : {}) as {
    readonly fraction?: unknown;
    readonly note?: unknown;
  };
  const isFraction = typeof fraction === "number" && fraction >= 0 && fraction <= 1;
  if (isFraction && (note === undefined || typeof note === "string")) return;
  const expected = "`data` of progress to be {fraction: 0 to 1, note?: a string}";
  throw new Refusal(ErrorCode.InvalidParams, `Expected ${expected}, got ${describe(data)}`);
}

interface Line {
  readonly at: number | undefined;
  readonly body: LogBody;
  readonly bytes: number;
}

/** One line of a log; what is none is passed over, for the sake of the others. */
function readLine(line: unknown, attempt: number): Line | undefined {
  if (typeof line !== "object" || line === null) return undefined;
  const { at, level, message, data: given } = line as { readonly [name: string]: unknown };
  if (typeof message !== "string" || !isLevel(level)) return undefined;
  const isLong = message.length > maxEventDataBytes;
  const text = isLong ? `${message.slice(0, maxEventDataBytes)}… (${message.length} characters)` : message;
  const { data, bytes } = bounded(given);
  return {
    at: typeof at === "number" && Number.isFinite(at) ? at : undefined,
    body: data === undefined ? { attempt, level, message: text } : { attempt, level, message: text, data },
    bytes: bytes + bytesOf(text),
  };
}

function isLevel(level: unknown): level is TaskLogLevel {
  return taskLogLevels.some((known) => known === level);
}
