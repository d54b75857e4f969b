// What clients ask about tasks that failed: which they are, and that they are run once more.
import { BrokerMethod, describe, ErrorCode, type ErrorObject, type Outcome, respond } from "zerotask-core";
import { parseFailedPlace } from "../storage/failed-place.ts";
import type { Storages } from "../storage/storages.ts";
import {
  type Durability,
  type FailedFilter,
  isFailed,
  type StoredTask,
  type TaskPage,
} from "../storage/stored-task.ts";
import type { Revival } from "../tasks/revival.ts";
import { unknownTask } from "../tasks/submissions.ts";
import { viewOfStored } from "../tasks/task-record.ts";
import { type Command, type CommandHandler, type ParamReader, Refusal } from "./command.ts";

export interface FailedCommandParts {
  readonly storages: Storages;
  readonly revival: Revival;
}

const defaultLimit = 100;
const maxLimit = 1_000;
const filterNames = ["method", "from", "to", "error"];

type Then = (page: TaskPage, next: string | null, failure: ErrorObject | undefined) => void;

export class FailedCommands {
  readonly #parts: FailedCommandParts;

  constructor(parts: FailedCommandParts) {
    this.#parts = parts;
  }

  /** Each command with the names of its params, in order. */
  table(): [string, readonly string[], CommandHandler][] {
    return [
      [BrokerMethod.FailedList, [...filterNames, "after", "limit"], (...a) => this.#list(...a)],
      [BrokerMethod.FailedRetry, ["task_id"], (...a) => this.#retry(...a)],
      [BrokerMethod.FailedRetryAll, [...filterNames, "after"], (...a) => this.#retryAll(...a)],
    ];
  }

  #list(command: Command, read: ParamReader): undefined {
    const asked = read.has("limit") ? read.count("limit") : defaultLimit;
    const limit = Math.min(maxLimit, Math.max(1, asked));
    this.#page(readFilter(read, limit), readPlace(read), ({ tasks }, next, failure) => {
      if (failure !== undefined) answer(command, { error: failure });
      else answer(command, { result: { tasks: tasks.map(describeFailed), next } });
    });
    return undefined;
  }

  #retry(command: Command, read: ParamReader): undefined {
    const id = read.string("task_id");
    const { revival, storages } = this.#parts;
    storages.find(id, (stored, level, failure) => {
      try {
        if (failure !== undefined) throw new Refusal(failure.code, failure.message);
        if (stored === undefined) throw unknownTask(id);
        if (!isFailed(stored)) {
          const message = `Expected a task that is FAILED or EXPIRED, got one that is ${stored.status}`;
          throw new Refusal(ErrorCode.InvalidTaskId, message);
        }
        revival.revive(stored, level, (isRevived, failure) => {
          if (failure !== undefined) answer(command, { error: failure });
          // Its record may have been taken away, or gone over its time, before it was put back.
          else answer(command, isRevived ? { result: true } : unknownTask(id).error);
        });
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        answer(command, error.error);
      }
    });
    return undefined;
  }

  #retryAll(command: Command, read: ParamReader): undefined {
    const place = readPlace(read);
    const { revival } = this.#parts;
    this.#page(readFilter(read, maxLimit), place, ({ tasks }, next, failure) => {
      if (failure !== undefined) {
        answer(command, { error: failure });
        return;
      }
      const level = this.#levelOf(place);
      let [asked, retried] = [0, 0];
      let goOnAt = next;
      try {
        for (const task of tasks) {
          if (revival.isReviving(task.id)) continue;
          revival.revive(task, level, (isRevived) => {
            if (isRevived) retried++;
          });
          asked++;
        }
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        if (asked === 0) {
          answer(command, error.error);
          return;
        }
        // The same page once more: those that are put back are none of it any more.
        goOnAt = `${level}/${place.after ?? ""}`;
      }
      this.#parts.storages.for(level).whenStored((failure) => {
        answer(command, failure === undefined ? { result: { retried, next: goOnAt } } : { error: failure });
      });
    });
    return undefined;
  }

  /** A page of one store after the other, the safest first. */
  #page(filter: FailedFilter, place: Place, then: Then): void {
    const level = this.#levelOf(place);
    const { best, memory } = this.#parts.storages;
    const asked = place.after === undefined ? filter : { ...filter, after: place.after };
    this.#parts.storages.for(level).failed(asked, (page, failure) => {
      const hasOther = level !== memory.level && best !== memory;
      const next = page?.next !== undefined ? `${level}/${page.next}` : hasOther ? `${memory.level}/` : null;
      then(page ?? { tasks: [], next: undefined }, next, failure);
    });
  }

  #levelOf({ level }: Place): Durability {
    return level ?? this.#parts.storages.best.level;
  }
}

/** Where to go on: in which store, and after what there. */
interface Place {
  readonly level: Durability | undefined;
  readonly after: string | undefined;
}

const places = /^(memory|disk)\/(.+)?$/;

function readPlace(read: ParamReader): Place {
  if (!read.has("after")) return { level: undefined, after: undefined };
  const text = read.string("after");
  const [, level, after] = places.exec(text) ?? [];
  if (level === undefined || (after !== undefined && parseFailedPlace(after) === undefined)) {
    const message = `Expected \`after\` to be the \`next\` of a page, got ${describe(text)}`;
    throw new Refusal(ErrorCode.InvalidParams, message);
  }
  return { level: level as Durability, after };
}

function readFilter(read: ParamReader, limit: number): FailedFilter {
  return {
    limit,
    ...(read.has("method") && { method: read.string("method") }),
    ...(read.has("from") && { from: read.count("from") }),
    ...(read.has("to") && { to: read.count("to") }),
    ...(read.has("error") && { error: read.string("error") }),
  };
}

function describeFailed(stored: StoredTask): object {
  const view = viewOfStored(stored, "memory");
  const { settledAt = 0, outcome } = view;
  return {
    task_id: view.id,
    client_id: view.ownerId,
    method: view.method,
    params: view.params ?? null,
    status: view.status,
    attempt: view.attempt,
    failures: view.failures,
    created_at: Math.round(view.createdAt),
    settled_at: Math.round(settledAt),
    ...outcome,
  };
}

function answer({ addressee, requestId }: Command, outcome: Outcome): void {
  addressee.deliver(respond(requestId, outcome));
}
