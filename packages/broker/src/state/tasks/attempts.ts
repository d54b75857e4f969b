// What `<task_id>#<attempt>` names: the fence that keeps late answers out.
import { TaskStatus } from "zerotask-core";
import type { NodeSession } from "../peers/node-session.ts";
import type { Task } from "./task.ts";
import type { TaskTable } from "./task-table.ts";

/** The task of an attempt id, while this node holds that attempt. */
export function heldAttempt(tasks: TaskTable, node: NodeSession, attemptId: string): Task | undefined {
  const mark = attemptId.lastIndexOf("#");
  const task = mark < 0 ? undefined : tasks.get(attemptId.slice(0, mark));
  if (task === undefined || task.node !== node) return undefined;
  return attemptId.slice(mark + 1) === String(task.attempt) ? task : undefined;
}

/** No attempt has a higher number: there is room for more digits than these in a number, but not for many more. */
export const maxAttempt = 999_999_999_999_999;

export function readAttempt(attemptId: string): { readonly id: string; readonly number: number } | undefined {
  const mark = attemptId.lastIndexOf("#");
  const digits = attemptId.slice(mark + 1);
  const number = Number(digits);
  if (mark < 1 || !/^[1-9][0-9]*$/.test(digits) || number > maxAttempt) return undefined;
  return { id: attemptId.slice(0, mark), number };
}

/** Whether a task waits for a node. */
export function isFree({ status, isArriving, isParked, isTakenBack, node, settled }: Task): boolean {
  if (isArriving || isParked || node !== undefined || settled !== undefined) return false;
  return status === TaskStatus.Queued || isTakenBack;
}
