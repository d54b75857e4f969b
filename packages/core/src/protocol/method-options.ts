// What a method says of all its tasks: how they are run, how many at once, and which of them are one.
import { milliseconds, positiveInteger } from "../options.ts";
import { booleanOption, OptionTable, oneOf } from "./option-table.ts";
import { priorityOption, type RunOptions, runEntries } from "./task-options.ts";
import { type RateText, rateOption } from "./when.ts";

/** How much of something may be done, over all nodes. Tasks over a limit wait; other methods go on. */
export interface Limits {
  /** How many run at once. @default no limit */
  readonly concurrency?: number;
  /** How many begin within a time, such as `"100/min"`. @default no limit */
  readonly rate?: RateText;
}

export interface MethodLimits extends Limits {
  /** What holds for each group of the method. */
  readonly perGroup?: Limits;
}

/** Of what there is one instance at a time, and what becomes of a second one. */
export interface SingletonRule {
  /** The method, or what the node that serves it makes of the params. */
  readonly by: "method" | "params";
  /** A second one ends as `STOPPED`, or waits. */
  readonly mode: "stop" | "queue";
}

/** How a handler takes many tasks in one run. */
export interface BatchRule {
  /** At most so many. */
  readonly max: number;
  /** How long the first of them waits for others. @default 0: those that are there */
  readonly waitMs: number;
}

/** What a method says of its tasks, as brokers are told. */
export interface MethodTraits extends RunOptions, MethodLimits {
  /** The priority of tasks that have none of their own. @default 0 */
  readonly priority?: number;
  readonly singleton?: SingletonRule;
  /** Tasks with equal params that wait or run at the same time are one run, whose outcome all get. */
  readonly coalesce?: boolean;
  readonly batch?: BatchRule;
}

const limitEntries = { concurrency: positiveInteger, rate: rateOption };
const methodLimitEntries = { ...limitEntries, perGroup: new OptionTable<Limits>("limit", limitEntries) };

/** The limits of a method. */
export const limitsTable: OptionTable<MethodLimits> = new OptionTable<MethodLimits>(
  "limit",
  methodLimitEntries,
);

const traitsTable = new OptionTable<MethodTraits>("option of a method", {
  ...runEntries,
  ...methodLimitEntries,
  priority: priorityOption,
  singleton: new OptionTable<SingletonRule>("option of a singleton", {
    by: oneOf("method", "params"),
    mode: oneOf("stop", "queue"),
  }),
  coalesce: booleanOption,
  batch: new OptionTable<BatchRule>("option of a batch", { max: positiveInteger, waitMs: milliseconds }),
});

export const traitNames: readonly string[] = traitsTable.names;

/** @throws OptionError for a value out of range; names that are none of a method's traits are passed over */
export function checkTraits(traits: MethodTraits): void {
  traitsTable.check(traits);
}

/** @throws OptionError for an unknown name, or a value out of range */
export function traitsFromWire(wire: { readonly [name: string]: unknown }): MethodTraits {
  return traitsTable.fromWire(wire);
}

export function traitsToWire(traits: MethodTraits): { readonly [name: string]: unknown } {
  return traitsTable.toWire(traits);
}
