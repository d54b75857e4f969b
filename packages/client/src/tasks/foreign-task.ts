// Somebody else's task: the broker is asked when somebody wants to know.
import { BrokerMethod, type TaskStatus } from "zerotask-core";
import type { Durability, Session } from "../session.ts";
import { askOutcome, askPosition, askStatus, type Position, type TrackedTask } from "./tracked-task.ts";

export class ForeignTask implements TrackedTask {
  readonly id: string;
  readonly #session: Session;
  /** Where it stands while it is waited for, so that all handles wait together. */
  readonly #watched: Map<string, ForeignTask>;
  #outcome: Promise<unknown> | undefined;

  constructor(id: string, session: Session, watched: Map<string, ForeignTask>) {
    this.id = id;
    this.#session = session;
    this.#watched = watched;
  }

  async accepted(): Promise<Durability> {
    const task = await this.#session.request(BrokerMethod.ClientTaskGet, { task_id: this.id });
    return (task as { readonly durability: Durability }).durability;
  }

  status(): Promise<TaskStatus> {
    return askStatus(this.#session, this.id);
  }

  position(): Promise<Position> {
    return askPosition(this.#session, this.id);
  }

  /** Other handles may wait for it as well. */
  abandon(): void {}

  outcome(): Promise<unknown> {
    if (this.#outcome === undefined) {
      this.#watched.set(this.id, this);
      this.#outcome = askOutcome(this.#session, this.id).finally(() => this.#watched.delete(this.id));
      this.#outcome.catch(() => undefined);
    }
    return this.#outcome;
  }
}
