// Runs that are to end before their tasks go on: what is to become of those, and who waits to hear how it went.
import type { Params, Runtime } from "zerotask-core";
import type { StopOutcome } from "../tasks/run-control.ts";
import type { LocalRun } from "./local-run.ts";

/** What becomes of the task of a run that is to end: it is STOPPED, or begins anew, with other params if some are given. */
export type AfterStop =
  | { readonly type: "stop" }
  | { readonly type: "reload"; readonly params: Params | undefined };

export interface Stopping {
  readonly after: AfterStop;
  readonly told: (() => void)[];
}

/** Fires the signal of a run, and waits until it has ended, up to `graceMs`. */
export function endRun(
  run: LocalRun,
  after: AfterStop,
  graceMs: number,
  runtime: Runtime,
): Promise<StopOutcome> {
  return new Promise((resolve) => {
    const timer = runtime.after(graceMs, () => resolve("unstoppable"));
    const { after: before = after, told = [] } = run.stopping ?? {};
    told.push(() => {
      timer.cancel();
      resolve("cooperative");
    });
    run.stopping = { after: comesBefore(before, after) ? before : after, told };
    run.abort();
  });
}

/** What is to be stopped is not run again; what is to be made anew is, with the params that were given for it. */
function comesBefore(before: AfterStop, after: AfterStop): boolean {
  return before.type === "stop" || (after.type === "reload" && after.params === undefined);
}
