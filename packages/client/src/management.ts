// What both clients have beside their methods: schedules, limits, failed tasks and events of the broker.
import type { EventFilter, Feeds } from "./events/feeds.ts";
import type { EventsNamed } from "./events/task-event.ts";
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
  /**
   * Events of all tasks, or of those that are named, each once and in order, also over lost connections and restarts
   * of the broker: `for await (const { event, taskId } of client.$events({ method: "resize" }))`. It begins with what
   * happens from now on; with `task` with what is kept, and ends when that task is settled. Leaving the loop
   * unsubscribes. How plain calls go is told only while somebody listens. An event called `"gap"` stands for those
   * that a broker no longer kept when a slow loop asked for them.
   * @throws OptionError. The loop throws UnknownTaskError, ClientClosedError, and where it begins BrokerUnavailableError
   */
  $events<Name extends string = string>(
    filter?: EventFilter<Methods, Name>,
  ): AsyncIterable<EventsNamed<Name>>;
}

/** Of one session, whatever options its calls have. */
export function managementOf(session: Session, feeds: Feeds): Management<unknown> {
  return {
    $schedules: schedulesOf(session),
    $limits: limitsOf(session),
    $failed: failedOf(session),
    $events: <Name extends string>(filter?: EventFilter<unknown, Name>) =>
      feeds.events(filter) as AsyncIterable<EventsNamed<Name>>,
  };
}
