// What a pool's state machine takes, and what it has its shell do.
import type { Unit } from "./worker-slot.ts";

export type PoolEvent<U extends Unit> =
  | { readonly type: "start" }
  | { readonly type: "submit"; readonly unit: U }
  /** It has loaded its modules. */
  | { readonly type: "ready"; readonly worker: number }
  | { readonly type: "answered"; readonly worker: number; readonly unit: U; readonly tookMs: number }
  /** It waits for tasks that it called, or for none any more. */
  | { readonly type: "waiting"; readonly worker: number; readonly unit: U; readonly isWaiting: boolean }
  /** The worker had not begun them, and never will. Until it is `resumed`, it begins nothing. */
  | { readonly type: "revoked"; readonly worker: number; readonly units: readonly U[] }
  | { readonly type: "resumed"; readonly worker: number }
  /** The worker had not begun it, and never will. */
  | { readonly type: "given-back"; readonly worker: number; readonly unit: U }
  /** The worker is seen to run it. */
  | { readonly type: "seen"; readonly worker: number; readonly unit: U }
  /** The worker is seen to run nothing, though it has something to run. */
  | { readonly type: "quiet"; readonly worker: number }
  /** The worker is no more. `running`: what it began last, if anything. */
  | { readonly type: "gone"; readonly worker: number; readonly running: U | undefined; readonly why: string }
  /** Nobody wants its outcome any more. */
  | { readonly type: "abort"; readonly unit: U }
  /** It is to end, by force if it has begun. */
  | { readonly type: "kill"; readonly unit: U }
  /** Somebody else will run it, if no worker has begun it. */
  | { readonly type: "recall"; readonly unit: U }
  | { readonly type: "tick" }
  | { readonly type: "close" };

export type PoolEffect<U extends Unit> =
  | { readonly type: "spawn"; readonly worker: number }
  /** `beside`: though something waits there for tasks that it called. */
  | { readonly type: "give"; readonly worker: number; readonly unit: U; readonly beside: boolean }
  /** Its signal is to fire; where it has not begun, the worker gives it back. */
  | { readonly type: "abort"; readonly worker: number; readonly unit: U }
  /** What the worker has not begun is to be taken back from it. */
  | { readonly type: "revoke"; readonly worker: number }
  /** The worker is to close what it has opened, and to end. */
  | { readonly type: "leave"; readonly worker: number }
  /** The worker is to end, by force. `why`: what it did wrong. */
  | { readonly type: "end"; readonly worker: number; readonly why?: string }
  | { readonly type: "began"; readonly unit: U }
  /** It was taken out before it began: nobody wants it, or somebody else will run it. */
  | { readonly type: "dropped"; readonly unit: U; readonly isRecalled: boolean }
  | { readonly type: "killed"; readonly unit: U }
  /** Its worker died while it ran. */
  | { readonly type: "failed"; readonly unit: U; readonly why: string }
  /** As many workers as there should be are ready, for the first time. */
  | { readonly type: "opened" }
  /**
   * There is a worker again, after all was handed back as there was none; or room for what was handed back beside another
   * that was to end, or to go.
   */
  | { readonly type: "up" }
  /** The first workers can't even start. */
  | { readonly type: "unusable"; readonly why: string }
  /** Send a `tick` at this time. */
  | { readonly type: "wake"; readonly at: number };

/** What happens at a worker. */
export type PoolEventOf<U extends Unit> = Extract<PoolEvent<U>, { readonly worker: number }>;
