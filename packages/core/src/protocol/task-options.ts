// What can be asked of a task beside its method and params: checked once for options and for the wire alike.
import { knownOptions, milliseconds, nonNegativeInteger, OptionError, positiveInteger } from "../options.ts";

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
  readonly backoff?: Partial<Backoff>;
  /** How long one run may take: then the handler's signal fires, and the outcome is `TaskExpiredError`. @default no bound */
  readonly timeoutMs?: number;
}

/** How one task is submitted. */
export interface SubmitOptions extends RunOptions {
  /** How safe it has to be before it is acknowledged. @default "disk" for submitted tasks, "memory" for calls */
  readonly durability?: "memory" | "disk";
  /** How long it may wait for its first run: then the outcome is `TaskExpiredError`. @default no bound */
  readonly expiresMs?: number;
  /**
   * Tasks with the same key are the same task, whoever submits it; they are always stored as safely as the broker
   * can. 1 to 100 visible ASCII characters without "#".
   */
  readonly idempotencyKey?: string;
}

/** What a submission on the wire can say, with its names there. */
export interface WireOptions extends SubmitOptions {
  /** Push `task_settled` to the owner. */
  readonly notify?: boolean;
  /** Keep no outcome. */
  readonly discard?: boolean;
}

export const defaultBackoff: Backoff = { initialMs: 1_000, factor: 2, maxMs: 300_000, jitter: 0.5 };

type Check = (option: string, value: never) => unknown;

const backoffChecks: { readonly [Name in keyof Backoff]: Check } = {
  initialMs: milliseconds,
  factor: (option, value) => numberFrom(option, value, 1, 100),
  maxMs: milliseconds,
  jitter: (option, value) => numberFrom(option, value, 0, 1),
};

const runChecks: { readonly [Name in keyof RunOptions]-?: Check } = {
  retries: nonNegativeInteger,
  backoff: checkBackoff,
  timeoutMs: positiveInteger,
};

const submitChecks: { readonly [Name in keyof SubmitOptions]-?: Check } = {
  ...runChecks,
  durability: checkDurability,
  expiresMs: positiveInteger,
  idempotencyKey: checkKey,
};

const wireChecks: { readonly [Name in keyof WireOptions]-?: Check } = {
  ...submitChecks,
  notify: checkBoolean,
  discard: checkBoolean,
};

export const runOptionNames: readonly string[] = Object.keys(runChecks);
export const submitOptionNames: readonly string[] = Object.keys(submitChecks);

interface WireName {
  readonly name: string;
  readonly check: Check;
}

const runWireNames = wireNames(runChecks);
const taskWireNames = wireNames(wireChecks);
const backoffWireNames = wireNames(backoffChecks);

/** @throws OptionError for a value out of range; names that are no submit options are passed over */
export function checkSubmitOptions(options: SubmitOptions): void {
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined) submitChecks[name as keyof SubmitOptions]?.(name, value as never);
  }
}

/** @throws OptionError for an unknown name, or a value out of range */
export function runOptionsFromWire(wire: { readonly [name: string]: unknown }): RunOptions {
  return fromWire(wire, runWireNames, "option of a method");
}

/** @throws OptionError for an unknown name, or a value out of range */
export function wireOptionsFromWire(wire: { readonly [name: string]: unknown }): WireOptions {
  return fromWire(wire, taskWireNames, "option of a task");
}

/** With names as they are on the wire: `timeout_ms`. What is not set is left out. */
export function optionsToWire(options: WireOptions): { readonly [name: string]: unknown } {
  const wire: { [name: string]: unknown } = {};
  for (const [wireName, { name }] of taskWireNames) {
    const value = options[name as keyof WireOptions];
    if (value !== undefined) wire[wireName] = name === "backoff" ? backoffToWire(value as object) : value;
  }
  return wire;
}

function wireNames(checks: { readonly [name: string]: Check }): ReadonlyMap<string, WireName> {
  const toWireName = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return new Map(Object.entries(checks).map(([name, check]) => [toWireName(name), { name, check }]));
}

function fromWire(
  wire: { readonly [name: string]: unknown },
  names: ReadonlyMap<string, WireName>,
  what: string,
): object {
  const options: { [name: string]: unknown } = {};
  for (const wireName of Object.keys(wire)) {
    const known = names.get(wireName);
    if (known === undefined) throw new OptionError(what, `one of ${[...names.keys()].join(", ")}`, wireName);
    const value = wire[wireName];
    if (value === undefined || value === null) continue;
    const read = wireName === "backoff" ? backoffFromWire(value) : value;
    known.check(wireName, read as never);
    options[known.name] = read;
  }
  return options;
}

function backoffFromWire(value: unknown): object {
  if (typeof value !== "object" || value === null) throw new OptionError("backoff", "an object", value);
  return fromWire(value as { [name: string]: unknown }, backoffWireNames, "option of backoff");
}

function backoffToWire(backoff: object): object {
  const wire: { [name: string]: unknown } = {};
  for (const [wireName, { name }] of backoffWireNames) {
    const value = backoff[name as keyof typeof backoff];
    if (value !== undefined) wire[wireName] = value;
  }
  return wire;
}

function checkBackoff(option: string, value: unknown): void {
  if (typeof value !== "object" || value === null) throw new OptionError(option, "an object", value);
  knownOptions(option, value, Object.keys(backoffChecks));
  for (const [name, item] of Object.entries(value)) {
    if (item !== undefined) backoffChecks[name as keyof Backoff](`${option}.${name}`, item as never);
  }
}

function checkDurability(option: string, value: unknown): void {
  if (value !== "memory" && value !== "disk") throw new OptionError(option, '"memory" or "disk"', value);
}

function checkKey(option: string, value: unknown): void {
  if (typeof value !== "string" || !/^[\x21-\x22\x24-\x7e]{1,100}$/.test(value)) {
    throw new OptionError(option, 'a string of 1 to 100 visible ASCII characters without "#"', value);
  }
}

function checkBoolean(option: string, value: unknown): void {
  if (typeof value !== "boolean") throw new OptionError(option, "true or false", value);
}

function numberFrom(option: string, value: unknown, least: number, most: number): void {
  if (typeof value !== "number" || !(value >= least && value <= most)) {
    throw new OptionError(option, `a number from ${least} to ${most}`, value);
  }
}
