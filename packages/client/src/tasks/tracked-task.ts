// What all submitted tasks have in common, whoever they belong to, and what brokers are asked about them.
import {
  BrokerMethod,
  type ErrorObject,
  errorFromWire,
  isSettled,
  type Params,
  TaskStatus,
} from "zerotask-core";
import type { Durability, Session } from "../session.ts";

/** Where a task is in its queue. */
export interface Position {
  /** How many tasks would begin before it. */
  readonly ahead: number;
  /** About how long it is until it begins, from measured run times; `null` where nothing was measured yet. */
  readonly etaMs: number | null;
}

/** One task, as all its handles share it. */
export interface TrackedTask {
  readonly id: string;
  /** Resolves when the broker has it, with how safe it is there. */
  accepted(): Promise<Durability>;
  status(): Promise<TaskStatus>;
  position(): Promise<Position>;
  outcome(): Promise<unknown>;
}

export interface SettledMessage {
  readonly task_id: string;
  readonly status: TaskStatus;
  readonly result?: unknown;
  readonly error?: ErrorObject;
}

/** What became of a submission. */
export interface Accepted {
  /** The task that it is, which may be one that was there before. */
  readonly id: string;
  readonly level: Durability;
}

/** Submits a task; patiently where it was accepted before. */
export type Submit = (isPatient: boolean) => Promise<Accepted>;

export async function askOutcome(session: Session, taskId: string): Promise<unknown> {
  const params: Params = { task_id: taskId };
  const answer = await session.request(BrokerMethod.ClientTaskWait, params, { isPatient: true });
  const { error, result } = answer as SettledMessage;
  if (error !== undefined) throw errorFromWire(error);
  return result;
}

export async function askStatus(session: Session, taskId: string): Promise<TaskStatus> {
  const status = await session.request(BrokerMethod.ClientTaskStatus, { task_id: taskId });
  if (typeof status === "string" && (isSettled(status as TaskStatus) || isOpen(status)))
    return status as TaskStatus;
  throw new TypeError(`Expected a status from the broker, got ${String(status)}`);
}

export async function askPosition(session: Session, taskId: string): Promise<Position> {
  const answer = await session.request(BrokerMethod.ClientTaskPosition, { task_id: taskId });
  const { ahead, eta_ms } = answer as { readonly ahead: number; readonly eta_ms: number | null };
  return { ahead, etaMs: eta_ms };
}

function isOpen(status: string): boolean {
  return Object.values<string>(TaskStatus).includes(status);
}
