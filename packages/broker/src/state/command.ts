// What a command of the protocol gets, and how it reads its params and refuses.
import { describe, ErrorCode, errorObject, type Outcome, type Params, type RequestId } from "zerotask-core";
import type { Addressee } from "./addressee.ts";
import type { Session } from "./sessions.ts";

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
  readonly #values: ReadonlyMap<string, unknown>;

  constructor(params: Params | undefined, names: readonly string[]) {
    this.#values = new Map(nameParams(params, names));
  }

  has(name: string): boolean {
    const value = this.#values.get(name);
    return value !== undefined && value !== null;
  }

  value(name: string): unknown {
    return this.#values.get(name);
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

  /** The params of a task: an array, an object, or nothing. */
  taskParams(name: string): Params | undefined {
    if (!this.has(name)) return undefined;
    return this.#read(name, "an array or an object", (value): value is Params => typeof value === "object");
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
    const value = this.#values.get(name);
    if (is(value)) return value;
    throw new Refusal(
      ErrorCode.InvalidParams,
      `Expected \`${name}\` to be ${expected}, got ${describe(value)}`,
    );
  }
}

function* nameParams(params: Params | undefined, names: readonly string[]): Generator<[string, unknown]> {
  if (params === undefined) return;
  if (Array.isArray(params)) {
    if (params.length > names.length) {
      const expected = names.length === 0 ? "no params" : `at most the params ${names.join(", ")}`;
      throw new Refusal(ErrorCode.InvalidParams, `Expected ${expected}, got ${params.length}`);
    }
    for (const [index, value] of params.entries()) yield [names[index] as string, value];
    return;
  }
  for (const [name, value] of Object.entries(params)) {
    if (!names.includes(name)) {
      const expected = names.length === 0 ? "no params" : `the params ${names.join(", ")}`;
      throw new Refusal(ErrorCode.InvalidParams, `Expected ${expected}, got ${describe(name)}`);
    }
    yield [name, value];
  }
}

const idPattern = /^[\x21-\x7e]{1,128}$/;

/** An id that a peer chose. */
export function checkId(id: string, code: number, what: string): string {
  if (idPattern.test(id) && !id.includes("#")) return id;
  throw new Refusal(
    code,
    `Expected ${what} of 1 to 128 visible ASCII characters without "#", got ${describe(id)}`,
  );
}
