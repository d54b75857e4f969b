// What both clients have beside their methods: schedules, limits and failed tasks of the broker.
import { type FailedControls, failedOf } from "./failed/failed.ts";
import { type LimitControls, limitsOf } from "./limits.ts";
import { type Schedules, schedulesOf } from "./schedules/schedules.ts";
import type { Session } from "./session.ts";

export interface Management<Methods> {
  /** What is run again and again. */
  readonly $schedules: Schedules<Methods>;
  /** How much of each method may be done, over all nodes. */
  readonly $limits: LimitControls<Methods>;
  /** Tasks that failed: to be looked at, and to be tried once more. */
  readonly $failed: FailedControls;
}

/** Of one session, whatever options its calls have. */
export function managementOf(session: Session): Management<unknown> {
  return { $schedules: schedulesOf(session), $limits: limitsOf(session), $failed: failedOf(session) };
}
