// What comes out of the broker's state machine, for the shell to perform in order.
import type { Message, Shape } from "zerotask-core";
import type { EventBody, LogBody } from "./events/events.ts";
import type { Entry } from "./events/journal.ts";
import type { StoreQuery } from "./storage/storage.ts";
import type { Durability, StoreChange } from "./storage/stored-task.ts";

export type Effect =
  /** Send to the peer of a session, together with whatever else goes there. */
  | { readonly type: "send"; readonly peer: string; readonly message: Message }
  /** Send as a message of its own, in the peer's shape: an array is a batch, `null` the reply that a REQ peer is owed. */
  | {
      readonly type: "reply";
      readonly peer: string;
      readonly shape: Shape;
      readonly message: Message | readonly Message[] | null;
    }
  | {
      readonly type: "announce";
      readonly method: string;
      readonly params: { readonly [name: string]: unknown };
    }
  /** Announce an event, as far as somebody listens to its task, its method or all. */
  | { readonly type: "happened"; readonly entry: Entry<EventBody> }
  /** Announce a line that was logged, if somebody listens to its task's. */
  | { readonly type: "logged"; readonly entry: Entry<LogBody> }
  /** Make these changes in the store of this level, after all earlier ones. What depends on them waits for `persisted`. */
  | {
      readonly type: "persist";
      readonly level: Durability;
      readonly batch: number;
      readonly changes: readonly StoreChange[];
    }
  /** Ask the store of this level; the answer comes as `told`. */
  | {
      readonly type: "ask";
      readonly level: Durability;
      readonly request: number;
      readonly query: StoreQuery;
    }
  /** Send a `tick` at this time, if no earlier one is due. */
  | { readonly type: "wake"; readonly at: number };
