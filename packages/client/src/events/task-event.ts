// What users see of events, logs and progress, and how it is read from what brokers tell.
import { EventName, isSettled, type TaskLogLevel, type TaskStatus } from "zerotask-core";

/** Something that happened to a task: a change of its status, or what its handler emitted. */
export interface TaskEvent<Data = unknown> {
  /** Its number: those of one broker rise, also over restarts. */
  readonly seq: number;
  readonly at: Date;
  readonly taskId: string;
  readonly method: string;
  /**
   * What the handler called it. `"status"`: the task's status changed, `data` is `{status, attempt, error?}`;
   * `"progress"`: `data` is `{fraction, note?}`; `"gap"`: some are missing here that the broker keeps no longer.
   */
  readonly event: string;
  readonly data: Data;
}

/** The status of a task changed. */
export interface StatusEvent extends TaskEvent<StatusChange> {
  readonly event: "status";
}

export interface StatusChange {
  readonly status: TaskStatus;
  /** Which run of the task it is, from 1; not known where nothing but the status is kept of a task. */
  readonly attempt?: number;
  /** What went wrong, where it is `FAILED`, `STOPPED` or `EXPIRED`. */
  readonly error?: string;
}

/** A handler told how far its task is. */
export interface ProgressEvent extends TaskEvent<{ readonly fraction: number; readonly note?: string }> {
  readonly event: "progress";
}

/** Some events are missing here, that are kept no longer. */
export interface GapEvent extends TaskEvent<undefined> {
  readonly event: "gap";
}

/** The events that a loop over those of this name tells. */
export type EventsNamed<Name extends string> = string extends Name
  ? TaskEvent
  : Name extends "status"
    ? StatusEvent | GapEvent
    : Name extends "progress"
      ? ProgressEvent | GapEvent
      : TaskEvent;

/** Whether an event tells of a change of the task's status: `isStatus(event) && event.data.status === "RUNNING"`. */
export function isStatus(event: TaskEvent): event is StatusEvent {
  return event.event === EventName.Status;
}

/** A line that a task's handler logged. */
export interface TaskLogLine {
  readonly seq: number;
  /** By the node's clock. */
  readonly at: Date;
  /** Which run of the task logged it, from 1. */
  readonly attempt: number;
  readonly level: TaskLogLevel;
  readonly message: string;
  readonly data: unknown;
}

/** How far a task is. */
export interface TaskProgress {
  /** From 0 to 1. */
  readonly fraction: number;
  readonly note: string | undefined;
}

export interface WireEvent {
  readonly seq: number;
  readonly prev: number;
  readonly at: number;
  readonly task_id: string;
  readonly method: string;
  readonly event: string;
  readonly data?: unknown;
}

export interface WireLogLine {
  readonly seq: number;
  readonly prev: number;
  readonly at: number;
  readonly attempt: number;
  readonly level: TaskLogLevel;
  readonly message: string;
  readonly data?: unknown;
}

export function eventFromWire({ seq, at, task_id, method, event, data }: WireEvent): TaskEvent {
  return { seq, at: new Date(at), taskId: task_id, method, event, data };
}

export function lineFromWire({ seq, at, attempt, level, message, data }: WireLogLine): TaskLogLine {
  return { seq, at: new Date(at), attempt, level, message, data };
}

/** What an event tells of progress; `undefined` where it is another one. */
export function progressOf({ event, data }: TaskEvent): TaskProgress | undefined {
  if (event !== EventName.Progress || typeof data !== "object" || data === null) return undefined;
  const { fraction, note } = data as { readonly fraction?: unknown; readonly note?: unknown };
  if (typeof fraction !== "number") return undefined;
  return { fraction, note: typeof note === "string" ? note : undefined };
}

/** Whether a task is settled after this event. */
export function isFinal({ event, data }: Pick<WireEvent, "event" | "data">): boolean {
  if (event !== EventName.Status || typeof data !== "object" || data === null) return false;
  const { status } = data as { readonly status?: TaskStatus };
  return status !== undefined && isSettled(status);
}
