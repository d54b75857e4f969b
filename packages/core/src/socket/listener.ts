// The seam under a client's subscriptions: one connection to a broker's publish socket, whatever carries it.

export interface Listener {
  /** From now on announcements whose JSON begins with `prefix` are told. As often as it was added, it has to be removed. */
  subscribe(prefix: string): void;
  unsubscribe(prefix: string): void;
  close(): void;
}

export interface ListenerHandlers {
  /** An announcement, as JSON. Some may be missing. */
  onAnnouncement(text: string): void;
}

/** Connects, and connects again by itself whenever the connection is lost. */
export type Listen = (endpoint: string, handlers: ListenerHandlers) => Listener;
