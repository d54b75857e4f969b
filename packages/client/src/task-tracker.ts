// Which submitted tasks a client still waits for. They survive a lost connection, and a broker that lost them.
import {
  BrokerMethod,
  ClientClosedError,
  ErrorCode,
  type ErrorObject,
  errorFromWire,
  isSettled,
  optionsToWire,
  type Params,
  StoreFailedError,
  TaskStatus,
} from "zerotask-core";
import { deferred } from "./deferred.ts";
import type { CallOptions } from "./options.ts";
import type { Durability, Session } from "./session.ts";

/** One task, as all its handles share it. */
export interface TrackedTask {
  readonly id: string;
  /** Resolves when the broker has it, with how safe it is there. */
  accepted(): Promise<Durability>;
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
  /** Tasks with a key that are waited for. */
  readonly #keyed = new Set<KeyedTask>();
  /** Tasks of others that are waited for. */
  readonly #watched = new Map<string, ForeignTask>();

  constructor(session: Session) {
    this.#session = session;
  }

  /** What submits tasks with these options. */
  submitter(options: CallOptions): (method: string, params: Params) => TrackedTask {
    const session = this.#session;
    const { whenBusy, ...asked } = options;
    const { idempotencyKey, durability = "disk" } = asked;
    const isOwn = idempotencyKey === undefined;
    const wire = optionsToWire({ notify: isOwn, ...asked });
    const waitsWhenBusy = whenBusy === "wait";
    const onFailed = (id: string): void => void this.#submitted.delete(id);
    return (method, params) => {
      const task_id = `${session.nextId()}`;
      const submission = { method, params, task_id, options: wire };
      const submit = async (isPatient: boolean): Promise<Durability> => {
        // What was accepted before is not given up because the broker has no room for more.
        const options = { isPatient, waitsWhenBusy: waitsWhenBusy || isPatient };
        await session.request(BrokerMethod.ClientNewTask, submission, options);
        return durability === "disk" || !isOwn ? session.durability : "memory";
      };
      if (!isOwn) return new KeyedTask(`key:${idempotencyKey}`, session, submit, this.#keyed);
      const task = new OwnTask(`${session.clientId}-${task_id}`, session, submit, onFailed);
      this.#submitted.set(task.id, task);
      task.submit(false);
      return task;
    };
  }

  /** Submits a task whose outcome nobody will ask for. */
  ignore(method: string, params: Params, { whenBusy, ...options }: CallOptions): void {
    const task_id = `${this.#session.nextId()}`;
    const submission = { method, params, task_id, options: optionsToWire({ discard: true, ...options }) };
    const waitsWhenBusy = whenBusy === "wait";
    this.#session.request(BrokerMethod.ClientNewTask, submission, { waitsWhenBusy }).catch(() => undefined);
  }

  /** A task by its id, whoever submitted it. */
  find(id: string): TrackedTask {
    return (
      this.#submitted.get(id) ?? this.#watched.get(id) ?? new ForeignTask(id, this.#session, this.#watched)
    );
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
    // Those that were accepted before: no outage, however long, makes them fail.
    for (const task of this.#submitted.values()) if (task.isAccepted) task.submit(true);
    for (const task of this.#keyed) task.submitAgain();
  }

  close(): void {
    const tasks = [...this.#submitted.values()];
    for (const task of tasks)
      task.fail(new ClientClosedError("The client was closed", ErrorCode.InternalError));
  }
}

type Submit = (isPatient: boolean) => Promise<Durability>;

/** A task of this client: the broker tells when it is settled. */
class OwnTask implements TrackedTask {
  readonly id: string;
  isAccepted = false;
  readonly #session: Session;
  readonly #submit: Submit;
  readonly #onFailed: (id: string) => void;
  readonly #outcome = deferred<unknown>();
  readonly #accepted = deferred<Durability>();
  #finalStatus: TaskStatus | undefined;
  #failure: Error | undefined;

  constructor(id: string, session: Session, submit: Submit, onFailed: (id: string) => void) {
    this.id = id;
    this.#session = session;
    this.#submit = submit;
    this.#onFailed = onFailed;
  }

  submit(isPatient: boolean): void {
    this.isAccepted = false;
    this.#submit(isPatient).then(
      (level) => {
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
    if (this.#finalStatus !== undefined) return this.#finalStatus;
    if (this.#failure !== undefined) throw this.#failure;
    return askStatus(this.#session, this.id);
  }

  outcome(): Promise<unknown> {
    return this.#outcome.promise;
  }

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
}

/** A task that others may have submitted under the same key: the broker is asked for its outcome. */
class KeyedTask implements TrackedTask {
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
    this.#accepted = submit(false);
    this.#accepted.catch(() => undefined);
  }

  accepted(): Promise<Durability> {
    return this.#accepted;
  }

  status(): Promise<TaskStatus> {
    return this.#accepted.then(() => askStatus(this.#session, this.id));
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

/** Somebody else's task: the broker is asked when somebody wants to know. */
class ForeignTask implements TrackedTask {
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

  outcome(): Promise<unknown> {
    if (this.#outcome === undefined) {
      this.#watched.set(this.id, this);
      this.#outcome = askOutcome(this.#session, this.id).finally(() => this.#watched.delete(this.id));
      this.#outcome.catch(() => undefined);
    }
    return this.#outcome;
  }
}

async function askOutcome(session: Session, taskId: string): Promise<unknown> {
  const answer = await session.request(BrokerMethod.ClientTaskWait, { task_id: taskId }, { isPatient: true });
  const { error, result } = answer as SettledMessage;
  if (error !== undefined) throw errorFromWire(error);
  return result;
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
