// What is told of tasks while they live: events and lines of logs, kept for those who come late or missed some.
import { Announcement, EventName, type TaskStatus } from "zerotask-core";
import { bytesOf } from "../storage/stored-task.ts";
import type { Turn } from "../turn.ts";
import { type Entry, Journal } from "./journal.ts";
import { Numbers } from "./numbers.ts";

/** Something that happened to a task: a change of its status, or what its handler emitted. Kept as it is published. */
export interface EventBody {
  readonly event: string;
  /** JSON of its members `event` and `data?`, without braces: parsed data takes many times the memory. */
  readonly json: string;
}

/** A line that a handler logged. */
export interface LogBody {
  /** JSON of its members `attempt`, `level`, `message` and `data?`, without braces. */
  readonly json: string;
}

/** The task that something is told of. */
export interface Subject {
  readonly id: string;
  readonly method: string;
}

export interface EventBounds {
  /** How many events are kept in all and of one task, and their bytes. */
  readonly eventsKept: number;
  readonly eventsPerTask: number;
  readonly maxEventBytes: number;
  /** The same of lines that were logged. */
  readonly logsKept: number;
  readonly logLinesPerTask: number;
  readonly maxLogBytes: number;
}

export interface EventConfig extends EventBounds {
  readonly epoch: string;
  /** What the clock on the wall says. */
  readonly wall: () => number;
}

/** Subscribers that connected late, or lost a message, learn of this broker within this time. */
const helloMs = 5_000;
/** ZeroMQ drops what is over a thousand for a subscriber: who misses the last of so many is told at each look, as long. */
const burst = 500;
/** So many entries are made in one turn of what handlers tell: some ten milliseconds of work. */
const entriesPerTurn = 10_000;

export class Events {
  readonly #turn: Turn;
  readonly #config: EventConfig;
  readonly #numbers = new Numbers();
  readonly events: Journal<EventBody>;
  readonly logs: Journal<LogBody>;
  #nextHello = 0;
  /** How many were told of since the last hello. */
  #sinceHello = 0;
  #burstUntil = 0;
  /** The turn in which so many were told by handlers, and the runs that told more than it takes. */
  #toldIn = -1;
  #told = 0;
  readonly #cut = new Map<string, "told" | "counted">();

  constructor(turn: Turn, config: EventConfig) {
    this.#turn = turn;
    this.#config = config;
    this.events = new Journal(this.#numbers, {
      kept: config.eventsKept,
      keptBytes: config.maxEventBytes,
      keptPerTask: config.eventsPerTask,
    });
    this.logs = new Journal(this.#numbers, {
      kept: config.logsKept,
      keptBytes: config.maxLogBytes,
      keptPerTask: config.logLinesPerTask,
    });
  }

  /** The last number that was given out; 0 before the first. */
  get seq(): number {
    return this.#numbers.last;
  }

  /** What a handler told is an event of each of those that its run is for. */
  emit(run: string, subjects: readonly Subject[], body: EventBody): void {
    if (this.#isCut(run, this.events, subjects)) return;
    for (const subject of subjects) this.add(subject, body);
    this.#told += subjects.length;
  }

  /** The same of a line that it logged at `at`, by the node's clock. @returns whether it may log more in this turn */
  log(run: string, subjects: readonly Subject[], at: number, body: LogBody): boolean {
    if (this.#isCut(run, this.logs, subjects)) return false;
    for (const subject of subjects) this.#addLine(subject, at, body);
    this.#told += subjects.length;
    return true;
  }

  add({ id, method }: Subject, body: EventBody): void {
    const told = { at: this.#config.wall(), taskId: id, method, body };
    const entry = this.events.append(this.#turn.now, told, memoryOf(body.json));
    this.#turn.emit({ type: "happened", entry });
    this.#sinceHello++;
  }

  /** @param data of the event: `{status, attempt, error?}` */
  addStatus(
    subject: Subject,
    data: { readonly status: TaskStatus; readonly attempt: number; readonly error?: string },
  ): void {
    this.add(subject, eventBody(EventName.Status, JSON.stringify(data)));
  }

  #addLine({ id, method }: Subject, at: number, body: LogBody): void {
    const told = { at, taskId: id, method, body };
    const entry = this.logs.append(this.#turn.now, told, memoryOf(body.json));
    this.#turn.emit({ type: "logged", entry });
    this.#sinceHello++;
  }

  /** Whether this turn can take no more of what the run tells: then that counts as what is kept no longer. */
  #isCut(run: string, journal: Journal<EventBody> | Journal<LogBody>, subjects: readonly Subject[]): boolean {
    if (this.#toldIn !== this.#turn.number) {
      this.#toldIn = this.#turn.number;
      this.#told = 0;
      this.#cut.clear();
    }
    if (this.#told < entriesPerTurn) return false;
    const name = `${journal === this.events ? "e" : "l"}${run}`;
    const before = this.#cut.get(name);
    if (before === "counted") return true;
    const unknown = subjects.filter(({ id }) => !journal.skip(this.#turn.now, id));
    // Who has nothing yet is told the first of it, so that the next can count.
    const isCut = unknown.length === 0 || before === "told";
    this.#cut.set(name, isCut ? "counted" : "told");
    return isCut;
  }

  /** Tells subscribers how far it has come: who has missed the last ones asks for them. */
  hello(): void {
    this.#nextHello = this.#turn.now + helloMs;
    this.#sinceHello = 0;
    this.#turn.announce(Announcement.Hello, { epoch: this.#config.epoch, seq: this.seq });
  }

  /** Says so now and then. */
  look(): void {
    const { now } = this.#turn;
    if (this.#sinceHello >= burst) this.#burstUntil = now + helloMs;
    if (this.#nextHello <= now || now < this.#burstUntil) this.hello();
  }
}

/** @param data JSON of it, if there is any */
export function eventBody(event: string, data: string | undefined): EventBody {
  const name = `"event":${JSON.stringify(event)}`;
  return { event, json: data === undefined ? name : `${name},"data":${data}` };
}

/** An event as it is told; `prev` is the number before it among those that were asked for. */
export function eventToWire({ seq, at, taskId, method, body }: Entry<EventBody>, prev: number): object {
  return { seq, prev, at, task_id: taskId, method, ...JSON.parse(`{${body.json}}`) };
}

export function logToWire({ seq, prev, at, body }: Entry<LogBody>): object {
  return { seq, prev: prev.task, at, ...JSON.parse(`{${body.json}}`) };
}

/** A string takes one byte for each unit where it is plain, and two otherwise. */
function memoryOf(json: string): number {
  return bytesOf(json) === json.length ? json.length : json.length * 2;
}
