// How the command line's words become arguments, times and options.
import { numberOrText, OptionError, portOption, tcpEndpoint, whenOption } from "zerotask-core";
import type { CallOptions } from "../options.ts";

/** What all commands can be told. */
export interface Flags {
  readonly address: string;
  readonly requestPort: number;
  readonly timeout?: number;
}

/** What can be asked of one task. */
export interface TaskFlags {
  readonly at?: string;
  readonly priority?: number;
  readonly group?: string;
  readonly retries?: number;
}

export function endpointOf({ address, requestPort }: Flags): string {
  return tcpEndpoint(address, portOption("--request-port", requestPort));
}

/** An argument is JSON, or else the text itself. */
export function jsonOrText(argument: string): unknown {
  try {
    return JSON.parse(argument);
  } catch {
    return argument;
  }
}

/** A time to come, as people write it: words, a date as ISO 8601 has it, or milliseconds. @throws OptionError */
export function timeOption(option: string, text: string): Date | number | string {
  const time = dateOf(text) ?? numberOrText(text);
  whenOption(option, time);
  return time;
}

/** A date as ISO 8601 has it, or milliseconds since the epoch. @throws OptionError */
export function pastTimeOption(option: string, text: string): Date | number {
  const time = dateOf(text) ?? numberOrText(text);
  if (typeof time !== "string") return time;
  throw new OptionError(option, "an ISO date, or milliseconds since the epoch", text);
}

const isoDate = /^\d{4}-\d\d-\d\d/;

function dateOf(text: string): Date | undefined {
  const date = isoDate.test(text) ? new Date(text) : undefined;
  return date === undefined || Number.isNaN(date.getTime()) ? undefined : date;
}

/** The options of a call, with those left out that were not given. */
export function callOptions({ timeout }: Flags, { at, priority, group, retries }: TaskFlags): CallOptions {
  return {
    ...(timeout !== undefined && { timeoutMs: timeout }),
    ...(at !== undefined && { at: timeOption("--at", at) }),
    ...(priority !== undefined && { priority }),
    ...(group !== undefined && { group }),
    ...(retries !== undefined && { retries }),
  };
}
