// Submitted tasks: stored before they are acknowledged, and the same task however often they are sent.
import { ErrorCode, isSettled, type Params, type RequestId, respond, type WireOptions } from "zerotask-core";
import { type Batches, batchOf, type Wanted } from "../admission/batches.ts";
import { Refusal, stopping } from "../commands/command.ts";
import type { Load } from "../load.ts";
import type { MethodTable } from "../order/method-table.ts";
import { dueAtOf, expiresAtOf, priorityOf } from "../order/timing.ts";
import type { Addressee } from "../peers/addressee.ts";
import type { ClientSession } from "../peers/client-session.ts";
import type { Backlog } from "../storage/backlog.ts";
import type { Storage } from "../storage/storage.ts";
import type { Storages } from "../storage/storages.ts";
import { bytesOf, type StoredTask } from "../storage/stored-task.ts";
import type { Turn } from "../turn.ts";
import type { Settlement } from "./settlement.ts";
import type { Task } from "./task.ts";
import type { TaskLife } from "./task-life.ts";
import { outcomeOfStored } from "./task-record.ts";
import type { TaskTable } from "./task-table.ts";

/** Begins the ids of tasks that have an idempotency key, and of nothing else. */
export const keyPrefix = "key:";

export interface Submission {
  readonly id: string;
  readonly owner: ClientSession;
  readonly method: string;
  readonly params: Params | undefined;
  readonly options: WireOptions;
  readonly addressee: Addressee;
  readonly requestId: RequestId;
}

export interface SubmissionParts {
  readonly turn: Turn;
  readonly tasks: TaskTable;
  readonly life: TaskLife;
  readonly settlement: Settlement;
  readonly storages: Storages;
  readonly load: Load;
  readonly backlog: Backlog;
  readonly methods: MethodTable;
  readonly batches: Batches;
  /** What the clock on the wall says. */
  readonly wall: () => number;
}

export class Submissions {
  readonly #parts: SubmissionParts;
  #isDraining = false;

  constructor(parts: SubmissionParts) {
    this.#parts = parts;
  }

  /** Takes no more. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Stores the task, and answers with its id when that is done. @throws Refusal */
  submit(submission: Submission): void {
    const held = this.#parts.tasks.get(submission.id);
    if (held !== undefined) {
      this.#submittedAgain(submission, held);
      return;
    }
    const { storages } = this.#parts;
    const { owner, options } = submission;
    // What has a key is in one place, or a submission could not know of another one.
    const isKeyed = options.idempotencyKey !== undefined || options.batch !== undefined;
    const storage = isKeyed ? storages.best : storages.for(options.durability ?? "disk");
    if (storage.failure !== undefined) throw new Refusal(storage.failure.code, storage.failure.message);
    // A client that uses both stores may send the same id to the other one.
    const other = storage === storages.memory ? storages.disk : storages.memory;
    const batch = batchOf(submission);
    if (batch !== undefined) this.#joinBatch(submission, storage, batch);
    else if (isKeyed || other === undefined || !owner.levels.has(other.level))
      this.#store(submission, storage);
    else this.#storeIfUnknown(submission, storage, other);
    owner.levels.add(storage.level);
  }

  /** @throws Refusal when there is no room for a task of its own, though it might turn out to be another one */
  #joinBatch(submission: Submission, storage: Storage, batch: string): void {
    this.#checkRoom(submission, storage);
    const wanted = this.#wantedBy(submission);
    this.#parts.batches.join(submission, batch, wanted, (joined) => {
      switch (joined.type) {
        case "new":
          this.#tryToStore(submission, storage, batch);
          break;
        case "known":
          this.#knownBefore(submission, joined.stored);
          break;
        case "same":
          storage.whenStored((failure) => {
            this.#answer(submission, failure === undefined ? { result: joined.task.id } : { error: failure });
          });
          break;
        case "error":
          this.#answer(submission, { error: joined.error });
      }
    });
  }

  #tryToStore(submission: Submission, storage: Storage, batch: string): void {
    try {
      const held = this.#parts.tasks.get(submission.id);
      if (held !== undefined) this.#submittedAgain(submission, held);
      else this.#store(submission, storage, batch);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#answer(submission, error.error);
    }
  }

  #wantedBy({ options, method }: Submission): Wanted {
    const { methods, turn, wall } = this.#parts;
    return {
      dueAt: dueAtOf(options, { now: turn.now, wall: wall() }),
      priority: priorityOf(options, methods.find(method)?.description),
    };
  }

  #storeIfUnknown(submission: Submission, storage: Storage, other: Storage): void {
    other.get([submission.id], (tasks) => {
      const [known] = tasks ?? [];
      const held = this.#parts.tasks.get(submission.id);
      try {
        if (held !== undefined) this.#submittedAgain(submission, held);
        else if (known !== undefined) this.#knownBefore(submission, known);
        else this.#store(submission, storage);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        this.#answer(submission, error.error);
      }
    });
  }

  /** @throws Refusal */
  #checkRoom(
    { owner, method, options: { group = "" }, params }: Submission,
    { level }: Storage,
  ): string | undefined {
    const { backlog, load, methods } = this.#parts;
    backlog.checkRoom();
    const text = params === undefined ? undefined : JSON.stringify(params);
    const refusal = this.#isDraining
      ? stopping()
      : (load.refusal(owner, level, bytesOf(text)) ?? methods.refusal(method, group));
    if (refusal !== undefined) throw refusal;
    return text;
  }

  /** @throws Refusal */
  #store(submission: Submission, storage: Storage, instance?: string): void {
    const { life, methods, turn } = this.#parts;
    const { id, owner, method, params, options } = submission;
    const { level } = storage;
    const text = this.#checkRoom(submission, storage);
    if (level === "disk" && owner.token !== undefined && !owner.isSaved) {
      storage.change({ type: "save-session", id: owner.id, token: owner.token });
      owner.isSaved = true;
    }
    const createdAt = turn.now;
    const wanted = this.#wantedBy(submission);
    const task = {
      id,
      ownerId: owner.id,
      caller: undefined,
      level,
      params,
      options,
      addressee: undefined,
      requestId: null,
      bytes: bytesOf(text),
      createdAt,
      ...wanted,
      instance,
      expiresAt: expiresAtOf(options, { createdAt, dueAt: wanted.dueAt }),
    };
    life.submit(task, methods.lane(method, options.group ?? ""), text, (known, problem) => {
      if (problem !== undefined) this.#answer(submission, { error: problem });
      else if (known !== undefined) this.#knownBefore(submission, known);
      else this.#answer(submission, { result: id });
    });
  }

  /** The task is in memory. It is acknowledged when it is stored, like the first time. */
  #submittedAgain(submission: Submission, task: Task): void {
    const { id, options } = submission;
    if (task.level === undefined) throw new Refusal(ErrorCode.InvalidTaskId, `The task ${id} is a call`);
    this.#checkSame(submission, task.ownerId, task.method.name, () => JSON.stringify(task.params));
    if (options.notify === true && task.options.notify !== true && task.ownerId === submission.owner.id) {
      task.options = { ...task.options, notify: true };
    }
    this.#parts.storages.for(task.level).whenStored((failure) => {
      this.#answer(submission, failure === undefined ? { result: id } : { error: failure });
    });
  }

  #knownBefore(submission: Submission, known: StoredTask): void {
    const { id, owner, options } = submission;
    try {
      this.#checkSame(submission, known.ownerId, known.method, () => known.params);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#answer(submission, error.error);
      return;
    }
    this.#answer(submission, { result: id });
    const { status, ownerId } = known;
    if (isSettled(status) && options.notify === true && ownerId === owner.id) {
      this.#parts.settlement.notifyOwner(owner.id, { id, status, outcome: outcomeOfStored(known) });
    }
  }

  /** @throws Refusal when the id stands for something else */
  #checkSame(
    { id, owner, method, params }: Submission,
    ownerId: string,
    knownMethod: string,
    knownParams: () => string | undefined,
  ): void {
    if (id.startsWith(keyPrefix)) {
      const text = params === undefined ? undefined : JSON.stringify(params);
      if (method === knownMethod && text === knownParams()) return;
      const key = id.slice(keyPrefix.length);
      throw new Refusal(
        ErrorCode.Conflict,
        `The idempotency key ${key} belongs to another task, of ${knownMethod} or with other params`,
      );
    }
    if (ownerId !== owner.id)
      throw new Refusal(ErrorCode.InvalidTaskId, `The task ${id} belongs to another client`);
  }

  #answer({ addressee, requestId }: Submission, outcome: Parameters<typeof respond>[1]): void {
    addressee.deliver(respond(requestId, outcome));
  }
}

/** The error of a task that no store has. */
export function unknownTask(id: string): Refusal {
  return new Refusal(ErrorCode.InvalidTaskId, `No task has the id ${JSON.stringify(id)}`);
}
