// What handles do with tasks of this process.
import { booleanOption, knownOptions } from "zerotask-core";
import { progressOf } from "../events/task-event.ts";
import type { HandleHost } from "../handle-host.ts";
import type { Nesting } from "../nesting.ts";
import { checkStorable } from "../streams/inputs.ts";
import { graceOf } from "../tasks/run-control.ts";
import type { TrackedTask } from "../tasks/tracked-task.ts";
import { picked } from "./local-loop.ts";
import type { LocalTask } from "./local-task.ts";
import type { LocalTasks } from "./local-tasks.ts";

/** @param nesting where a handler has the handles */
export function localHostOf(tasks: LocalTasks, nesting?: Nesting): HandleHost {
  const { events } = tasks;
  const local = (task: TrackedTask): LocalTask => task as LocalTask;
  return {
    runtime: tasks.runtime,
    onWaiting: nesting?.onWaiting,
    find: (id) => tasks.find(id),
    eventsOf: (task) => events.loop((wake) => local(task).events.read(true, wake)),
    progressOf: (task) => events.loop((wake) => picked(local(task).events.read(true, wake), progressOf)),
    logsOf: (task, options) => {
      knownOptions("log", options, ["follow"]);
      const { follow = true } = options;
      booleanOption("follow", follow);
      return events.loop((wake) => local(task).lines.read(follow, wake));
    },
    stop: (id, options) => tasks.stop(tasks.find(id), graceOf("stop", options)),
    start: (id) => tasks.start(tasks.find(id)),
    reload: (id, params, options) => {
      if (params !== undefined) checkStorable(params);
      return tasks.reload(tasks.find(id), params, graceOf("reload", options));
    },
  };
}
