// Finds a task to do something with: in memory, or in a store, from which it is claimed, or as the record of its end.
import { isSettled, type Outcome } from "zerotask-core";
import type { Backlog } from "../storage/backlog.ts";
import type { Storages } from "../storage/storages.ts";
import type { Durability, StoredTask } from "../storage/stored-task.ts";
import { unknownTask } from "../tasks/submissions.ts";
import type { Task } from "../tasks/task.ts";
import type { TaskLife } from "../tasks/task-life.ts";
import { viewOfHeld } from "../tasks/task-record.ts";
import type { TaskTable } from "../tasks/task-table.ts";
import type { Command } from "./command.ts";
import { reply, TaskViews } from "./task-views.ts";

export interface TaskFinderParts {
  readonly tasks: TaskTable;
  readonly life: TaskLife;
  readonly storages: Storages;
  readonly backlog: Backlog;
}

/** What is done with a task that is held in memory, or with the record of one that is settled. Refusals are answered. */
export interface Treatment {
  held(task: Task): void;
  settled(task: StoredTask, level: Durability): void;
}

type Failure = Extract<Outcome, { error: unknown }>["error"];

export class TaskFinder {
  readonly #parts: TaskFinderParts;
  readonly #views: TaskViews;

  constructor(parts: TaskFinderParts) {
    this.#parts = parts;
    this.#views = new TaskViews(parts);
  }

  /** Answers where there is no such task, where it is none of the client's, and where a store has failed. */
  treat(command: Command, id: string, treatment: Treatment): void {
    const { backlog, tasks } = this.#parts;
    const held = tasks.get(id);
    // One that is just being stored may turn out to be known, with an outcome.
    if (held?.isArriving === true && held.level !== undefined) {
      this.#whenStored(command, held.level, () => this.#treatArriving(command, id, held, treatment));
    } else if (held?.settled !== undefined && held.level !== undefined) {
      this.#whenStored(command, held.level, () => this.#treatSettled(command, id, treatment));
    } else if (held !== undefined) {
      this.#treatHeld(command, held, treatment);
    } else {
      // A node may bring it back that still runs it.
      backlog.whenKnown(() => this.#treatStored(command, id, treatment));
    }
  }

  #whenStored(command: Command, level: Durability, then: () => void): void {
    this.#parts.storages.for(level).whenStored((failure) => {
      if (failure === undefined) then();
      else reply(command, () => failed(failure));
    });
  }

  /** Nobody is asked for the same twice in one turn. */
  #treatArriving(command: Command, id: string, before: Task, treatment: Treatment): void {
    const held = this.#parts.tasks.get(id);
    const isArriving = held === before && held.isArriving && held.settled === undefined;
    if (isArriving) this.#treatHeld(command, held, treatment);
    else this.treat(command, id, treatment);
  }

  #treatHeld(command: Command, task: Task, treatment: Treatment): void {
    reply(command, () => {
      this.#views.visible(viewOfHeld(task), command.session);
      treatment.held(task);
      return undefined;
    });
  }

  #treatStored(command: Command, id: string, treatment: Treatment): void {
    const { life, tasks } = this.#parts;
    if (tasks.get(id) !== undefined) {
      this.treat(command, id, treatment);
      return;
    }
    life.take([id], ([known], failure) => {
      const taken = tasks.get(id);
      // It may have been submitted again meanwhile, though it has an outcome; or have been run meanwhile.
      if (taken?.isArriving === true || taken?.settled !== undefined) this.treat(command, id, treatment);
      else if (taken !== undefined) this.#treatHeld(command, taken, treatment);
      else if (known !== undefined && isSettled(known.status)) this.#treatSettled(command, id, treatment);
      else reply(command, () => (failure === undefined ? unknownTask(id).error : failed(failure)));
    });
  }

  /** Its record has to be looked up, with all that it holds. */
  #treatSettled(command: Command, id: string, treatment: Treatment): void {
    this.#parts.storages.find(id, (stored, level, failure) => {
      if (failure !== undefined) reply(command, () => failed(failure));
      else if (stored === undefined) reply(command, () => unknownTask(id).error);
      else if (!isSettled(stored.status)) this.treat(command, id, treatment);
      else {
        reply(command, () => {
          treatment.settled(stored, level);
          return undefined;
        });
      }
    });
  }
}

function failed(error: Failure): Outcome {
  return { error };
}
