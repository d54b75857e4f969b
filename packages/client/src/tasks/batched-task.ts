// A submission that joined a batch: which task it became, perhaps another client's, the broker tells.
import { type TaskStatus, UnknownTaskError } from "zerotask-core";
import type { Durability, Session } from "../session.ts";
import {
  type Accepted,
  askOutcome,
  askPosition,
  askStatus,
  type Position,
  type Submit,
  type TrackedTask,
} from "./tracked-task.ts";

/** What was accepted, and by which run of the broker. */
interface Known extends Accepted {
  readonly epoch: string | undefined;
}

export class BatchedTask implements TrackedTask {
  readonly #session: Session;
  readonly #submit: Submit;
  #id: string;
  /** The latest submission: one that a restarted broker forgot is made again. */
  #known: Promise<Known>;
  #outcome: Promise<unknown> | undefined;

  constructor(proposedId: string, session: Session, submit: Submit) {
    this.#id = proposedId;
    this.#session = session;
    this.#submit = submit;
    this.#known = this.#join(false);
  }

  /** The proposed one until it is accepted. */
  get id(): string {
    return this.#id;
  }

  async accepted(): Promise<Durability> {
    return (await this.#known).level;
  }

  status(): Promise<TaskStatus> {
    return this.#ask(askStatus);
  }

  position(): Promise<Position> {
    return this.#ask(askPosition);
  }

  outcome(): Promise<unknown> {
    if (this.#outcome === undefined) {
      this.#outcome = this.#ask(askOutcome);
      this.#outcome.catch(() => undefined);
    }
    return this.#outcome;
  }

  /** Asks about the task, and where it was lost in memory with the broker, about the one that follows it. */
  async #ask<T>(question: (session: Session, id: string) => Promise<T>): Promise<T> {
    for (;;) {
      const asked = this.#known;
      const known = await asked;
      try {
        return await question(this.#session, known.id);
      } catch (error) {
        // What is on disk is never submitted again: its record may have expired, and it would run once more.
        const isLost = known.level === "memory" && known.epoch !== this.#session.epoch;
        if (!isLost || !(error instanceof UnknownTaskError)) throw error;
        // Another question may have found out before.
        if (this.#known === asked) this.#known = this.#join(true);
      }
    }
  }

  #join(isPatient: boolean): Promise<Known> {
    const known = this.#submit(isPatient).then(({ id, level }) => {
      this.#id = id;
      return { id, level, epoch: this.#session.epoch };
    });
    known.catch(() => undefined);
    return known;
  }
}
