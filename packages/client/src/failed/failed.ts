// `client.$failed`: what became of tasks that failed, and how they are tried once more.
import {
  BrokerMethod,
  type ErrorObject,
  errorFromWire,
  knownOptions,
  OptionError,
  type Params,
  positiveInteger,
  type TaskStatus,
  type ZeroTaskError,
} from "zerotask-core";
import type { Session } from "../session.ts";

/** Which failed tasks are meant: all, unless something is said. */
export interface FailedFilter {
  readonly method?: string;
  /** Settled then or later: a `Date`, or milliseconds since the epoch. */
  readonly from?: Date | number;
  /** Settled before then. */
  readonly to?: Date | number;
  /** Text that the error contains. */
  readonly error?: string;
}

export interface FailedListOptions extends FailedFilter {
  /** How many tasks a page has at most, up to 1,000. @default 100 */
  readonly limit?: number;
  /** The `next` of the page before. */
  readonly after?: string;
}

/** A task whose outcome is an error. */
export interface FailedTask {
  readonly id: string;
  /** Whose task it is. */
  readonly clientId: string;
  readonly method: string;
  readonly params: Params;
  readonly status: TaskStatus;
  /** How often it was given to a node, and how many of these runs failed. */
  readonly attempts: number;
  readonly failures: number;
  readonly createdAt: Date;
  readonly settledAt: Date;
  /** What its client gets, or got. */
  readonly error: ZeroTaskError;
}

export interface FailedPage {
  readonly tasks: FailedTask[];
  /** What the next page comes `after`; `undefined` when this one is the last. */
  readonly next: string | undefined;
}

/** Failed tasks are there for as long as the broker keeps them. */
export interface FailedControls {
  /** One page of them. Rejects with `OptionError` for what can't be right. */
  list(options?: FailedListOptions): Promise<FailedPage>;
  /** All of them, however many pages that is: `for await (const task of client.$failed.all())`. */
  all(filter?: FailedFilter): AsyncIterable<FailedTask>;
  /**
   * Runs a failed task again, under its id. Rejects with `UnknownTaskError` where there is none. A handle that was made
   * before keeps the outcome that it knows; one that `later.$handle(id)` makes now waits for the new one.
   */
  retry(id: string): Promise<void>;
  /** Runs them again. @returns how many */
  retryAll(filter?: FailedFilter): Promise<number>;
}

interface WireFailedTask {
  readonly task_id: string;
  readonly client_id: string;
  readonly method: string;
  readonly params?: Params | null;
  readonly status: TaskStatus;
  readonly attempt: number;
  readonly failures: number;
  readonly created_at: number;
  readonly settled_at: number;
  readonly error: ErrorObject;
}

interface WirePage {
  readonly tasks: readonly WireFailedTask[];
  readonly next: string | null;
}

const filterNames = ["method", "from", "to", "error"];
const listNames = [...filterNames, "limit", "after"];

export function failedOf(session: Session): FailedControls {
  const list = async (options: FailedListOptions = {}): Promise<FailedPage> => {
    const answer = await session.request(BrokerMethod.FailedList, listToWire(options));
    const { tasks, next } = answer as WirePage;
    return { tasks: tasks.map(failedFromWire), next: next ?? undefined };
  };
  return {
    list,
    all: (filter = {}) => allPages((after) => list({ ...filter, ...(after !== undefined && { after }) })),
    retry: async (id) => {
      if (typeof id !== "string" || id === "") throw new OptionError("id", "a task's id", id);
      await session.request(BrokerMethod.FailedRetry, { task_id: id });
    },
    retryAll: async (filter = {}) => {
      const wire = filterToWire(filter);
      let total = 0;
      let after: string | null = null;
      do {
        const params: Params = after === null ? wire : { ...wire, after };
        const answer = await session.request(BrokerMethod.FailedRetryAll, params);
        const { retried, next } = answer as { readonly retried: number; readonly next: string | null };
        total += retried;
        after = next;
      } while (after !== null);
      return total;
    },
  };
}

async function* allPages(
  page: (after: string | undefined) => Promise<FailedPage>,
): AsyncGenerator<FailedTask, void, undefined> {
  let after: string | undefined;
  do {
    const { tasks, next } = await page(after);
    yield* tasks;
    after = next;
  } while (after !== undefined);
}

type Wire = { readonly [name: string]: unknown };

function listToWire(options: FailedListOptions): Wire {
  knownOptions("failed", options, listNames);
  const { limit, after, ...filter } = options;
  if (limit !== undefined) positiveInteger("limit", limit);
  textOption("after", after);
  return {
    ...filterToWire(filter),
    ...(limit !== undefined && { limit }),
    ...(after !== undefined && { after }),
  };
}

function filterToWire(filter: FailedFilter): Wire {
  knownOptions("failed", filter, filterNames);
  const { method, from, to, error } = filter;
  textOption("method", method);
  textOption("error", error);
  return {
    ...(method !== undefined && { method }),
    ...(from !== undefined && { from: timeOption("from", from) }),
    ...(to !== undefined && { to: timeOption("to", to) }),
    ...(error !== undefined && { error }),
  };
}

function textOption(option: string, value: unknown): void {
  if (value !== undefined && typeof value !== "string") throw new OptionError(option, "a string", value);
}

function timeOption(option: string, time: unknown): number {
  // Nothing was settled before 1970.
  const ms = time instanceof Date ? Math.max(0, time.getTime()) : time;
  if (typeof ms === "number" && Number.isFinite(ms) && ms >= 0) return Math.round(ms);
  throw new OptionError(option, "a Date, or milliseconds since the epoch", time);
}

function failedFromWire(wire: WireFailedTask): FailedTask {
  return {
    id: wire.task_id,
    clientId: wire.client_id,
    method: wire.method,
    params: wire.params ?? [],
    status: wire.status,
    attempts: wire.attempt,
    failures: wire.failures,
    createdAt: new Date(wire.created_at),
    settledAt: new Date(wire.settled_at),
    error: errorFromWire(wire.error),
  };
}
