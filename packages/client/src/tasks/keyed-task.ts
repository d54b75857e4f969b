// A task that others may have submitted under the same key: the broker is asked for its outcome.
import type { TaskStatus } from "zerotask-core";
import type { Durability, Session } from "../session.ts";
import {
  askOutcome,
  askPosition,
  askStatus,
  type Position,
  type Submit,
  type TrackedTask,
} from "./tracked-task.ts";

export class KeyedTask implements TrackedTask {
  readonly id: string;
  readonly #session: Session;
  readonly #submit: Submit;
  readonly #accepted: Promise<Durability>;
  /** Where it stands while it is waited for. */
  readonly #waiting: Set<KeyedTask>;
  #outcome: Promise<unknown> | undefined;

  constructor(id: string, session: Session, submit: Submit, waiting: Set<KeyedTask>) {
    this.#waiting = waiting;
    this.id = id;
    this.#session = session;
    this.#submit = submit;
    this.#accepted = submit(false).then(({ level }) => level);
    this.#accepted.catch(() => undefined);
  }

  accepted(): Promise<Durability> {
    return this.#accepted;
  }

  status(): Promise<TaskStatus> {
    return this.#accepted.then(() => askStatus(this.#session, this.id));
  }

  position(): Promise<Position> {
    return this.#accepted.then(() => askPosition(this.#session, this.id));
  }

  outcome(): Promise<unknown> {
    if (this.#outcome === undefined) {
      this.#outcome = this.#accepted.then((level) => this.#wait(level));
      this.#outcome.catch(() => undefined);
    }
    return this.#outcome;
  }

  /** A broker that has it in memory may have been restarted, and then knows nothing of it. */
  submitAgain(): void {
    this.#submit(true).catch(() => undefined);
  }

  async #wait(level: Durability): Promise<unknown> {
    // What is on disk is never submitted again: its record may have expired, and it would run once more.
    if (level === "memory") this.#waiting.add(this);
    try {
      return await askOutcome(this.#session, this.id);
    } finally {
      this.#waiting.delete(this);
    }
  }
}
