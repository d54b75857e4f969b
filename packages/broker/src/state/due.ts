// What can become due.
import type { Lane } from "./order/lane.ts";
import type { MethodQueue } from "./order/method-queue.ts";
import type { Schedule } from "./schedules/schedule.ts";
import type { Task } from "./tasks/task.ts";
import type { Waiter } from "./tasks/waiters.ts";

export type Due =
  /** Something is to be done about a task; what that is, its status tells. */
  | { readonly type: "task"; readonly task: Task }
  /** The node of a run that is to end has not said what became of it. */
  | { readonly type: "stopping"; readonly task: Task }
  /** A waiter's own time is over. */
  | { readonly type: "waited"; readonly waiter: Waiter }
  /** A rate lets more of a method, or of one of its groups, begin. */
  | { readonly type: "gate"; readonly method: MethodQueue; readonly lane: Lane | undefined }
  /** A schedule may have to run. */
  | { readonly type: "schedule"; readonly schedule: Schedule };
