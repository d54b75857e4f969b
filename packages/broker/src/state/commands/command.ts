// What a command of the protocol gets, and how it reads its params and refuses.
import {
  describe,
  ErrorCode,
  errorObject,
  OptionError,
  type Outcome,
  type Params,
  type RequestId,
} from "zerotask-core";
import type { Allowance } from "../events/journal.ts";
import type { Addressee } from "../peers/addressee.ts";
import type { Session } from "../peers/sessions.ts";

/** One request to the broker itself. */
export interface Command {
  readonly peer: string;
  /** Whether this connection is of a kind that sessions can be on. */
  readonly mayHaveSession: boolean;
  /** The session on this connection, if any. */
  readonly session: Session | undefined;
  readonly addressee: Addressee;
  readonly requestId: RequestId;
  readonly params: Params | undefined;
  readonly bytes: number;
  /** How much all that one message asks for may still read of events and lines, whenever it is answered. */
  readonly allowance: Allowance;
}

/** An outcome, or `undefined` when the addressee gets its response later. */
export type CommandResult = Outcome | undefined;
export type CommandHandler = (command: Command, read: ParamReader) => CommandResult;

/** A command can't be done; `error` is what the peer gets. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly error: Outcome;

  constructor(code: number, message: string, data?: unknown) {
    super(message);
    this.error = { error: errorObject(code, message, data) };
  }
}

/** Reads params that came by position or by name. A wrong type is refused with what was expected and what came. */
export class ParamReader {
  readonly #params: { readonly [name: string]: unknown } | readonly unknown[];
  readonly #names: readonly string[];

  constructor(params: Params | undefined, names: readonly string[]) {
    this.#params = params ?? [];
    this.#names = names;
    checkNames(this.#params, names);
  }

  has(name: string): boolean {
    const value = this.value(name);
    return value !== undefined && value !== null;
  }

  value(name: string): unknown {
    const params = this.#params;
    if (isArray(params)) return params[this.#names.indexOf(name)];
    return Object.hasOwn(params, name) ? params[name] : undefined;
  }

  string(name: string): string {
    return this.#read(name, "a string", (value): value is string => typeof value === "string");
  }

  /** An integer of 0 or more. */
  count(name: string): number {
    const isCount = (value: unknown): value is number =>
      Number.isSafeInteger(value) && (value as number) >= 0;
    return this.#read(name, "an integer of 0 or more", isCount);
  }

  /** `true` or `false`, which it is where there is none. */
  flag(name: string): boolean {
    if (!this.has(name)) return false;
    return this.#read(name, "true or false", (value): value is boolean => typeof value === "boolean");
  }

  /** The params of a task: an array, an object, or nothing. */
  taskParams(name: string): Params | undefined {
    if (!this.has(name)) return undefined;
    return this.#read(name, "an array or an object", (value): value is Params => typeof value === "object");
  }

  /** What `read` makes of an object; an `OptionError` of it is refused as such. */
  options<T>(name: string, read: (value: { readonly [name: string]: unknown }) => T): T {
    try {
      return read(this.object(name));
    } catch (error) {
      if (error instanceof OptionError) throw new Refusal(ErrorCode.InvalidParams, error.message);
      throw error;
    }
  }

  object(name: string): { readonly [name: string]: unknown } {
    if (!this.has(name)) return {};
    return this.#read(
      name,
      "an object",
      (value): value is { [name: string]: unknown } => typeof value === "object" && !Array.isArray(value),
    );
  }

  array(name: string): readonly unknown[] {
    return this.has(name)
      ? this.#read(name, "an array", (value): value is unknown[] => Array.isArray(value))
      : [];
  }

  #read<T>(name: string, expected: string, is: (value: unknown) => value is T): T {
    const value = this.value(name);
    if (is(value)) return value;
    throw new Refusal(
      ErrorCode.InvalidParams,
      `Expected \`${name}\` to be ${expected}, got ${describe(value)}`,
    );
  }
}

function checkNames(params: Params, names: readonly string[]): void {
  if (isArray(params)) {
    if (params.length <= names.length) return;
    const expected = names.length === 0 ? "no params" : `at most the params ${names.join(", ")}`;
    throw new Refusal(ErrorCode.InvalidParams, `Expected ${expected}, got ${params.length}`);
  }
  for (const name of Object.keys(params)) {
    if (names.includes(name)) continue;
    const expected = names.length === 0 ? "no params" : `the params ${names.join(", ")}`;
    throw new Refusal(ErrorCode.InvalidParams, `Expected ${expected}, got ${describe(name)}`);
  }
}

/** `Array.isArray` does not narrow read-only arrays. */
function isArray(params: Params): params is readonly unknown[] {
  return Array.isArray(params);
}

/** When to try again what was refused because the broker was busy. */
const retryAfterMs = 1_000;

const idPattern = /^[\x21-\x7e]{1,128}$/;

/** An id that a peer chose. */
export function checkId(id: string, code: number, what: string): string {
  if (idPattern.test(id) && !id.includes("#")) return id;
  throw new Refusal(
    code,
    `Expected ${what} of 1 to 128 visible ASCII characters without "#", got ${describe(id)}`,
  );
}

/** A bound was reached: the sender may try again in a while. */
export function busy(what: string, most: number): Refusal {
  return new Refusal(ErrorCode.Busy, `The broker holds as many ${what} as it may: ${most}`, {
    retry_after_ms: retryAfterMs,
  });
}

/** The broker is about to stop: the next one will take it. */
export function stopping(): Refusal {
  return new Refusal(ErrorCode.Busy, "The broker is about to stop", { retry_after_ms: retryAfterMs });
}

/** A task id may be a number. */
export function readTaskId(read: ParamReader): string {
  const id = read.value("task_id");
  return typeof id === "number" ? String(id) : read.string("task_id");
}
