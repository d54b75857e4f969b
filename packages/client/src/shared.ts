// What all views of one client share: its connection, and what is known of its tasks.
import { Feeds } from "./events/feeds.ts";
import { type Management, managementOf } from "./management.ts";
import type { ResolvedClientOptions } from "./options.ts";
import { Session } from "./session.ts";
import { TaskTracker } from "./task-tracker.ts";

export interface Shared {
  readonly session: Session;
  readonly tracker: TaskTracker;
  readonly feeds: Feeds;
  readonly management: Management<unknown>;
  readonly close: () => Promise<void>;
}

/** @param flushMs how long closing waits for what was submitted to be accepted */
export function openShared(options: ResolvedClientOptions, flushMs: number): Shared {
  const session: Session = new Session(options, {
    onTaskSettled: (params) => tracker.onTaskSettled(params),
    onReady: () => {
      tracker.submitAgain();
      feeds.onReady();
    },
  });
  const tracker = new TaskTracker(session);
  const feeds = new Feeds(session, options.listen);
  const close = async (): Promise<void> => {
    feeds.close();
    await session.close(flushMs);
    tracker.close();
  };
  return { session, tracker, feeds, management: managementOf(session, feeds), close };
}
