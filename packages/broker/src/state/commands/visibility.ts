// Who may see which task: whoever knows the id of a submitted one, and its own client alone a call.
import { ErrorCode } from "zerotask-core";
import type { Session } from "../peers/sessions.ts";
import type { TaskView } from "../tasks/task-record.ts";
import type { TaskTable } from "../tasks/task-table.ts";
import { Refusal } from "./command.ts";

/** The view of a task, for one who may have it. @throws Refusal for others */
export function visible(view: TaskView, tasks: TaskTable, asking: Session | undefined): TaskView {
  const held = tasks.get(view.id);
  // What a node runs for itself anybody may see.
  if (
    held === undefined ||
    held.isSubmitted ||
    held.pin !== undefined ||
    (held.caller !== undefined && held.caller === asking)
  )
    return view;
  throw new Refusal(ErrorCode.NotAllowed, `The task ${view.id} is another client's call`);
}
