// What options there are, how each is checked, and what it is called on the wire: one table for both.
import { knownOptions, OptionError } from "../options.ts";

/** @throws OptionError */
export type Check = (option: string, value: never) => unknown;

/** How each option is checked. */
export type Entries<T> = { readonly [Name in keyof T]-?: Check | OptionTable<Required<T>[Name]> };

interface Named {
  readonly name: string;
  readonly check: Check | OptionTable<unknown>;
}

/** The options of `T`: camelCase here, snake_case on the wire. An option may have options of its own. */
export class OptionTable<out T> {
  readonly names: readonly string[];
  /** For messages: `option of a task`. */
  readonly #what: string;
  readonly #entries: ReadonlyMap<string, Named>;
  readonly #wire: ReadonlyMap<string, Named>;

  constructor(what: string, entries: Entries<T>) {
    this.#what = what;
    const named = Object.entries<Check | OptionTable<unknown>>(entries).map(([name, check]) => ({
      name,
      check,
    }));
    this.#entries = new Map(named.map((entry) => [entry.name, entry]));
    this.#wire = new Map(named.map((entry) => [toWireName(entry.name), entry]));
    this.names = [...this.#entries.keys()];
  }

  /** @throws OptionError for a value out of range; names that are no options of this table are passed over */
  check(options: object): void {
    this.#checkEach("", options);
  }

  /** @throws OptionError for an unknown name, or a value out of range */
  fromWire(wire: { readonly [name: string]: unknown }): T {
    const options: { [name: string]: unknown } = {};
    for (const wireName of Object.keys(wire)) {
      const entry = this.#wire.get(wireName);
      if (entry === undefined) {
        throw new OptionError(this.#what, `one of ${[...this.#wire.keys()].join(", ")}`, wireName);
      }
      const value = wire[wireName];
      if (value === undefined || value === null) continue;
      if (entry.check instanceof OptionTable) {
        if (typeof value !== "object") throw new OptionError(wireName, "an object", value);
        options[entry.name] = entry.check.fromWire(value as { [name: string]: unknown });
      } else {
        entry.check(wireName, value as never);
        options[entry.name] = value;
      }
    }
    return options as T;
  }

  /** With names as they are on the wire: `timeout_ms`. What is not set is left out, and so is what is no option of this table. */
  toWire(options: object): { readonly [name: string]: unknown } {
    const wire: { [name: string]: unknown } = {};
    for (const [wireName, { name, check }] of this.#wire) {
      const value = options[name as keyof typeof options] as unknown;
      if (value === undefined) continue;
      wire[wireName] = check instanceof OptionTable ? check.toWire(value as object) : value;
    }
    return wire;
  }

  /** `path` leads to these options: `backoff.` */
  #checkEach(path: string, options: object): void {
    for (const [name, value] of Object.entries(options)) {
      const check = this.#entries.get(name)?.check;
      if (value === undefined || check === undefined) continue;
      if (check instanceof OptionTable) check.#checkNested(path + name, value);
      else check(path + name, value as never);
    }
  }

  #checkNested(option: string, value: unknown): void {
    if (typeof value !== "object" || value === null) throw new OptionError(option, "an object", value);
    knownOptions(option, value, this.names);
    this.#checkEach(`${option}.`, value);
  }
}

function toWireName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

export function booleanOption(option: string, value: unknown): void {
  if (typeof value !== "boolean") throw new OptionError(option, "true or false", value);
}

/** Any number from `least` to `most`. */
export function numberFrom(least: number, most: number): (option: string, value: unknown) => void {
  return (option, value) => {
    if (typeof value === "number" && value >= least && value <= most) return;
    throw new OptionError(option, `a number from ${least} to ${most}`, value);
  };
}

/** A whole number from `least` to `most`. */
export function integerFrom(least: number, most: number): (option: string, value: unknown) => void {
  return (option, value) => {
    if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return;
    throw new OptionError(option, `an integer from ${least} to ${most}`, value);
  };
}

/** A text that names something: 1 to `most` characters. */
export function nameOption(most: number): (option: string, value: unknown) => void {
  return (option, value) => {
    if (typeof value === "string" && value.length >= 1 && value.length <= most) return;
    throw new OptionError(option, `a string of 1 to ${most} characters`, value);
  };
}

export function oneOf(...values: readonly string[]): (option: string, value: unknown) => void {
  const expected = values.map((value) => JSON.stringify(value)).join(" or ");
  return (option, value) => {
    if (!values.includes(value as string)) throw new OptionError(option, expected, value);
  };
}
