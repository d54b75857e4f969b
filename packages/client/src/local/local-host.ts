// What handles do with tasks of this process.
import { booleanOption, knownOptions } from "zerotask-core";
import { progressOf, type TaskProgress } from "../events/task-event.ts";
import type { HandleHost } from "../handle-host.ts";
import { graceOf, paramsOption } from "../tasks/run-control.ts";
import type { TrackedTask } from "../tasks/tracked-task.ts";
import type { LocalTask } from "./local-task.ts";
import type { LocalTasks } from "./local-tasks.ts";

export function localHostOf(tasks: LocalTasks): HandleHost {
  const local = (task: TrackedTask): LocalTask => task as LocalTask;
  return {
    runtime: tasks.runtime,
    find: (id) => tasks.find(id),
    eventsOf: (task) => local(task).events.read(true),
    progressOf: (task) => progress(local(task)),
    logsOf: (task, options) => {
      knownOptions("log", options, ["follow"]);
      const { follow = true } = options;
      booleanOption("follow", follow);
      return local(task).lines.read(follow);
    },
    stop: (id, options) => tasks.stop(tasks.find(id), graceOf("stop", options)),
    start: async (id) => tasks.start(tasks.find(id)),
    reload: (id, params, options) => {
      paramsOption(params);
      return tasks.reload(tasks.find(id), params, graceOf("reload", options));
    },
  };
}

async function* progress(task: LocalTask): AsyncGenerator<TaskProgress> {
  for await (const event of task.events.read(true)) {
    const told = progressOf(event);
    if (told !== undefined) yield told;
  }
}
