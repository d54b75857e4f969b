// How a task is looked at by its id, wherever it is kept: at once, or when a store has answered.
import { ErrorCode, type Outcome, respond } from "zerotask-core";
import type { Session } from "../peers/sessions.ts";
import type { Storages } from "../storage/storages.ts";
import { unknownTask } from "../tasks/submissions.ts";
import type { Task } from "../tasks/task.ts";
import { type TaskView, viewOfHeld, viewOfStored } from "../tasks/task-record.ts";
import type { TaskTable } from "../tasks/task-table.ts";
import { type Command, Refusal } from "./command.ts";

export interface TaskViewParts {
  readonly tasks: TaskTable;
  readonly storages: Storages;
}

/** Who is owed the response to which request. */
export type Owed = Pick<Command, "addressee" | "requestId">;

type Answer = (view: TaskView) => Outcome | undefined;

export class TaskViews {
  readonly #parts: TaskViewParts;

  constructor(parts: TaskViewParts) {
    this.#parts = parts;
  }

  /**
   * Answers from what is known of a task: at once, when what was changed of it last is stored, or when a store
   * has answered. The first id that there is counts.
   * @param isPublic whether also another client's call is shown: where its id is enough
   */
  view(command: Command, ids: readonly string[], answer: Answer, isPublic: boolean = false): undefined {
    const { storages, tasks } = this.#parts;
    const [id, ...others] = ids;
    if (id === undefined) throw unknownTask("");
    const held = tasks.get(id);
    if (held !== undefined) {
      this.#viewHeld(command, held, answer, isPublic);
      return undefined;
    }
    storages.find(id, (stored, level, failure) => {
      // It may have been claimed meanwhile.
      if (tasks.get(id) !== undefined) this.view(command, [id], answer, isPublic);
      else if (stored !== undefined) reply(command, () => answer(viewOfStored(stored, level)));
      else if (failure !== undefined) reply(command, () => ({ error: failure }));
      else if (others.length > 0) this.view(command, others, answer, isPublic);
      else {
        reply(command, () => {
          throw unknownTask(id);
        });
      }
    });
    return undefined;
  }

  /** Answers when what was changed last of a task that is held is stored. */
  whenStored(command: Command, id: string, answer: () => Outcome | undefined): void {
    const level = this.#parts.tasks.submitted(id)?.level;
    if (level === undefined) reply(command, answer);
    else {
      this.#parts.storages.for(level).whenStored((failure) => {
        reply(command, failure === undefined ? answer : () => ({ error: failure }));
      });
    }
  }

  /**
   * A submitted task's id is enough to see it, or that of a node's own; a call is seen by its own client only.
   * @throws Refusal
   */
  visible(view: TaskView, asking: Session | undefined): TaskView {
    const held = this.#parts.tasks.get(view.id);
    if (held === undefined || held.isSubmitted || held.pin !== undefined) return view;
    if (held.caller !== undefined && held.caller === asking) return view;
    throw new Refusal(ErrorCode.NotAllowed, `The task ${view.id} is another client's call`);
  }

  #viewHeld(command: Command, held: Task, answer: Answer, isPublic: boolean): void {
    const tell = (): Outcome | undefined => {
      const view = viewOfHeld(held);
      return answer(isPublic ? view : this.visible(view, command.session));
    };
    if (held.level === undefined) {
      reply(command, tell);
      return;
    }
    this.whenStored(command, held.id, () => {
      const isStillHeld = this.#parts.tasks.submitted(held.id) === held;
      if (isStillHeld || held.settled !== undefined) return tell();
      // It was left to the store, or it was there before under this id.
      return this.view(command, [held.id], answer, isPublic);
    });
  }
}

/** Delivers the response of a command whose answer comes later. */
export function reply({ addressee, requestId }: Owed, answer: () => Outcome | undefined): void {
  let outcome: Outcome | undefined;
  try {
    outcome = answer();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    outcome = error.error;
  }
  if (outcome !== undefined) addressee.deliver(respond(requestId, outcome));
}
