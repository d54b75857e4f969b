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
  type TaskStatus,
  taskLogLevels,
} from "zerotask-core";
import {
  type EventBody,
  type Events,
  eventBody,
  eventToWire,
  type LogBody,
  logToWire,
  type Subject,
} from "../events/events.ts";
import type { Entry, JournalPage } from "../events/journal.ts";
import { bytesOf } from "../storage/stored-task.ts";
import { heldAttempt } from "../tasks/attempts.ts";
import type { Task } from "../tasks/task.ts";
import { type Command, type CommandHandler, type ParamReader, Refusal } from "./command.ts";
import { type TaskViewParts, TaskViews } from "./task-views.ts";

export interface EventCommandParts extends TaskViewParts {
  readonly events: Events;
  readonly wall: () => number;
}

/** Most entries of a page, and as many as it has where nothing is said. */
const maxLimit = 1_000;
/** Of so many that take part in a shared run it is told what happens in it: each of them is an entry of its own. */
const maxTold = 100;

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
    const { allowance } = command;
    const stream = taskId !== undefined ? "task" : method !== undefined ? "method" : "all";
    const find = (): object => {
      const { events } = this.#parts;
      const page = events.events.find({ taskId, method, matches, ...place, allowance });
      const told = page.entries.map((entry) => eventToWire(entry, entry.prev[stream]));
      return { events: told, ...restOf(page, events.seq) };
    };
    if (taskId === undefined) return { result: find() };
    // Whoever reaches the broker can subscribe to any task's events and lines: they are no secret here either.
    return this.#views.view(command, [taskId], ({ status }) => ({ result: { ...find(), status } }), true);
  }

  #readLogs(command: Command, read: ParamReader): undefined {
    const taskId = read.string("task_id");
    const place = readPlace(read);
    const answer = ({ status }: { readonly status: TaskStatus }): Outcome => {
      const { events } = this.#parts;
      const page = events.logs.find({ taskId, ...place, allowance: command.allowance });
      return { result: { lines: page.entries.map(logToWire), ...restOf(page, events.seq), status } };
    };
    return this.#views.view(command, [taskId], answer, true);
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
    const data = bounded(read.value("data"));
    if (event === EventName.Progress) checkProgress(data === undefined ? data : JSON.parse(data));
    const body = eventBody(event, data);
    this.#parts.events.emit(task.id, subjectsOf(task), body);
    return { result: true };
  }

  #log(command: Command, read: ParamReader): Outcome {
    const task = this.#heldTask(command, read);
    const subjects = subjectsOf(task);
    for (const line of read.array("lines")) {
      const told = readLine(line, task.attempt);
      if (told === undefined) continue;
      const { at = this.#parts.wall(), body } = told;
      if (!this.#parts.events.log(task.id, subjects, at, body)) break;
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
  return { after, limit: read.has("limit") ? Math.min(read.count("limit"), maxLimit) : maxLimit };
}

/** How an answer goes on after its entries. */
function restOf({ next, hasMore, hasLost }: JournalPage<unknown>, seq: number): object {
  return { seq, ...(hasMore && { more: true, next }), ...(hasLost && { lost: true }) };
}

/** What happens in a shared run happens to all that take part in it. */
function subjectsOf({ id, method: { name: method }, members }: Task): readonly Subject[] {
  if (members === undefined) return [{ id, method }];
  const subjects: Subject[] = [];
  for (const member of members) {
    if (subjects.length === maxTold) break;
    subjects.push({ id: member.id, method });
  }
  return subjects;
}

/** JSON of data. Over the bound it is replaced by how large it was: the event itself is told. */
function bounded(data: unknown): string | undefined {
  if (data === undefined) return undefined;
  const json = JSON.stringify(data);
  const bytes = bytesOf(json);
  return bytes <= maxEventDataBytes ? json : `{"too_large":${bytes}}`;
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
}

/** One line of a log; what is none is passed over, for the sake of the others. */
function readLine(line: unknown, attempt: number): Line | undefined {
  if (typeof line !== "object" || line === null) return undefined;
  const { at, level, message, data: given } = line as { readonly [name: string]: unknown };
  if (typeof message !== "string" || !isLevel(level)) return undefined;
  const isLong = message.length > maxEventDataBytes;
  const text = isLong ? `${message.slice(0, maxEventDataBytes)}… (${message.length} characters)` : message;
  const head = JSON.stringify({ attempt, level, message: text }).slice(1, -1);
  const data = bounded(given);
  return {
    at: typeof at === "number" && Number.isFinite(at) ? at : undefined,
    body: { json: data === undefined ? head : `${head},"data":${data}` },
  };
}

function isLevel(level: unknown): level is TaskLogLevel {
  return taskLogLevels.some((known) => known === level);
}
