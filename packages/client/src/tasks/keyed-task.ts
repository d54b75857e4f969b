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
  /** The request for the outcome. */
  #asked: number | undefined;

  constructor(id: string, session: Session, submit: Submit, waiting: Set<KeyedTask>) {
    this.#waiting = waiting;
    this.id = id;
    this.#session = session;
    this.#submit = submit;
    this.#accepted = submit.now(false).then(({ level }) => level);
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

  outcome(timeoutMs?: number): Promise<unknown> {
    if (this.#outcome === undefined) {
      this.#outcome = this.#accepted.then((level) => this.#wait(level, timeoutMs));
      this.#outcome.catch(() => undefined);
    }
    return this.#outcome;
  }

  abandon(): void {
    this.#waiting.delete(this);
    this.#submit.abandon();
    if (this.#asked !== undefined) this.#session.abandon(this.#asked);
  }

  /** A broker that has it in memory may have been restarted, and then knows nothing of it. */
  submitAgain(): void {
    this.#submit.now(true).catch(() => undefined);
  }

  async #wait(level: Durability, timeoutMs: number | undefined): Promise<unknown> {
    // What is on disk is never submitted again: its record may have expired, and it would run once more.
    if (level === "memory") this.#waiting.add(this);
    try {
      this.#asked = this.#session.nextId();
      const bound = timeoutMs === undefined ? {} : { timeoutMs };
      return await askOutcome(this.#session, this.id, { id: this.#asked, ...bound });
    } finally {
      this.#waiting.delete(this);
    }
  }
}
