// What is told of tasks while they live: events and lines of logs, kept for those who come late or missed some.
import { Announcement, EventName, type TaskLogLevel, type TaskStatus } from "zerotask-core";
import type { Turn } from "../turn.ts";
import { type Entry, Journal } from "./journal.ts";
import { Numbers } from "./numbers.ts";

/** Something that happened to a task: a change of its status, or what its handler emitted. */
export interface EventBody {
  readonly event: string;
  readonly data?: unknown;
}

/** A line that a handler logged. */
export interface LogBody {
  readonly attempt: number;
  readonly level: TaskLogLevel;
  readonly message: string;
  readonly data?: unknown;
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

export class Events {
  readonly #turn: Turn;
  readonly #config: EventConfig;
  readonly #numbers = new Numbers();
  readonly events: Journal<EventBody>;
  readonly logs: Journal<LogBody>;
  #nextHello = 0;

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

  /** @param bytes of its data */
  add({ id, method }: Subject, event: string, data: unknown, bytes: number): void {
    const body: EventBody = data === undefined ? { event } : { event, data };
    const told = { at: this.#config.wall(), taskId: id, method, body };
    this.#turn.emit({ type: "happened", entry: this.events.append(this.#turn.now, told, bytes) });
  }

  /** @param data of the event: `{status, attempt, error?}` */
  addStatus(
    subject: Subject,
    data: { readonly status: TaskStatus; readonly attempt: number; readonly error?: string },
  ): void {
    this.add(subject, EventName.Status, data, data.error?.length ?? 0);
  }

  /** @param at when the line was logged, by the node's clock */
  log({ id, method }: Subject, at: number, body: LogBody, bytes: number): void {
    const told = { at, taskId: id, method, body };
    this.#turn.emit({ type: "logged", entry: this.logs.append(this.#turn.now, told, bytes) });
  }

  /** Tells subscribers how far it has come: who has missed the last ones asks for them. */
  hello(): void {
    this.#nextHello = this.#turn.now + helloMs;
    this.#turn.announce(Announcement.Hello, { epoch: this.#config.epoch, seq: this.seq });
  }

  /** Says so now and then. */
  look(): void {
    if (this.#nextHello <= this.#turn.now) this.hello();
  }
}

/** An event as it is told; `prev` is the number before it among those that were asked for. */
export function eventToWire({ seq, at, taskId, method, body }: Entry<EventBody>, prev: number): object {
  return { seq, prev, at, task_id: taskId, method, ...body };
}

export function logToWire({ seq, prev, at, body }: Entry<LogBody>): object {
  return { seq, prev: prev.task, at, ...body };
}
