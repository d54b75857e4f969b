// How a run ended that was to be stopped, and the error that tells it: `data.how`.
import { ErrorCode } from "./error-codes.ts";
import { type ErrorObject, errorObject, type Outcome } from "./messages.ts";

/**
 * How a task was stopped. `"never-started"`: it was not running, and will not. `"finished-first"`: it has its own outcome.
 * `"cooperative"`: its handler ended after its signal had fired. `"killed"`: its thread, process or node is gone.
 * `"unstoppable"`: it runs in its node's own thread and ignores its signal; it is STOPPED when it ends.
 */
export type StopOutcome = "never-started" | "finished-first" | "cooperative" | "killed" | "unstoppable";

/** What a task ends with that was stopped. @param how nothing where that is not known */
export function stoppedError(how?: StopOutcome): ErrorObject {
  return errorObject(ErrorCode.TaskStopped, "The task was stopped", how && { how });
}

/** How a run ended that ended with this; nothing where that does not say that it was told to end. */
export function howStopped(outcome: Outcome): StopOutcome | undefined {
  if (!("error" in outcome) || outcome.error.code !== ErrorCode.TaskStopped) return undefined;
  const how = (outcome.error.data as { readonly how?: unknown } | undefined)?.how;
  return how === "cooperative" || how === "killed" || how === "never-started" ? how : undefined;
}
