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
  /** @param timeoutMs how long anybody will wait for it: then it is abandoned. @default for ever */
  outcome(timeoutMs?: number): Promise<unknown>;
  /** Nobody wants to know any more what becomes of it. */
  abandon(): void;
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

/** What submits a task. */
export interface Submit {
  /** Patiently where it was accepted before. */
  now(isPatient: boolean): Promise<Accepted>;
  /** Gives up on what was not accepted yet. */
  abandon(): void;
}

/** How much longer than the client a broker waits: it is the client that tells that the time is over. */
const extraMs = 1_000;

/** @param wait.timeoutMs after which nobody listens for the answer */
export async function askOutcome(
  session: Session,
  taskId: string,
  { id = session.nextId(), timeoutMs }: { readonly id?: number; readonly timeoutMs?: number } = {},
): Promise<unknown> {
  const task: Params = { task_id: taskId };
  const params = timeoutMs === undefined ? task : { ...task, timeout_ms: timeoutMs + extraMs };
  const answer = await session.request(BrokerMethod.ClientTaskWait, params, { id, isPatient: true });
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
