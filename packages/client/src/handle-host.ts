// What handles do with their tasks, by a connection to a broker.
import type { Params, Runtime, StopOutcome } from "zerotask-core";
import type { LogOptions } from "./events/feeds.ts";
import type { TaskEvent, TaskLogLine, TaskProgress } from "./events/task-event.ts";
import type { Nesting } from "./nesting.ts";
import type { Shared } from "./shared.ts";
import { reloadTask, type StopOptions, startTask, stopTask } from "./tasks/run-control.ts";
import type { TrackedTask } from "./tasks/tracked-task.ts";

/** What all handles of one client share. */
export interface HandleHost {
  readonly runtime: Runtime;
  /** Where a handler waits: one more of its tasks is waited for (+1), or one less (−1). */
  readonly onWaiting?: ((change: 1 | -1) => void) | undefined;
  /** A task by its id, whoever submitted it. */
  find(id: string): TrackedTask;
  eventsOf(task: TrackedTask): AsyncIterable<TaskEvent>;
  progressOf(task: TrackedTask): AsyncIterable<TaskProgress>;
  /** @throws OptionError */
  logsOf(task: TrackedTask, options: LogOptions): AsyncIterable<TaskLogLine>;
  /** These three are for tasks that were accepted. @throws OptionError */
  stop(id: string, options: StopOptions): Promise<StopOutcome>;
  start(id: string): Promise<void>;
  reload(id: string, params: Params | undefined, options: StopOptions): Promise<void>;
}

/** @param nesting where a handler has the handles */
export function handleHostOf({ session, tracker, feeds }: Shared, nesting?: Nesting): HandleHost {
  return {
    runtime: session.runtime,
    onWaiting: nesting?.onWaiting,
    find: (id) => tracker.find(id),
    eventsOf: (task) => feeds.eventsOf(task),
    progressOf: (task) => feeds.progressOf(task),
    logsOf: (task, options) => feeds.logsOf(task, options),
    stop: (id, options) => stopTask(session, id, options),
    start: (id) => startTask(session, id),
    reload: (id, params, options) => reloadTask(session, id, params, options),
  };
}
