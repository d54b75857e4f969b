// How the command line's words become arguments and options.
import { portOption, tcpEndpoint } from "zerotask-core";
import type { CallOptions, ClientOptions } from "../options.ts";
import { timeOption } from "./times.ts";

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

/** What a client is told that is to ask the broker itself. */
export function clientOptions(flags: Flags): ClientOptions {
  const { timeout } = flags;
  return { endpoint: endpointOf(flags), ...(timeout !== undefined && { connectTimeoutMs: timeout }) };
}

/** The options of a task, with those left out that were not given. */
export function taskOptions({
  at,
  priority,
  group,
  retries,
}: TaskFlags): Pick<CallOptions, "at" | "priority" | "group" | "retries"> {
  return {
    ...(at !== undefined && { at: timeOption("--at", at) }),
    ...(priority !== undefined && { priority }),
    ...(group !== undefined && { group }),
    ...(retries !== undefined && { retries }),
  };
}
