// The node as a pure state machine: which tasks run, which wait for a slot, and what the broker is told of it.
import type { Request, Response } from "zerotask-core";
import { Room, type Turn } from "./room.ts";

/** What a task is answered with: a response, or the JSON of one. */
export type Answer = Response | string;

/** One assigned task. `link` names the broker that it came from; its request id is `<task_id>#<attempt>`. */
export interface Assignment {
  readonly link: number;
  readonly id: string;
  readonly request: Request;
  /** Where it takes up a slot: in the pool of this name, or else in the node's own thread. */
  readonly room?: string | undefined;
  /** The node runs it for itself: it takes up no slot. */
  readonly isLocal?: boolean;
}

export type NodeEvent<A extends Assignment = Assignment> =
  | { readonly type: "assigned"; readonly assignment: A }
  /** Its handler came to an end; `tookMs` where it was measured better than from start to end. */
  | { readonly type: "ended"; readonly assignment: A; readonly response: Answer; readonly tookMs?: number }
  /** A worker of its pool is seen to run it. */
  | { readonly type: "began"; readonly assignment: A }
  /** It was taken out of its pool: before it began, or as its worker was ended because of another. */
  | { readonly type: "recalled"; readonly assignment: A }
  /** It waits for other tasks (+1), or for none any more (−1): meanwhile its slot is free. */
  | { readonly type: "waiting"; readonly assignment: A; readonly change: 1 | -1 }
  /** The broker gave the task to somebody else, or settled it: nobody wants to know how the run ends. */
  | { readonly type: "aborted"; readonly link: number; readonly id: string }
  /** The run is to end within `graceMs`, and the broker waits to hear how. */
  | { readonly type: "stop"; readonly link: number; readonly id: string; readonly graceMs: number }
  /** It could not be ended by force. */
  | { readonly type: "unstoppable"; readonly assignment: A }
  /** The connection was lost: what had not begun will be given to others. */
  | { readonly type: "lost"; readonly link: number }
  /** The connection is (again) there. */
  | { readonly type: "welcomed"; readonly link: number }
  /** The pool of this room has workers again, after it had none. */
  | { readonly type: "up"; readonly room: string }
  /** Take no more tasks. */
  | { readonly type: "drain" }
  | { readonly type: "tick" };

export type NodeEffect<A extends Assignment = Assignment> =
  | { readonly type: "start"; readonly assignment: A }
  | { readonly type: "answer"; readonly assignment: A; readonly response: Answer }
  | { readonly type: "report-running"; readonly assignment: A }
  | { readonly type: "hand-back"; readonly assignment: A }
  /** Take it out of its pool, if it has not begun there. */
  | { readonly type: "recall"; readonly assignment: A }
  /** Nobody wants the outcome of what runs any more. */
  | { readonly type: "abort"; readonly assignment: A }
  /** Its time to end by itself is over. */
  | { readonly type: "kill"; readonly assignment: A }
  | { readonly type: "report-unstoppable"; readonly assignment: A }
  /** Tell this broker how many unsettled tasks the node can hold, in all but the pools or in one of them. */
  | { readonly type: "fetch"; readonly link: number; readonly capacity: number; readonly room?: string }
  /** Send a `tick` at this time. */
  | { readonly type: "wake"; readonly at: number };

export interface NodeStateOptions {
  /** Tasks that run at once in the node's own thread. */
  readonly slots: number;
  /** Most tasks that may wait in the node for a slot. How many do depends on how short tasks are. */
  readonly prefetch: number;
}

export class NodeState<A extends Assignment = Assignment> {
  readonly #options: NodeStateOptions;
  readonly #rooms = new Map<string | undefined, Room<A>>();
  readonly #turn: Turn<A>;
  readonly #links = new Set<number>();
  #effects: NodeEffect<A>[] = [];
  #wakeAt: number | undefined;

  constructor(options: NodeStateOptions) {
    this.#options = options;
    this.#turn = {
      links: this.#links,
      effect: (effect) => void this.#effects.push(effect),
      wake: (at) => this.#wake(at),
    };
    this.#addRoom(undefined, options.slots);
  }

  /** Adds the slots of a pool, before any of its tasks comes. */
  addPool(name: string, slots: number): void {
    this.#addRoom(name, slots);
  }

  /** How many were started and have not ended. */
  get runningCount(): number {
    let count = 0;
    for (const room of this.#rooms.values()) count += room.runningCount;
    return count;
  }

  /** What was started and has not ended. */
  running(): A[] {
    return [...this.#rooms.values()].flatMap((room) => room.running());
  }

  /** The attempts of one broker that were started, and whose answers are still wanted. */
  runningOf(link: number): string[] {
    return [...this.#rooms.values()].flatMap((room) => room.runningOf(link));
  }

  /** Takes one event at the time `now` in milliseconds, and returns the effects to perform in order. */
  handle(event: NodeEvent<A>, now: number): NodeEffect<A>[] {
    if ("assignment" in event) this.#performIn(this.#roomOf(event.assignment), event, now);
    else this.#perform(event, now);
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #performIn(room: Room<A>, event: Extract<NodeEvent<A>, { assignment: A }>, now: number): void {
    switch (event.type) {
      case "assigned":
        room.onAssigned(event.assignment, now);
        break;
      case "ended":
        room.onEnded(event, now);
        break;
      case "began":
        room.onBegan(event.assignment, now);
        break;
      case "recalled":
        room.onRecalled(event.assignment);
        break;
      case "unstoppable":
        room.onUnstoppable(event.assignment);
        break;
      case "waiting":
        room.onWaiting(event.assignment, event.change > 0, now);
        break;
    }
  }

  #perform(event: Exclude<NodeEvent<A>, { assignment: A }>, now: number): void {
    if (event.type === "lost") this.#links.delete(event.link);
    else if (event.type === "welcomed") this.#links.add(event.link);
    else if (event.type === "tick") this.#wakeAt = undefined;
    else if (event.type === "up") this.#rooms.get(event.room)?.onUp();
    for (const room of this.#rooms.values()) {
      switch (event.type) {
        case "aborted":
          room.onAborted(event.link, event.id, now);
          break;
        case "stop":
          room.onStop(event, now);
          break;
        case "lost":
          room.onLost(event.link);
          break;
        case "welcomed":
          room.tell(event.link);
          break;
        case "drain":
          room.drain(now);
          break;
        case "tick":
          room.onTick(now);
          break;
      }
    }
  }

  #addRoom(name: string | undefined, slots: number): void {
    this.#rooms.set(name, new Room({ name, slots, prefetch: this.#options.prefetch }, this.#turn));
  }

  #roomOf({ room }: A): Room<A> {
    const found = this.#rooms.get(room);
    if (found === undefined) throw new Error(`Expected a pool of this node, got ${room}`);
    return found;
  }

  #wake(at: number): void {
    if (this.#wakeAt !== undefined && this.#wakeAt <= at) return;
    this.#wakeAt = at;
    this.#effects.push({ type: "wake", at });
  }
}
