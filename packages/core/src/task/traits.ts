// From the options of a task as users write them to the traits that brokers are told.
import { knownOptions, milliseconds, OptionError, positiveInteger } from "../options.ts";
import {
  type BatchRule,
  checkTraits,
  type MethodTraits,
  type SingletonRule,
  traitNames,
} from "../protocol/method-options.ts";
import { groupOption } from "../protocol/task-options.ts";
import { isThenable } from "./calling.ts";
import type { Handler } from "./handler.ts";

/** Names the instance that these params are for: 1 to 200 characters. It gets the params of one call. */
export type NameInstance<Args extends readonly unknown[]> = (...params: Args) => string;

export interface SingletonOptions<Args extends readonly unknown[]> {
  readonly by: NameInstance<Args>;
  /** What becomes of a second one: it ends as `STOPPED`, or waits. @default "stop" */
  readonly mode?: SingletonRule["mode"];
}

export interface BatchOptions {
  /** Most calls in one run. A node collects no more than it has slots. */
  readonly max: number;
  /** How long the first of them waits for others, in milliseconds. @default 0: those that came with it */
  readonly waitMs?: number;
}

/** What holds for all tasks of a method. */
export interface TraitOptions<Args extends readonly unknown[]>
  extends Omit<MethodTraits, "singleton" | "batch"> {
  /**
   * There is one at a time: of the method (`true`, `"queue"`), or of each instance that a function names by the params.
   * A second one ends as `STOPPED`; with `"queue"` it waits. @default false
   */
  readonly singleton?: boolean | "queue" | NameInstance<Args> | SingletonOptions<Args>;
  /**
   * The handler takes many calls in one run: an array of their params, `[[x1], [x2], …]`. It returns an array of as many
   * results in the same order, where an `Error` is the failure of its caller alone.
   */
  readonly batch?: BatchOptions;
}

// biome-ignore lint/suspicious/noExplicitAny: the params of unknown handlers can't be typed otherwise
export type AnyTraitOptions = TraitOptions<any[]>;

export interface Traits {
  readonly traits: MethodTraits;
  /** Where the instances of a singleton are told apart by their params. */
  readonly nameInstance: Handler | undefined;
}

/**
 * @param others the names of further options that may be there
 * @throws OptionError for an unknown name, a value out of range, or options that make no sense together
 */
export function readTraits(options: AnyTraitOptions, others: readonly string[]): Traits {
  knownOptions("task", options, [...others, ...traitNames]);
  const given: { [name: string]: unknown } = {};
  for (const name of traitNames) {
    const value = options[name as keyof AnyTraitOptions];
    if (value !== undefined) given[name] = value;
  }
  const { singleton, batch, ...rest } = given;
  const rule = readSingleton(singleton);
  const traits: MethodTraits = {
    ...rest,
    ...(rule !== undefined && {
      singleton: { by: rule.by === undefined ? "method" : "params", mode: rule.mode },
    }),
    ...(batch !== undefined && { batch: readBatch(batch) }),
  };
  checkTraits(traits);
  checkTogether(traits);
  return { traits, nameInstance: rule?.by };
}

/**
 * @throws TypeError for a promise: which instance is meant has to be known at once
 * @throws OptionError for anything else that is no name for an instance
 */
export function instanceName(method: string, name: unknown): string {
  if (isThenable(name)) {
    // What it becomes is of no interest, and its rejection must not end the process.
    Promise.resolve(name).catch(() => undefined);
    throw new TypeError("Expected `singleton` to return a string, got a promise");
  }
  groupOption(`instance of ${method}`, name);
  return name as string;
}

interface Singleton {
  readonly by: Handler | undefined;
  readonly mode: SingletonRule["mode"];
}

function readSingleton(value: unknown): Singleton | undefined {
  if (value === undefined || value === false) return undefined;
  if (value === true) return { by: undefined, mode: "stop" };
  if (value === "queue") return { by: undefined, mode: "queue" };
  if (typeof value === "function") return { by: value as Handler, mode: "stop" };
  if (typeof value !== "object" || value === null) {
    throw new OptionError("singleton", 'true, "queue", a function of the params, or {by, mode}', value);
  }
  knownOptions("singleton", value, ["by", "mode"]);
  const { by, mode = "stop" } = value as Partial<Singleton>;
  if (typeof by !== "function") throw new OptionError("singleton.by", "a function of the params", by);
  return { by, mode };
}

function readBatch(value: unknown): BatchRule {
  if (typeof value !== "object" || value === null) throw new OptionError("batch", "{max, waitMs}", value);
  knownOptions("batch", value, ["max", "waitMs"]);
  const { max, waitMs = 0 } = value as BatchOptions;
  return { max: positiveInteger("batch.max", max), waitMs: milliseconds("batch.waitMs", waitMs) };
}

function checkTogether({ batch, singleton, coalesce, concurrency, perGroup, timeoutMs }: MethodTraits): void {
  if (coalesce === true && singleton !== undefined) {
    throw new OptionError("coalesce", "left out for a singleton: there is one at a time already", coalesce);
  }
  if (batch === undefined) return;
  // What runs one at a time is never collected: each run would be of one call.
  if (singleton?.by === "method") {
    throw new OptionError(
      "singleton",
      "by params, or none, for a batch handler",
      singleton.mode === "stop" || "queue",
    );
  }
  checkRoom("concurrency", concurrency, batch);
  checkRoom("perGroup.concurrency", perGroup?.concurrency, batch);
  if (timeoutMs !== undefined && timeoutMs <= batch.waitMs) {
    const expected = `more than \`batch.waitMs\` (${batch.waitMs}), as the time of a run includes the wait`;
    throw new OptionError("timeoutMs", expected, timeoutMs);
  }
}

/** A run of as many calls as the batch may have has to be possible. */
function checkRoom(option: string, concurrency: number | undefined, { max }: BatchRule): void {
  if (concurrency === undefined || concurrency >= max) return;
  throw new OptionError(option, `at least \`batch.max\` (${max}), as it counts calls, not runs`, concurrency);
}
