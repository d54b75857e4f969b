// What goes into the broker's state machine.
import type { Decoded, Shape } from "zerotask-core";
import type { StoreAnswer } from "./storage/storage.ts";
import type { CommitResult, Durability, StoreSummary } from "./storage/stored-task.ts";

export type BrokerEvent =
  /** A peer sent a message of about `bytes`. */
  | {
      readonly type: "message";
      readonly peer: string;
      readonly shape: Shape;
      /** A REQ peer can't be pushed anything, and a routing id that a peer chose may be chosen by another. */
      readonly mayHaveSession: boolean;
      readonly message: Decoded;
      readonly bytes: number;
    }
  /** Something sent to this peer found nobody there. */
  | { readonly type: "peer-lost"; readonly peer: string }
  /** The peer doesn't read what it is sent, and what waited for it was dropped. */
  | { readonly type: "peer-slow"; readonly peer: string }
  /** Some connection ended; whose is not known. */
  | { readonly type: "disconnect" }
  /** A store was opened. Before anything else, and once for each. */
  | { readonly type: "opened"; readonly level: Durability; readonly summary: StoreSummary }
  /** All batches of changes up to this one are stored. */
  | {
      readonly type: "persisted";
      readonly level: Durability;
      readonly batch: number;
      readonly result: CommitResult;
    }
  /** A store's answer to a query. */
  | {
      readonly type: "told";
      readonly level: Durability;
      readonly request: number;
      readonly answer: StoreAnswer;
    }
  /** A store failed: what was not `persisted` is not stored, and nothing more will be. */
  | { readonly type: "store-failed"; readonly level: Durability; readonly reason: string }
  /** Somebody subscribed to announcements, and may have missed some. */
  | { readonly type: "subscribed" }
  /** The broker is about to stop: take nothing more. */
  | { readonly type: "drain" }
  /** Time went by; what is due may be done. */
  | { readonly type: "tick" };
