// What of a client's tasks can be looped over: events, progress and lines of logs, all of one connection.
import {
  Announcement,
  BrokerMethod,
  ClientClosedError,
  ErrorCode,
  EventName,
  knownOptions,
  type Listen,
  OptionError,
  type Params,
} from "zerotask-core";
import type { Session } from "../session.ts";
import type { TrackedTask } from "../tasks/tracked-task.ts";
import type { MethodName } from "../typing.ts";
import { Announcements, type Topic } from "./announcements.ts";
import { Feed, type Page, type Source } from "./feed.ts";
import {
  eventFromWire,
  isFinal,
  lineFromWire,
  progressOf,
  type TaskEvent,
  type TaskLogLine,
  type TaskProgress,
  type WireEvent,
  type WireLogLine,
} from "./task-event.ts";

/** Which events are meant: all, unless something is said. */
export interface EventFilter<Methods = unknown, Name extends string = string> {
  readonly method?: MethodName<Methods>;
  /** A task's id. */
  readonly task?: string;
  /** What the event is called: `"status"`, `"progress"`, or what handlers emit. */
  readonly event?: Name;
}

export interface LogOptions {
  /** Whether to wait for more lines until the task is settled. @default true */
  readonly follow?: boolean;
}

interface Leavable {
  onReady(): void;
  fail(error: Error): void;
}

type EventSource<Item> = Source<WireEvent, Item>;

export class Feeds {
  readonly #session: Session;
  readonly #announcements: Announcements;
  readonly #open = new Set<Leavable>();
  #isClosed = false;

  constructor(session: Session, listen: Listen) {
    this.#session = session;
    this.#announcements = new Announcements(listen, session.runtime);
    session.onReady(() => this.#onReady());
  }

  /** @throws OptionError */
  events(filter: EventFilter<unknown> = {}): AsyncIterable<TaskEvent> {
    knownOptions("event", filter, ["method", "task", "event"]);
    for (const name of ["method", "task", "event"] as const) {
      const value = filter[name];
      if (value === undefined) continue;
      if (typeof value !== "string" || value === "")
        throw new OptionError(name, "a string that is not empty", value);
    }
    const source = this.#eventSource(filter, (event) => event);
    return this.#iterable(async () => source);
  }

  eventsOf(task: TrackedTask): AsyncIterable<TaskEvent> {
    return this.#iterable(async () => {
      await task.accepted();
      const source = this.#eventSource<TaskEvent>({ task: task.id }, (event) => event);
      return { ...source, status: () => task.status() };
    });
  }

  progressOf(task: TrackedTask): AsyncIterable<TaskProgress> {
    return this.#iterable(async () => {
      await task.accepted();
      const source = this.#eventSource({ task: task.id, event: EventName.Progress }, progressOf);
      return { ...source, status: () => task.status() };
    });
  }

  /** @throws OptionError */
  logsOf(task: TrackedTask, options: LogOptions): AsyncIterable<TaskLogLine> {
    knownOptions("log", options, ["follow"]);
    const { follow = true } = options;
    if (typeof follow !== "boolean") throw new OptionError("follow", "true or false", follow);
    return this.#iterable(async () => {
      await task.accepted();
      return this.#logSource(task, follow);
    });
  }

  /** Connected (again). */
  #onReady(): void {
    this.#announcements.connect(this.#session.publishEndpoint);
    for (const feed of this.#open) feed.onReady();
  }

  /** The client was closed. */
  close(): void {
    this.#isClosed = true;
    for (const feed of this.#open) feed.fail(closed());
    this.#announcements.close();
  }

  #iterable<Wire extends { seq: number; prev: number }, Item>(
    begin: () => Promise<Source<Wire, Item>>,
  ): AsyncIterable<Item> {
    return {
      [Symbol.asyncIterator]: () => {
        const onEnd = (): void => void this.#open.delete(feed);
        const parts = { session: this.#session, announcements: this.#announcements, onEnd };
        const feed: Feed<Wire, Item> = new Feed(parts, begin());
        if (this.#isClosed) feed.fail(closed());
        else this.#open.add(feed);
        return feed;
      },
    };
  }

  #eventSource<Item>(
    { task, method, event }: EventFilter<unknown>,
    make: (event: TaskEvent) => Item | undefined,
  ): EventSource<Item> {
    const isWanted = (wire: WireEvent): boolean =>
      (method === undefined || wire.method === method) && (event === undefined || wire.event === event);
    const told = (name: string, seq: number, data: unknown): Item | undefined => {
      const at = new Date(this.#session.runtime.wall());
      return make({ seq, at, taskId: task ?? "", method: method ?? "", event: name, data });
    };
    // Whether the task is of the method that is meant, its status does not say.
    const isEndTold = method === undefined && (event === undefined || event === EventName.Status);
    return {
      topic: topicOf(task, method),
      isFromNow: task === undefined,
      isWhole: event === undefined,
      isSnapshot: false,
      ask: async (after, limit, isPatient) => {
        const wanted = { task_id: task, method, event, after, limit };
        const { events, ...page } = await this.#ask<{ events: WireEvent[] }>(
          BrokerMethod.ClientEvents,
          wanted,
          isPatient,
        );
        return { items: events, ...page };
      },
      take: (wire) => (isWanted(wire) ? make(eventFromWire(wire)) : undefined),
      isFinal: (wire) => task !== undefined && isFinal(wire as WireEvent),
      final: (status, seq) => (isEndTold ? told(EventName.Status, seq, { status }) : undefined),
      gap: (seq) => told(EventName.Gap, seq, undefined),
    };
  }

  #logSource(task: TrackedTask, follow: boolean): Source<WireLogLine, TaskLogLine> {
    const { id } = task;
    const { runtime } = this.#session;
    return {
      topic: { announcement: Announcement.TaskLog, member: "task_id", value: id },
      endTopic: topicOf(id, undefined),
      isFromNow: false,
      isWhole: true,
      isSnapshot: !follow,
      ask: async (after, limit, isPatient) => {
        const wanted = { task_id: id, after, limit };
        const { lines, ...page } = await this.#ask<{ lines: WireLogLine[] }>(
          BrokerMethod.ClientTaskLogs,
          wanted,
          isPatient,
        );
        return { items: lines, ...page };
      },
      take: lineFromWire,
      isFinal: (params) => isFinal(params as WireEvent),
      final: () => undefined,
      gap: (seq) => ({
        seq,
        at: new Date(runtime.wall()),
        attempt: 0,
        level: "warn",
        message: "Lines are missing here: the broker keeps them no longer",
        data: undefined,
      }),
      status: () => task.status(),
    };
  }

  async #ask<Answer>(
    method: string,
    params: Params,
    isPatient: boolean,
  ): Promise<Answer & Omit<Page<unknown>, "items">> {
    const answer = await this.#session.request(method, params, { isPatient });
    return answer as Answer & Omit<Page<unknown>, "items">;
  }
}

function topicOf(task: string | undefined, method: string | undefined): Topic {
  if (task !== undefined) return { announcement: Announcement.TaskEvent, member: "task_id", value: task };
  if (method !== undefined)
    return { announcement: Announcement.MethodEvent, member: "method", value: method };
  return { announcement: Announcement.BrokerEvent };
}

function closed(): ClientClosedError {
  return new ClientClosedError("The client was closed", ErrorCode.InternalError);
}
