// The seam under sessions: one connection to a broker's request socket, whatever carries it.

export interface Connection {
  /** How much is queued that could not be sent yet, in UTF-16 units, where that is known. */
  readonly unsent?: number;
  /** Queues one JSON text; all that a tick queues leaves as one message. */
  send(text: string): void;
  /** From now on no message has more entries or bytes, but for one that has a single entry. */
  limit(limits: { readonly entries: number; readonly bytes: number }): void;
  /** What is queued still gets sent if that can be done soon. No handler is called any more. */
  close(): void;
}

export interface ConnectionHandlers {
  onMessage(bytes: Uint8Array): void;
  /** The connection ended, or never came about. Called at most once. */
  onLost(): void;
}

/** Begins to connect, and never reconnects by itself. */
export type Dial = (endpoint: string, handlers: ConnectionHandlers) => Connection;
