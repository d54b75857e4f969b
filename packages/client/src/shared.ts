// What all views of one client share: its connection, and what is known of its tasks.
import { Feeds } from "./events/feeds.ts";
import { type Management, managementOf } from "./management.ts";
import type { ResolvedClientOptions } from "./options.ts";
import { Session } from "./session.ts";
import { StreamCalls } from "./streams/stream-calls.ts";
import { TaskTracker } from "./task-tracker.ts";

export interface Shared {
  readonly session: Session;
  readonly tracker: TaskTracker;
  readonly feeds: Feeds;
  readonly streams: StreamCalls;
  readonly management: Management<unknown>;
  readonly close: () => Promise<void>;
}

/** @param flushMs how long closing waits for what was submitted to be accepted */
export function openShared(options: ResolvedClientOptions, flushMs: number): Shared {
  const session = new Session(options);
  // Tasks are submitted again before anything asks for them.
  const tracker = new TaskTracker(session);
  const feeds = new Feeds(session, options.listen);
  const streams = new StreamCalls(session);
  const close = async (): Promise<void> => {
    feeds.close();
    await session.close(flushMs);
    tracker.close();
  };
  return { session, tracker, feeds, streams, management: managementOf(session, feeds), close };
}
