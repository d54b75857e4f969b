// What goes into the broker's state machine.
import type { Decoded, Shape } from "zerotask-core";

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
  /** Time went by; what is due may be done. */
  | { readonly type: "tick" };
