// How large one message may be. Both ends keep to the same bounds.

export interface MessageLimits {
  /** Largest message in bytes. @default 16 MiB */
  readonly maxMessageBytes: number;
  /** Most entries of one JSON-RPC batch. @default 10,000 */
  readonly maxBatch: number;
  /** Deepest nesting of arrays and objects in one request or response. @default 100 */
  readonly maxDepth: number;
}

export const defaultLimits: MessageLimits = {
  maxMessageBytes: 16 * 1024 * 1024,
  maxBatch: 10_000,
  maxDepth: 100,
};

/** For what comes from a broker, which keeps to its own bounds. Deeper nesting than this can't be sent at all. */
export const trustingLimits: MessageLimits = {
  maxMessageBytes: Number.POSITIVE_INFINITY,
  maxBatch: Number.POSITIVE_INFINITY,
  maxDepth: 5_000,
};
