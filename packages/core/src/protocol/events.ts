// What is told of tasks while they run: the names and bounds that broker, node and client share.

/** Names that events have by themselves. A handler's own can't be called like the first and the last. */
export const EventName = {
  /** `data` is `{status, attempt, error?}`: the task's status changed. */
  Status: "status",
  /** `data` is `{fraction, note?}`. */
  Progress: "progress",
  /** Some events are missing here: the broker kept them no longer. Made by clients. */
  Gap: "gap",
} as const;

/** How long the name of an event may be, and how large its data, as JSON. */
export const maxEventName = 200;
export const maxEventDataBytes: number = 64 * 1024;

/** Lines of a log have one of these, from saying most to saying least. */
export const taskLogLevels = ["debug", "info", "warn", "error"] as const;

export type TaskLogLevel = (typeof taskLogLevels)[number];

/**
 * What the JSON of an announcement begins with: what there is to subscribe to.
 * @param member its first param, and the value that it has; all of the announcement's, unless given
 */
export function announcementPrefix(announcement: string, member?: string, value?: string): string {
  const method = `{"jsonrpc":"2.0","method":"${announcement}"`;
  return member === undefined ? method : `${method},"params":{"${member}":${JSON.stringify(value)},`;
}
