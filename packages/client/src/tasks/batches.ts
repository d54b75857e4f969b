// What the handles of one client on batched tasks share: many submissions may be one task, which is waited for once.
import type { Session } from "../session.ts";
import type { BatchedTask } from "./batched-task.ts";
import { askOutcome } from "./tracked-task.ts";

export class Batches {
  readonly #session: Session;
  /** Submissions that are not known to be settled, and would be lost with the broker. */
  readonly #open = new Set<BatchedTask>();
  /** By the ids of the tasks. */
  readonly #outcomes = new Map<string, Promise<unknown>>();

  constructor(session: Session) {
    this.#session = session;
  }

  add(task: BatchedTask): void {
    this.#open.add(task);
  }

  delete(task: BatchedTask): void {
    this.#open.delete(task);
  }

  /** Each with its own options: the earliest time and the highest priority win again. */
  submitAgain(): void {
    for (const task of this.#open) task.submitAgain();
  }

  /** The outcome of a task, asked for once for all who want to know. */
  outcomeOf(id: string): Promise<unknown> {
    let outcome = this.#outcomes.get(id);
    if (outcome === undefined) {
      outcome = askOutcome(this.#session, id).finally(() => this.#outcomes.delete(id));
      this.#outcomes.set(id, outcome);
    }
    return outcome;
  }
}
