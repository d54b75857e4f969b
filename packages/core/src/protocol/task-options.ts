// What can be asked of a task beside its method and params: checked once for options and for the wire alike.
import { milliseconds, nonNegativeInteger, OptionError, positiveInteger } from "../options.ts";
import {
  booleanOption,
  type Entries,
  integerFrom,
  nameOption,
  numberFrom,
  OptionTable,
  oneOf,
} from "./option-table.ts";
import { type StreamShape, streamTable } from "./streams.ts";
import { mostSpanMs, type When, whenOption } from "./when.ts";

/** How long to wait before the next run of a task that failed: `initialMs * factor ** (failures - 1)`, at most `maxMs`. */
export interface Backoff {
  /** Wait after the first failure. @default 1,000 */
  readonly initialMs: number;
  /** How much longer each further wait is. @default 2 */
  readonly factor: number;
  /** @default 300,000 */
  readonly maxMs: number;
  /** Which share of the wait is random, from 0 to 1: tasks that failed together must not come back together. @default 0.5 */
  readonly jitter: number;
}

/** How a task is run, whoever asks for it. */
export interface RunOptions {
  /** How often it is run again when its handler fails or takes too long. @default 0 */
  readonly retries?: number;
  /** How often its handler may ask for another run with a `RetryError`. @default 1,000 */
  readonly maxRetries?: number;
  readonly backoff?: Partial<Backoff>;
  /** How long one run may take: then the handler's signal fires, and the outcome is `TaskExpiredError`. @default no bound */
  readonly timeoutMs?: number;
}

/** What is the same for the options of a submission and for the wire. */
interface CommonOptions extends RunOptions {
  /** How safe it has to be before it is acknowledged. @default "disk" for submitted tasks, "memory" for calls */
  readonly durability?: "memory" | "disk";
  /** How long it may wait for its first run: then the outcome is `TaskExpiredError`. @default no bound */
  readonly expiresMs?: number;
  /**
   * Tasks with the same key are the same task, whoever submits it; they are always stored as safely as the broker
   * can. 1 to 100 visible ASCII characters without "#".
   */
  readonly idempotencyKey?: string;
  /**
   * Higher runs first, from -100 to 100; among equals, what was due first. One level more counts as much as having
   * waited a minute longer, so that nothing waits for ever. @default 0
   */
  readonly priority?: number;
  /**
   * Groups of one method take turns, however much each has queued: 1 to 200 characters. What has none is a group of
   * its own.
   */
  readonly group?: string;
  /**
   * Joins a batch: while a task of the same name (or, for `true`, of the same method and params) has not begun, no
   * second one is made; while one runs, one more waits. At most one of them runs at a time.
   */
  readonly batch?: true | string;
}

/** How one task is submitted. */
export interface SubmitOptions extends CommonOptions {
  /** When it is to run, at the earliest. Until then it is `SCHEDULED`. @default "now" */
  readonly at?: When;
}

/** What a submission on the wire can say, with its names there. */
export interface WireOptions extends CommonOptions {
  /** When it is to run by the broker's clock, in milliseconds since the epoch. */
  readonly at?: number;
  /** How long from now it is to run. */
  readonly delayMs?: number;
  /** Push `task_settled` to the owner. */
  readonly notify?: boolean;
  /** Keep no outcome. */
  readonly discard?: boolean;
  /** The task that all began with. */
  readonly trace?: string;
  /** How much time it has in all, from when it is taken: nobody waits for it any longer. */
  readonly deadlineMs?: number;
  /** Which streams it has: only of calls. */
  readonly stream?: StreamShape;
}

export const defaultBackoff: Backoff = { initialMs: 1_000, factor: 2, maxMs: 300_000, jitter: 0.5 };
export const defaultMaxRetries = 1_000;

const mostPriority = 100;

/** A priority. @throws OptionError */
export const priorityOption: (option: string, value: unknown) => void = integerFrom(
  -mostPriority,
  mostPriority,
);
/** The name of a group, or of what there is one of. @throws OptionError */
export const groupOption: (option: string, value: unknown) => void = nameOption(200);

const backoffTable = new OptionTable<Backoff>("option of backoff", {
  initialMs: milliseconds,
  factor: numberFrom(1, 100),
  maxMs: milliseconds,
  jitter: numberFrom(0, 1),
});

/** The entries of `RunOptions`, for the tables of all that can be told how a task is run. */
export const runEntries: Entries<RunOptions> = {
  retries: nonNegativeInteger,
  maxRetries: nonNegativeInteger,
  backoff: backoffTable,
  timeoutMs: positiveInteger,
};

const commonEntries = {
  ...runEntries,
  durability: oneOf("memory", "disk"),
  expiresMs: positiveInteger,
  idempotencyKey: checkKey,
  priority: priorityOption,
  group: groupOption,
  batch: checkBatch,
};

const submitTable = new OptionTable<SubmitOptions>("option of a task", {
  ...commonEntries,
  at: whenOption,
});

const wireTable = new OptionTable<WireOptions>("option of a task", {
  ...commonEntries,
  at: numberFrom(0, 8.64e15),
  delayMs: numberFrom(0, mostSpanMs),
  notify: booleanOption,
  discard: booleanOption,
  trace: nameOption(256),
  deadlineMs: positiveInteger,
  stream: streamTable,
});

export const submitOptionNames: readonly string[] = submitTable.names;

/** @throws OptionError for a value out of range; names that are no submit options are passed over */
export function checkSubmitOptions(options: SubmitOptions): void {
  submitTable.check(options);
}

/** @throws OptionError for an unknown name, or a value out of range */
export function wireOptionsFromWire(wire: { readonly [name: string]: unknown }): WireOptions {
  return wireTable.fromWire(wire);
}

/** With names as they are on the wire: `timeout_ms`. What is not set is left out. */
export function optionsToWire(
  options: SubmitOptions & Pick<WireOptions, "notify" | "discard" | "trace" | "deadlineMs" | "stream">,
): {
  readonly [name: string]: unknown;
} {
  const { at, ...others } = options;
  return wireTable.toWire(at === undefined ? others : { ...others, ...whenOption("at", at) });
}

function checkKey(option: string, value: unknown): void {
  if (typeof value !== "string" || !/^[\x21-\x22\x24-\x7e]{1,100}$/.test(value)) {
    throw new OptionError(option, 'a string of 1 to 100 visible ASCII characters without "#"', value);
  }
}

function checkBatch(option: string, value: unknown): void {
  if (value === true) return;
  if (typeof value !== "string" || value.length < 1 || value.length > 200) {
    throw new OptionError(option, "true or a string of 1 to 200 characters", value);
  }
}
