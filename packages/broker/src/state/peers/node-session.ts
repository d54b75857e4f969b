// A node that introduced itself: what it serves, how much room it has, and which tasks it holds.
import { IndexedSet, type MethodDescription, type Response } from "zerotask-core";
import type { MethodQueue } from "../order/method-queue.ts";
import type { Task } from "../tasks/task.ts";
import type { Turn } from "../turn.ts";
import type { Addressee } from "./addressee.ts";

export class NodeSession implements Addressee {
  readonly kind = "node";
  readonly id: string;
  /** Proves who it is; a node that introduced itself without a protocol has none. */
  readonly token: string | undefined;
  /** The connection it is on. A node without a protocol has none: it asks for its tasks. */
  peer: string | undefined;
  lastSeen: number;
  slots = 0;
  /** How many unsettled tasks it can hold. */
  capacity = 0;
  descriptions: readonly MethodDescription[] = [];
  readonly methods: Set<MethodQueue> = new Set();
  readonly tasks: IndexedSet<"nodeIndex", Task> = new IndexedSet("nodeIndex");
  readonly #turn: Turn;

  constructor(id: string, token: string | undefined, peer: string | undefined, turn: Turn) {
    this.id = id;
    this.token = token;
    this.peer = peer;
    this.#turn = turn;
    this.lastSeen = turn.now;
  }

  get hasRoom(): boolean {
    return this.tasks.size < this.capacity;
  }

  /** Slots that nothing is meant for; below zero when tasks wait in the node for a slot. */
  get freeSlots(): number {
    return this.slots - this.tasks.size;
  }

  deliver(response: Response): void {
    if (this.peer !== undefined) this.#turn.send(this.peer, response);
  }
}
