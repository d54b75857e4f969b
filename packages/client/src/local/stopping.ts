// Runs that are to end before their tasks go on: what is to become of those, and who waits to hear how it went.
import type { ErrorObject, Params, Runtime, StopOutcome } from "zerotask-core";
import type { LocalRun } from "./local-run.ts";

/** What becomes of the task of a run that is to end. */
export type AfterStop =
  /** It is STOPPED. */
  | { readonly type: "stop" }
  /** It ran for too long, and is run again. */
  | { readonly type: "overrun"; readonly error: ErrorObject }
  /** It begins anew, with other params if some are given. */
  | { readonly type: "reload"; readonly params: Params | undefined };

export interface Stopping {
  after: AfterStop;
  /** Who waits to hear how it ends. */
  readonly told: ((how: StopOutcome) => void)[];
  /** It is known to go on. */
  isUnstoppable: boolean;
  /** It is to end for another reason, and its time is over as well. */
  overran: ErrorObject | undefined;
}

/** How much time a run has to end that took too long and is run again. */
export const overrunGraceMs = 5_000;

/** A run is to end: its signal fires. */
export function begin(run: LocalRun, after: AfterStop): Stopping {
  run.stopping ??= { after, told: [], isUnstoppable: false, overran: undefined };
  const { stopping } = run;
  if (!comesBefore(stopping.after, after)) {
    if (stopping.after.type === "overrun") stopping.overran = stopping.after.error;
    stopping.after = after;
  }
  run.abort();
  return stopping;
}

/** Fires the signal of a run, and waits until it has ended, up to `graceMs`. */
export function endRun(
  run: LocalRun,
  after: AfterStop,
  graceMs: number,
  runtime: Runtime,
): Promise<StopOutcome> {
  return new Promise((resolve) => {
    const stopping = begin(run, after);
    const timer = runtime.after(graceMs, () => {
      stopping.isUnstoppable = true;
      resolve("unstoppable");
    });
    stopping.told.push((how) => {
      timer.cancel();
      resolve(how);
    });
  });
}

/** What is to be stopped is not run again; what is to be made anew is, with the params that were given for it. */
function comesBefore(before: AfterStop, after: AfterStop): boolean {
  if (before.type === "stop") return true;
  return before.type === "reload" && after.type === "reload" && after.params === undefined;
}
