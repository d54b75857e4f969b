// What a node is sent of a task: the very request that asked for it, and beside it what else the node has to know.
import { type Request, request, type TaskMeta } from "zerotask-core";
import type { Task } from "../tasks/task.ts";
import { runTimeoutOf } from "./timing.ts";

/** The request that gives this task, which has a new attempt, to a node. */
export function assignmentOf(task: Task, now: number): Request {
  const { method, params, attemptId } = task;
  const plain = request(method.name, params, attemptId);
  const meta = metaOf(task, now);
  return meta === undefined ? plain : { ...plain, meta };
}

/** Most tasks have none. */
function metaOf(task: Task, now: number): TaskMeta | undefined {
  const timeoutMs = runTimeoutOf(task, now);
  const { trace, stream } = task.options;
  if (timeoutMs === undefined && trace === undefined && stream === undefined) return undefined;
  return {
    ...(timeoutMs !== undefined && { timeout_ms: timeoutMs }),
    ...(trace !== undefined && { trace }),
    ...(stream !== undefined && { stream }),
  };
}
