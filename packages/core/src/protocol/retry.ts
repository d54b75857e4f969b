// When a task that failed runs again.
import { ErrorCode } from "./error-codes.ts";
import type { Outcome } from "./messages.ts";
import { type Backoff, defaultBackoff } from "./task-options.ts";
import { mostSpanMs } from "./when.ts";

/** Whether another run may end otherwise: what a handler threw without expecting it, or a run that took too long. */
export function mayBeRetried(outcome: Outcome): boolean {
  if (!("error" in outcome)) return false;
  const { code, data } = outcome.error;
  if (code === ErrorCode.TaskExpired) return true;
  return code === ErrorCode.TaskFailed && !isExpected(data);
}

function isExpected(data: unknown): boolean {
  return (data as { readonly expected?: unknown } | null | undefined)?.expected === true;
}

/** How long to wait before a run that a handler asked for. @param data of its error: `{delay_ms}` */
export function rerunDelay(data: unknown): number {
  const delay = (data as { readonly delay_ms?: unknown } | undefined)?.delay_ms;
  return typeof delay === "number" && delay >= 0 && delay <= mostSpanMs ? delay : 0;
}

/**
 * Exponential backoff with jitter, bounded.
 * @param failures runs that have failed so far, from 1
 * @param random a number from 0 to 1
 * @returns how long to wait, in milliseconds
 */
export function retryDelay(failures: number, backoff: Partial<Backoff> | undefined, random: number): number {
  const { initialMs, factor, maxMs, jitter } = { ...defaultBackoff, ...backoff };
  // A power that is too large for a number would make nothing of an initial wait of 0.
  const growth = Math.min(factor ** (failures - 1), Number.MAX_VALUE);
  const full = Math.min(maxMs, initialMs * growth);
  return full * (1 - jitter * random);
}
