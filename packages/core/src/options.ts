// How options are checked: once, with messages that name what was expected and what came.
import { inspect } from "node:util";

/** An option that is out of its range or of the wrong type. */
export class OptionError extends TypeError {
  override readonly name = "OptionError";

  constructor(option: string, expected: string, got: unknown) {
    super(`Expected \`${option}\` to be ${expected}, got ${inspect(got, { depth: 1 })}`);
  }
}

export function positiveInteger(option: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) throw new OptionError(option, "a positive integer", value);
  return value;
}

/** A whole number of milliseconds or things, 0 allowed. */
export function nonNegativeInteger(option: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new OptionError(option, "an integer of 0 or more", value);
  }
  return value;
}

/** The longest time that a timer takes: about 24 days. */
export const maxTimerMs: number = 2 ** 31 - 1;

/** A time for a timer, in milliseconds; 0 allowed. */
export function milliseconds(option: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0 || value > maxTimerMs) {
    throw new OptionError(option, `whole milliseconds from 0 to ${maxTimerMs}`, value);
  }
  return value;
}

/** A TCP port; 0 lets the system choose a free one. */
export function portOption(option: string, value: number): number {
  if (!Number.isInteger(value) || value < 0 || value > 65_535) {
    throw new OptionError(option, "a port from 0 to 65535", value);
  }
  return value;
}

const tcpEndpoint = /^tcp:\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):([0-9]{1,5})$/;

/** An endpoint of the form `tcp://host:port`. */
export function endpointOption(option: string, value: unknown): string {
  const match = typeof value === "string" ? tcpEndpoint.exec(value) : null;
  if (match === null || Number(match[2]) > 65_535 || Number(match[2]) === 0) {
    throw new OptionError(option, 'an endpoint like "tcp://127.0.0.1:5555"', value);
  }
  return match[0];
}

/**
 * Refuses names that no option has, so that a typing error doesn't go unnoticed.
 * @throws OptionError also for options that are no object
 */
export function knownOptions(what: string, options: object, known: readonly string[]): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new OptionError(`${what} options`, `an object with any of ${known.join(", ")}`, options);
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw new OptionError(`${what} option`, `one of ${known.join(", ")}`, name);
  }
}
