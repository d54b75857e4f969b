// Which submitted tasks a client still waits for. They survive a lost connection, and a broker that lost them.
import {
  BrokerMethod,
  ClientClosedError,
  ErrorCode,
  type ErrorObject,
  errorFromWire,
  isSettled,
  type Params,
  TaskStatus,
} from "zerotask-core";
import type { Session } from "./session.ts";

/** One task, as all its handles share it. */
export interface TrackedTask {
  readonly id: string;
  status(): Promise<TaskStatus>;
  outcome(): Promise<unknown>;
}

interface SettledMessage {
  readonly task_id: string;
  readonly status: TaskStatus;
  readonly result?: unknown;
  readonly error?: ErrorObject;
}

export class TaskTracker {
  readonly #session: Session;
  /** Own tasks that are not settled, with what submits them. */
  readonly #submitted = new Map<string, OwnTask>();

  constructor(session: Session) {
    this.#session = session;
  }

  submit(method: string, params: Params): TrackedTask {
    const number = this.#session.nextId();
    const id = `${this.#session.clientId}-${number}`;
    const task = new OwnTask(id, this.#session);
    const submission = { method, params, task_id: `${number}`, options: { notify: true } };
    task.submit = (isPatient) =>
      this.#session.request(BrokerMethod.ClientNewTask, submission, this.#session.nextId(), isPatient).then(
        () => task.onAccepted(),
        (error: Error) => this.#fail(task, error),
      );
    this.#submitted.set(id, task);
    void task.submit(false);
    return task;
  }

  /** Submits a task whose outcome nobody will ask for. */
  ignore(method: string, params: Params): void {
    const task_id = `${this.#session.nextId()}`;
    const submission = { method, params, task_id, options: { discard: true } };
    this.#session.request(BrokerMethod.ClientNewTask, submission).catch(() => undefined);
  }

  /** A task by its id, whoever submitted it. */
  find(id: string): TrackedTask {
    return this.#submitted.get(id) ?? new ForeignTask(id, this.#session);
  }

  onTaskSettled(params: Params | undefined): void {
    const message = params as unknown as SettledMessage;
    const task = this.#submitted.get(message.task_id);
    if (task === undefined) return;
    this.#submitted.delete(message.task_id);
    task.onSettled(message);
  }

  /** A broker that was restarted may not know the tasks any more; one that does takes the same id as the same task. */
  submitAgain(): void {
    for (const task of this.#submitted.values()) {
      if (!task.isAccepted) continue;
      // It was accepted before: no outage, however long, makes it fail.
      task.isAccepted = false;
      void task.submit(true);
    }
  }

  close(): void {
    for (const task of this.#submitted.values()) {
      task.fail(new ClientClosedError("The client was closed", ErrorCode.InternalError));
    }
    this.#submitted.clear();
  }

  #fail(task: OwnTask, error: Error): void {
    if (this.#submitted.delete(task.id)) task.fail(error);
  }
}

/** A task of this client: the broker tells when it is settled. */
class OwnTask implements TrackedTask {
  readonly id: string;
  readonly #session: Session;
  readonly #outcome: Promise<unknown>;
  #resolve: (result: unknown) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;
  #finalStatus: TaskStatus | undefined;
  #failure: Error | undefined;
  submit: (isPatient: boolean) => Promise<void> = () => Promise.resolve();
  isAccepted = false;

  constructor(id: string, session: Session) {
    this.id = id;
    this.#session = session;
    this.#outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // A failure that nobody waits for is no unhandled rejection.
    this.#outcome.catch(() => undefined);
  }

  async status(): Promise<TaskStatus> {
    if (this.#finalStatus !== undefined) return this.#finalStatus;
    if (this.#failure !== undefined) throw this.#failure;
    return askStatus(this.#session, this.id);
  }

  outcome(): Promise<unknown> {
    return this.#outcome;
  }

  onAccepted(): void {
    this.isAccepted = true;
  }

  onSettled({ status, result, error }: SettledMessage): void {
    this.#finalStatus = status;
    if (error === undefined) this.#resolve(result);
    else this.#reject(errorFromWire(error));
  }

  fail(error: Error): void {
    this.#failure = error;
    this.#reject(error);
  }
}

/** Somebody else's task: the broker is asked when somebody wants to know. */
class ForeignTask implements TrackedTask {
  readonly id: string;
  readonly #session: Session;
  #outcome: Promise<unknown> | undefined;

  constructor(id: string, session: Session) {
    this.id = id;
    this.#session = session;
  }

  status(): Promise<TaskStatus> {
    return askStatus(this.#session, this.id);
  }

  outcome(): Promise<unknown> {
    this.#outcome ??= this.#wait();
    return this.#outcome;
  }

  async #wait(): Promise<unknown> {
    const params = { task_id: this.id };
    const answer = this.#session.request(BrokerMethod.ClientTaskWait, params, this.#session.nextId(), true);
    const { error, result } = (await answer) as SettledMessage;
    if (error !== undefined) throw errorFromWire(error);
    return result;
  }
}

async function askStatus(session: Session, taskId: string): Promise<TaskStatus> {
  const status = await session.request(BrokerMethod.ClientTaskStatus, { task_id: taskId });
  if (typeof status === "string" && (isSettled(status as TaskStatus) || isOpen(status)))
    return status as TaskStatus;
  throw new TypeError(`Expected a status from the broker, got ${String(status)}`);
}

function isOpen(status: string): boolean {
  return Object.values<string>(TaskStatus).includes(status);
}
