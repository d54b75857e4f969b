// A task of this client: the broker tells when it is settled.
import { errorFromWire, StoreFailedError, TaskStatus } from "zerotask-core";
import { deferred } from "../deferred.ts";
import type { Durability, Session } from "../session.ts";
import {
  askOutcome,
  askPosition,
  askStatus,
  type Position,
  type SettledMessage,
  type Submit,
  type TrackedTask,
} from "./tracked-task.ts";

export class OwnTask implements TrackedTask {
  readonly id: string;
  isAccepted = false;
  readonly #session: Session;
  readonly #submit: Submit;
  readonly #onFailed: (id: string) => void;
  readonly #outcome = deferred<unknown>();
  readonly #accepted = deferred<Durability>();
  #finalStatus: TaskStatus | undefined;
  /** What becomes of it where others have begun it again: however many ask, and however often, they wait together. */
  #again: Promise<unknown> | undefined;
  #failure: Error | undefined;

  constructor(id: string, session: Session, submit: Submit, onFailed: (id: string) => void) {
    this.id = id;
    this.#session = session;
    this.#submit = submit;
    this.#onFailed = onFailed;
  }

  submit(isPatient: boolean): void {
    this.isAccepted = false;
    this.#submit.now(isPatient).then(
      ({ level }) => {
        this.isAccepted = true;
        this.#accepted.resolve(level);
      },
      (error: Error) => {
        // The broker has it, on a disk that it can't use just now.
        if (isPatient && error instanceof StoreFailedError) this.isAccepted = true;
        else this.fail(error);
      },
    );
  }

  accepted(): Promise<Durability> {
    return this.#accepted.promise;
  }

  async status(): Promise<TaskStatus> {
    if (this.#finalStatus !== undefined) return this.#statusNow(this.#finalStatus);
    if (this.#failure !== undefined) throw this.#failure;
    return askStatus(this.#session, this.id);
  }

  async position(): Promise<Position> {
    if (this.#failure !== undefined) throw this.#failure;
    return askPosition(this.#session, this.id);
  }

  async outcome(): Promise<unknown> {
    const told = this.#finalStatus;
    if (told === undefined) return this.#outcome.promise;
    if (this.#again === undefined && (await this.#statusNow(told)) === told) return this.#outcome.promise;
    this.#again ??= askOutcome(this.#session, this.id).finally(() => {
      this.#again = undefined;
    });
    return this.#again;
  }

  /** The broker tells of it anyway, and what was accepted is to be there after a restart. */
  abandon(): void {}

  onSettled({ status, result, error }: SettledMessage): void {
    this.#finalStatus = status;
    if (error === undefined) this.#outcome.resolve(result);
    else this.#outcome.reject(errorFromWire(error));
  }

  fail(error: Error): void {
    this.#onFailed(this.id);
    this.#failure ??= error;
    this.#accepted.reject(error);
    this.#outcome.reject(error);
  }

  /** Others may have begun anew what has no result. A broker that can't tell, or knows nothing of it, changes nothing. */
  async #statusNow(told: TaskStatus): Promise<TaskStatus> {
    if (told === TaskStatus.Finished || !this.#session.isConnected) return told;
    return askStatus(this.#session, this.id).catch(() => told);
  }
}
