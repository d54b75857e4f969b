// What a client process tells on stdout, a line of JSON each: what it asked for, and what came of it.
import type { Method, Told } from "./workload.ts";

/**
 * How something is asked for: submitted to disk or to memory, under a key that others may use, stopped without or with
 * waiting for its end, called, or read as a stream.
 */
export type Kind = "disk" | "memory" | "keyed" | "stopped" | "halted" | "call" | "stream";

export interface SubmitLine {
  readonly event: "submit";
  /** Of the client's own counting. */
  readonly serial: number;
  /** The task's id; a call has none that a client knows. */
  readonly id: string | undefined;
  readonly kind: Kind;
  readonly method: Method;
  readonly n: number;
}

export interface AcceptLine {
  readonly event: "accept";
  readonly serial: number;
  readonly level: "memory" | "disk";
}

export interface RefuseLine {
  readonly event: "refuse";
  readonly serial: number;
  readonly reason: string;
}

export interface SettleLine {
  readonly event: "settle";
  readonly serial: number;
  readonly told: Told;
}

/** How a stop that waits was answered, or with which error. */
export interface HaltLine {
  readonly event: "halt";
  readonly serial: number;
  readonly how: string;
}

/** Everything that was asked for is settled. */
export interface DoneLine {
  readonly event: "done";
}

export type ReportLine = SubmitLine | AcceptLine | RefuseLine | SettleLine | HaltLine | DoneLine;
