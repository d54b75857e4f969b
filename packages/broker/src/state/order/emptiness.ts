// When nothing that a node serves is queued or due any more, and which nodes wait to be told.
import { type Outcome, type RequestId, respond } from "zerotask-core";
import type { NodeSession } from "../peers/node-session.ts";
import type { Sessions } from "../peers/sessions.ts";
import type { Backlog } from "../storage/backlog.ts";

export interface EmptinessParts {
  readonly sessions: Sessions;
  readonly backlog: Backlog;
}

export class Emptiness {
  readonly #parts: EmptinessParts;
  /** Nodes that wait, each with the id of its last request: no more than there are nodes. */
  readonly #waiting = new Map<NodeSession, RequestId>();

  constructor(parts: EmptinessParts) {
    this.#parts = parts;
  }

  /** Whether nothing of the node's methods is queued here or in a store, and the node itself holds nothing. */
  isEmpty(node: NodeSession): boolean {
    if (this.#parts.backlog.hasDue) return false;
    // What it runs for itself never ends.
    if (node.tasks.size > node.ownTasks) return false;
    for (const { length } of node.methods) if (length > 0) return false;
    for (const { lanes } of node.methods) {
      for (const lane of lanes.values()) if (lane.hasQueued) return false;
    }
    return true;
  }

  /** Answers the request once the node's methods are empty; an earlier one of the node is answered now. */
  wait(node: NodeSession, requestId: RequestId): void {
    const earlier = this.#waiting.get(node);
    if (earlier !== undefined) node.deliver(respond(earlier, isEmpty(false)));
    this.#waiting.set(node, requestId);
  }

  /** Ends the turn: tells those nodes whose methods have become empty in it. */
  flush(): void {
    if (this.#waiting.size === 0) return;
    for (const [node, requestId] of this.#waiting) {
      const isGone = this.#parts.sessions.nodes.get(node.id) !== node;
      if (!isGone && !this.isEmpty(node)) continue;
      this.#waiting.delete(node);
      if (!isGone) node.deliver(respond(requestId, isEmpty(true)));
    }
  }
}

/** The answer to a node that asked. */
export function isEmpty(empty: boolean): Outcome {
  return { result: { empty } };
}
