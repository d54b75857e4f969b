// The store on disk, as the broker's thread sees it: every request goes to a thread that writes, in order.
import { join, resolve } from "node:path";
import { knownOptions, OptionError } from "zerotask-core";
import { encodeFailedPlace } from "../state/storage/failed-place.ts";
import type {
  Claim,
  Claimed,
  ClaimedByTime,
  CommitResult,
  FailedFilter,
  StoreChange,
  StoredTask,
  StoreSummary,
  Taken,
  TaskPage,
} from "../state/storage/stored-task.ts";
import { failedStart, pageStart } from "./page-start.ts";
import {
  type Answers,
  decodeName,
  encodeName,
  flattenChanges,
  type Request,
  unflattenTasks,
} from "./sqlite-messages.ts";
import { SqliteThread } from "./sqlite-thread.ts";
import { type Store, StoreError, type TaskCount, type TaskFilter } from "./store.ts";

export interface SqliteStoreOptions {
  /** Most bytes of the data file, at least 1 MiB; the log beside it takes some more. @default no bound */
  readonly maxBytes?: number;
}

const minMaxBytes = 1_048_576;

/**
 * A store in the file `tasks.db` in `folder`, which `open` makes if it is not there. What is committed is on disk.
 * @throws OptionError when an option is wrong
 */
export function sqliteStore(folder: string, options: SqliteStoreOptions = {}): Store {
  if (typeof folder !== "string" || folder === "") {
    throw new OptionError("folder", "the path of a directory", folder);
  }
  knownOptions("sqliteStore", options, ["maxBytes"]);
  const { maxBytes } = options;
  if (maxBytes !== undefined && !(Number.isSafeInteger(maxBytes) && maxBytes >= minMaxBytes)) {
    throw new OptionError("maxBytes", `an integer of ${minMaxBytes} or more`, maxBytes);
  }
  return new SqliteStore(resolve(folder), maxBytes);
}

class SqliteStore implements Store {
  readonly durability = "disk";
  readonly location: string;
  readonly #folder: string;
  readonly #maxBytes: number | undefined;
  #thread: SqliteThread | undefined;

  constructor(folder: string, maxBytes: number | undefined) {
    this.#folder = folder;
    this.location = join(folder, "tasks.db");
    this.#maxBytes = maxBytes;
  }

  async open(): Promise<StoreSummary> {
    if (this.#thread !== undefined) throw new StoreError(`${this.#folder} is open already`);
    const thread = new SqliteThread(this.#folder);
    this.#thread = thread;
    try {
      const summary = await thread.ask({ type: "open", folder: this.#folder, maxBytes: this.#maxBytes });
      const backlog = summary.backlog.map(({ method, group, ...of }) => ({
        method: decodeName(method),
        group: decodeName(group),
        ...of,
      }));
      const items = summary.items.map(({ kind, name, value }) => ({
        kind,
        name: decodeName(name),
        value: decodeName(value),
      }));
      const sessions = summary.sessions.map(({ id, token }) => ({
        id: decodeName(id),
        token: decodeName(token),
      }));
      return { ...summary, backlog, items, sessions };
    } catch (error) {
      this.#thread = undefined;
      await thread.ended;
      throw error;
    }
  }

  async commit(changes: readonly StoreChange[]): Promise<CommitResult> {
    const { known, revived, ...rest } = await this.#ask({
      type: "commit",
      changes: flattenChanges(changes),
    });
    return { ...rest, known: unflattenTasks(known), revived: revived.map(decodeName) };
  }

  async claim(claim: Claim): Promise<Claimed> {
    const method = encodeName(claim.method);
    const groups = claim.groups.map(encodeName);
    const { tasks, left } = await this.#ask({ type: "claim", claim: { ...claim, method, groups } });
    return {
      tasks: unflattenTasks(tasks),
      left: left.map(([group, rank]) => [decodeName(group), rank] as const),
    };
  }

  async claimDue(now: number, limit: number): Promise<ClaimedByTime> {
    const { tasks, nextAt } = await this.#ask({ type: "claimDue", now, limit });
    return { tasks: unflattenTasks(tasks), nextAt };
  }

  async claimExpired(now: number, limit: number): Promise<ClaimedByTime> {
    const { tasks, nextAt } = await this.#ask({ type: "claimExpired", now, limit });
    return { tasks: unflattenTasks(tasks), nextAt };
  }

  async take(ids: readonly string[]): Promise<readonly Taken[]> {
    return taken(await this.#ask({ type: "take", ids: ids.map(encodeName) }));
  }

  async takeInstance(instance: string): Promise<readonly Taken[]> {
    return taken(await this.#ask({ type: "takeInstance", instance: encodeName(instance) }));
  }

  async get(ids: readonly string[]): Promise<readonly StoredTask[]> {
    return unflattenTasks(await this.#ask({ type: "get", ids: ids.map(encodeName) }));
  }

  countBefore(id: string): Promise<number> {
    return this.#ask({ type: "countBefore", id: encodeName(id) });
  }

  async failed({ after, method, error, ...filter }: FailedFilter): Promise<TaskPage> {
    const encoded = {
      ...filter,
      ...(method !== undefined && { method: encodeName(method) }),
      ...(error !== undefined && { error: JSON.stringify(error).slice(1, -1) }),
    };
    const { tasks, next } = await this.#ask({ type: "failed", filter: encoded, before: failedStart(after) });
    return { tasks: unflattenTasks(tasks), next: next === undefined ? undefined : encodeFailedPlace(next) };
  }

  async list({ after, ...filter }: TaskFilter): Promise<TaskPage> {
    const named = filter.method === undefined ? filter : { ...filter, method: encodeName(filter.method) };
    const { tasks, next } = await this.#ask({ type: "list", filter: named, after: pageStart(after) });
    return { tasks: unflattenTasks(tasks), next: next === undefined ? undefined : String(next) };
  }

  async counts(): Promise<readonly TaskCount[]> {
    const counts = await this.#ask({ type: "counts" });
    return counts.map(({ method, ...of }) => ({ method: decodeName(method), ...of }));
  }

  async close(): Promise<void> {
    const thread = this.#thread;
    if (thread === undefined) return;
    this.#thread = undefined;
    await thread.ask({ type: "close" });
    await thread.ended;
  }

  async #ask<R extends Request>(request: R): Promise<Answers[R["type"]]> {
    if (this.#thread === undefined) throw new StoreError(`Can't use ${this.#folder}: it is not open`);
    return this.#thread.ask(request);
  }
}

function taken({ tasks, isTaken }: Answers["take"]): Taken[] {
  return unflattenTasks(tasks).map((task, i) => ({ task, isTaken: isTaken[i] === true }));
}
