// What can become due.
import type { Task, Waiter } from "./task.ts";

export type Due =
  /** A call may have waited too long for a node that serves its method. */
  | { readonly type: "unserved"; readonly task: Task }
  /** A waiter's own time is over. */
  | { readonly type: "waited"; readonly task: Task; readonly waiter: Waiter };
