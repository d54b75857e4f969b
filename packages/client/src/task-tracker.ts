// Which submitted tasks a client still waits for. They survive a lost connection, and a broker that lost them.
import { BrokerMethod, ClientClosedError, ErrorCode, optionsToWire, type Params, Push } from "zerotask-core";
import { delayOf, remaining } from "./delayed-text.ts";
import type { Inherited } from "./nesting.ts";
import type { CallOptions } from "./options.ts";
import type { Session } from "./session.ts";
import { checkStorable } from "./streams/inputs.ts";
import { BatchedTask } from "./tasks/batched-task.ts";
import { Batches } from "./tasks/batches.ts";
import { ForeignTask } from "./tasks/foreign-task.ts";
import { KeyedTask } from "./tasks/keyed-task.ts";
import { OwnTask } from "./tasks/own-task.ts";
import type { Accepted, SettledMessage, Submit, TrackedTask } from "./tasks/tracked-task.ts";

export class TaskTracker {
  readonly #session: Session;
  /** Own tasks that are not settled, with what submits them. */
  readonly #submitted = new Map<string, OwnTask>();
  /** Tasks with a key that are waited for. */
  readonly #keyed = new Set<KeyedTask>();
  readonly #batches: Batches;
  /** Tasks of others that are waited for. */
  readonly #watched = new Map<string, ForeignTask>();

  constructor(session: Session) {
    this.#session = session;
    this.#batches = new Batches(session);
    session.onPush(Push.TaskSettled, (params) => this.#onTaskSettled(params));
    session.onReady(() => this.#submitAgain());
  }

  /**
   * What submits tasks with these options.
   * @param inherited what they inherit from the task whose handler submits them
   */
  submitter(
    options: CallOptions,
    inherited: Inherited = {},
  ): (method: string, params: Params) => TrackedTask {
    const session = this.#session;
    const { whenBusy, ...asked } = options;
    const { idempotencyKey, batch, durability = "disk" } = asked;
    const isShared = idempotencyKey !== undefined || batch !== undefined;
    const wire = optionsToWire({ notify: !isShared, ...asked, ...inherited });
    const level = (): Accepted["level"] =>
      durability === "disk" || isShared ? session.durability : "memory";
    const waitsWhenBusy = whenBusy === "wait";
    const onFailed = (id: string): void => void this.#submitted.delete(id);
    return (method, params) => {
      const task_id = `${session.nextId()}`;
      const optionsNow = countingDown(wire, session);
      let requestId = 0;
      const now: Submit["now"] = async (isPatient) => {
        checkStorable(params);
        const options = optionsNow();
        // What was accepted before is not given up because the broker has no room for more.
        const waits = waitsWhenBusy || isPatient;
        requestId = session.nextId();
        const request = { id: requestId, isPatient, waitsWhenBusy: waits, delayMs: delayOf(options) };
        const submission = { method, params, task_id, options };
        const id = await session.request(BrokerMethod.ClientNewTask, submission, request);
        return { id: id as string, level: level() };
      };
      const submit: Submit = { now, abandon: () => session.abandon(requestId) };
      const proposedId = `${session.clientId}-${task_id}`;
      if (batch !== undefined) return new BatchedTask(proposedId, session, submit, this.#batches);
      if (idempotencyKey !== undefined)
        return new KeyedTask(`key:${idempotencyKey}`, session, submit, this.#keyed);
      const task = new OwnTask(proposedId, session, submit, onFailed);
      this.#submitted.set(task.id, task);
      task.submit(false);
      return task;
    };
  }

  /** Submits a task whose outcome nobody will ask for. Rejects when it was not taken. */
  async ignore(method: string, params: Params, { whenBusy, ...asked }: CallOptions): Promise<void> {
    checkStorable(params);
    const task_id = `${this.#session.nextId()}`;
    const options = optionsToWire({ discard: true, ...asked });
    const submission = { method, params, task_id, options };
    const request = { waitsWhenBusy: whenBusy === "wait", delayMs: delayOf(options) };
    await this.#session.request(BrokerMethod.ClientNewTask, submission, request);
  }

  /** A task by its id, whoever submitted it. */
  find(id: string): TrackedTask {
    return (
      this.#submitted.get(id) ?? this.#watched.get(id) ?? new ForeignTask(id, this.#session, this.#watched)
    );
  }

  #onTaskSettled(params: Params | undefined): void {
    const message = params as unknown as SettledMessage;
    const task = this.#submitted.get(message.task_id);
    if (task === undefined) return;
    this.#submitted.delete(message.task_id);
    task.onSettled(message);
  }

  /** A broker that was restarted may not know the tasks any more; one that does takes the same id as the same task. */
  #submitAgain(): void {
    // Those that were accepted before: no outage, however long, makes them fail.
    for (const task of this.#submitted.values()) if (task.isAccepted) task.submit(true);
    for (const task of this.#keyed) task.submitAgain();
    this.#batches.submitAgain();
  }

  close(): void {
    const tasks = [...this.#submitted.values()];
    for (const task of tasks)
      task.fail(new ClientClosedError("The client was closed", ErrorCode.InternalError));
  }
}

/** Options that mean the same time whenever they are sent: a task that is submitted again is not put off by it. */
function countingDown(
  wire: { readonly [name: string]: unknown },
  { runtime }: Session,
): () => { readonly [name: string]: unknown } {
  const delayMs = delayOf(wire);
  if (delayMs === undefined) return () => wire;
  const since = runtime.now();
  return () => ({ ...wire, delay_ms: remaining(delayMs, runtime.now() - since) });
}
