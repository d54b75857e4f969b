// A submission that joined a batch: which task it became, perhaps another client's, the broker tells.
import { type TaskStatus, UnknownTaskError } from "zerotask-core";
import type { Durability, Session } from "../session.ts";
import type { Batches } from "./batches.ts";
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
  readonly #batches: Batches;
  #id: string;
  /** The latest submission: one that a restarted broker forgot is made again. */
  #known: Promise<Known>;
  /** What it resolved to, once it has. */
  #accepted: Known | undefined;
  #outcome: Promise<unknown> | undefined;
  /** The request for the outcome, where it is its own. */
  #waiting: number | undefined;

  constructor(proposedId: string, session: Session, submit: Submit, batches: Batches) {
    this.#id = proposedId;
    this.#session = session;
    this.#submit = submit;
    this.#batches = batches;
    this.#known = this.#join(false);
    this.#known.then(
      ({ level }) => this.#keep(level),
      () => undefined,
    );
  }

  /** The proposed one until it is accepted. */
  get id(): string {
    return this.#id;
  }

  async accepted(): Promise<Durability> {
    return (await this.#known).level;
  }

  status(): Promise<TaskStatus> {
    return this.#ask((id) => askStatus(this.#session, id));
  }

  position(): Promise<Position> {
    return this.#ask((id) => askPosition(this.#session, id));
  }

  outcome(timeoutMs?: number): Promise<unknown> {
    if (this.#outcome === undefined) {
      const outcome = this.#ask((id) =>
        timeoutMs === undefined ? this.#batches.outcomeOf(id) : this.#wait(id, timeoutMs),
      );
      this.#outcome = outcome.finally(() => this.#batches.delete(this));
      this.#outcome.catch(() => undefined);
    }
    return this.#outcome;
  }

  abandon(): void {
    this.#batches.delete(this);
    this.#submit.abandon();
    if (this.#waiting !== undefined) this.#session.abandon(this.#waiting);
  }

  /** A broker that was started anew has lost it. What is on disk is never submitted again: it would run once more. */
  submitAgain(): void {
    if (this.#accepted !== undefined && this.#accepted.epoch !== this.#session.epoch) {
      this.#known = this.#join(true);
    }
  }

  /** What would be lost with the broker is kept in mind until its outcome is known, whether anybody waits for that or not. */
  #keep(level: Durability): void {
    if (level === "disk") return;
    this.#batches.add(this);
    void this.outcome();
  }

  /** A wait that the broker gives up as well, when nobody listens any more. */
  #wait(id: string, timeoutMs: number): Promise<unknown> {
    this.#waiting = this.#session.nextId();
    return askOutcome(this.#session, id, { id: this.#waiting, timeoutMs });
  }

  /** Asks about the task, and where it was submitted again meanwhile, about what it became. */
  async #ask<T>(question: (id: string) => Promise<T>): Promise<T> {
    for (;;) {
      const asked = this.#known;
      const { id } = await asked;
      try {
        return await question(id);
      } catch (error) {
        if (this.#known === asked || !(error instanceof UnknownTaskError)) throw error;
      }
    }
  }

  #join(isPatient: boolean): Promise<Known> {
    this.#accepted = undefined;
    const known = this.#submit.now(isPatient).then(({ id, level }) => {
      this.#id = id;
      this.#accepted = { id, level, epoch: this.#session.epoch };
      return this.#accepted;
    });
    known.catch(() => undefined);
    return known;
  }
}
