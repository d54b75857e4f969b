// Tasks with equal params that wait or run at the same time are one run, whose outcome all of them get.
import { canonicalJson, TaskStatus } from "zerotask-core";
import type { Statuses } from "../events/statuses.ts";
import { isBefore } from "../order/order.ts";
import type { Scheduler } from "../order/scheduler.ts";
import { nobody } from "../peers/addressee.ts";
import { Task } from "../tasks/task.ts";
import type { TaskTable } from "../tasks/task-table.ts";
import type { Turn } from "../turn.ts";

/**
 * Begins the ids of shared runs: no task's id does, for those have a dash after their client's. The time is in there,
 * too: no answer to a run of an earlier broker is taken for one of this.
 */
const prefix = "run:";

export class SharedRuns {
  readonly #turn: Turn;
  readonly #tasks: TaskTable;
  readonly #scheduler: Scheduler;
  readonly #nextNumber: () => number;
  readonly #statuses: Statuses;
  readonly #open = new Map<string, Task>();

  constructor(
    turn: Turn,
    tasks: TaskTable,
    scheduler: Scheduler,
    statuses: Statuses,
    nextNumber: () => number,
  ) {
    this.#turn = turn;
    this.#tasks = tasks;
    this.#scheduler = scheduler;
    this.#statuses = statuses;
    this.#nextNumber = nextNumber;
  }

  /** The task takes part in the run that is open for its params, or begins one. */
  join(task: Task): void {
    // What has another bound, or waits in another group's turn, would wait or end with the first one.
    const { lane, options, params } = task;
    const key = canonicalJson([lane.method.name, lane.group, options.timeoutMs ?? null, params ?? []]);
    const last = this.#open.get(key);
    // One that is about to end is not for those who come now.
    const open = last?.stopping === undefined ? last : undefined;
    const run = open ?? this.#begin(task, key);
    task.shared = run;
    task.lane.park(task);
    run.members?.add(task);
    if (open === undefined) {
      this.#scheduler.enqueue(run);
      return;
    }
    this.#statuses.tellAs(task, run.status);
    if (!run.inQueue || !isBefore(task, run)) return;
    // Who joins is in a hurry: so is the run.
    this.#scheduler.takeOut(run);
    run.rank = task.rank;
    this.#scheduler.enqueue(run);
  }

  /** The task takes no part any more. @returns the run, if nobody is left who does */
  leave(task: Task): Task | undefined {
    const { shared: run } = task;
    if (run === undefined) return undefined;
    task.shared = undefined;
    // Its own wait for a first run is over, too.
    task.hasBegun ||= run.hasBegun || run.node !== undefined;
    task.lane.unpark(task);
    run.members?.delete(task);
    return run.members?.size === 0 ? run : undefined;
  }

  /** The run has ended. @returns those who took part, each on its own again */
  end(run: Task): Task[] {
    if (run.instance !== undefined && this.#open.get(run.instance) === run) this.#open.delete(run.instance);
    const members = [...(run.members ?? [])];
    for (const task of members) {
      this.leave(task);
      task.attempt++;
      task.hasBegun ||= run.hasBegun || run.attempt > 0;
    }
    return members;
  }

  #begin(first: Task, key: string): Task {
    const number = this.#nextNumber();
    const { timeoutMs } = first.options;
    const run = new Task(
      {
        id: `${prefix}${Math.round(this.#turn.now)}:${number}`,
        ownerId: first.ownerId,
        caller: undefined,
        level: undefined,
        params: first.params,
        options: timeoutMs === undefined ? {} : { timeoutMs },
        addressee: nobody,
        requestId: null,
        bytes: 0,
        createdAt: this.#turn.now,
        dueAt: first.dueAt,
        expiresAt: undefined,
        priority: first.priority,
        // Nothing else looks at that of a shared run.
        instance: key,
      },
      first.lane,
      number,
    );
    run.members = new Set();
    run.status = TaskStatus.Queued;
    first.lane.unsettled++;
    this.#tasks.add(run);
    this.#open.set(key, run);
    return run;
  }
}
