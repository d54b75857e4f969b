// The node as a pure state machine: which tasks run, which wait for a slot, and what the broker is told of it.
import { GenerationalMap, type Request, type Response } from "zerotask-core";

/** One assigned task. `link` names the broker that it came from; its request id is `<task_id>#<attempt>`. */
export interface Assignment {
  readonly link: number;
  readonly id: string;
  readonly request: Request;
}

export type NodeEvent<A extends Assignment = Assignment> =
  | { readonly type: "assigned"; readonly assignment: A }
  /** Its handler came to an end. */
  | { readonly type: "ended"; readonly assignment: A; readonly response: Response }
  /** It waits for other tasks (+1), or for none any more (−1): meanwhile its slot is free. */
  | { readonly type: "waiting"; readonly assignment: A; readonly change: 1 | -1 }
  /** The broker gave the task to somebody else, or stopped it. */
  | { readonly type: "aborted"; readonly link: number; readonly id: string }
  /** The connection was lost: what had not begun will be given to others. */
  | { readonly type: "lost"; readonly link: number }
  /** The connection is (again) there. */
  | { readonly type: "welcomed"; readonly link: number }
  /** Take no more tasks. */
  | { readonly type: "drain" }
  | { readonly type: "tick" };

export type NodeEffect<A extends Assignment = Assignment> =
  | { readonly type: "start"; readonly assignment: A }
  | { readonly type: "answer"; readonly assignment: A; readonly response: Response }
  | { readonly type: "report-running"; readonly assignment: A }
  | { readonly type: "hand-back"; readonly assignment: A }
  /** Nobody wants the outcome of what runs any more. */
  | { readonly type: "abort"; readonly assignment: A }
  /** Tell this broker how many unsettled tasks the node can hold. */
  | { readonly type: "fetch"; readonly link: number; readonly capacity: number }
  /** Send a `tick` at this time. */
  | { readonly type: "wake"; readonly at: number };

export interface NodeStateOptions {
  /** Tasks that run at once. */
  readonly slots: number;
  /** Most tasks that may wait in the node for a slot. How many do depends on how short tasks are. */
  readonly prefetch: number;
}

interface Held<A> {
  readonly assignment: A;
  /** When it began to run, or to wait. */
  readonly since: number;
  /** Nobody wants its answer any more. */
  isAborted: boolean;
  /** It waits for other tasks. */
  isWaiting: boolean;
}

/** A task that runs this long is reported; one that waits this long goes back, for a node with room to take. */
export const patienceMs = 10;
/** As many tasks may wait here as should have begun after this time, going by the mean run time. */
const waitMs = 5;
const smoothing = 0.1;
/** No capacity: another one has to be told as soon as there is room. */
const handedBack = -1;

export class NodeState<A extends Assignment = Assignment> {
  readonly #options: NodeStateOptions;
  readonly #running = new GenerationalMap<A, Held<A>>();
  /** In order of arrival. */
  readonly #waiting = new Map<A, Held<A>>();
  /** Running tasks that were not reported yet, the oldest first. Ended ones may be among them. */
  #unreported: Held<A>[] = [];
  readonly #links = new Set<number>();
  #effects: NodeEffect<A>[] = [];
  #meanRunMs: number | undefined;
  /** What brokers are told, but for the room of tasks that wait for others. */
  #capacity: number;
  /** Running tasks that wait for others: they take up no slot. */
  #suspended = 0;
  /** Room that brokers were told of because of them. */
  #extra = 0;
  #isDraining = false;
  #wakeAt: number | undefined;

  constructor(options: NodeStateOptions) {
    this.#options = options;
    this.#capacity = options.slots;
  }

  get runningCount(): number {
    return this.#running.size;
  }

  /** What runs now. */
  running(): A[] {
    return Array.from(this.#running, ([assignment]) => assignment);
  }

  /** The attempts of one broker that run now, and whose answers are still wanted. */
  runningOf(link: number): string[] {
    const wanted = [...this.#running].filter(([of, { isAborted }]) => of.link === link && !isAborted);
    return wanted.map(([{ id }]) => id);
  }

  /** Takes one event at the time `now` in milliseconds, and returns the effects to perform in order. */
  handle(event: NodeEvent<A>, now: number): NodeEffect<A>[] {
    this.#perform(event, now);
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #perform(event: NodeEvent<A>, now: number): void {
    switch (event.type) {
      case "assigned":
        this.#onAssigned(event.assignment, now);
        break;
      case "ended":
        this.#onEnded(event, now);
        break;
      case "waiting":
        this.#onWaiting(event.assignment, event.change > 0, now);
        break;
      case "aborted":
        this.#onAborted(event.link, event.id);
        break;
      case "lost":
        this.#links.delete(event.link);
        for (const waiting of this.#waiting.keys())
          if (waiting.link === event.link) this.#waiting.delete(waiting);
        break;
      case "welcomed":
        this.#links.add(event.link);
        this.#fetch(event.link);
        break;
      case "drain":
        this.#drain();
        break;
      case "tick":
        this.#wakeAt = undefined;
        this.#onTick(now);
        break;
    }
  }

  #onAssigned(assignment: A, now: number): void {
    if (this.#isDraining) this.#effects.push({ type: "hand-back", assignment });
    else if (this.#hasFreeSlot) this.#start(assignment, now);
    else {
      this.#waiting.set(assignment, { assignment, since: now, isAborted: false, isWaiting: false });
      this.#wake(now + patienceMs);
    }
    if (this.#suspended > 0) this.#makeRoom();
  }

  get #hasFreeSlot(): boolean {
    return this.#running.size - this.#suspended < this.#options.slots;
  }

  /** Tasks that wait for others must not keep these from coming: they may wait for this very node. */
  #onWaiting(assignment: A, isWaiting: boolean, now: number): void {
    const held = this.#running.get(assignment);
    if (held === undefined || held.isWaiting === isWaiting) return;
    held.isWaiting = isWaiting;
    this.#suspended += isWaiting ? 1 : -1;
    if (!isWaiting) {
      if (this.#suspended === 0) this.#takeRoomBack();
      return;
    }
    if (this.#waiting.size > 0) this.#startNext(now);
    this.#makeRoom();
  }

  /** Where brokers think that this node is full: as many more as wait. */
  #makeRoom(): void {
    if (this.#isDraining) return;
    const isShut = this.#capacity === handedBack;
    if (isShut) this.#capacity = this.#options.slots;
    const isFull = this.#running.size + this.#waiting.size >= this.#capacity + this.#extra;
    const needsMore = isFull && this.#extra !== this.#suspended;
    if (needsMore) this.#extra = this.#suspended;
    if (needsMore || isShut) this.#tell();
  }

  #takeRoomBack(): void {
    if (this.#extra === 0) return;
    this.#extra = 0;
    this.#tell();
  }

  #start(assignment: A, now: number): void {
    const held = { assignment, since: now, isAborted: false, isWaiting: false };
    this.#running.add(assignment, held);
    this.#unreported.push(held);
    this.#wake(now + patienceMs);
    this.#effects.push({ type: "start", assignment });
  }

  #onAborted(link: number, id: string): void {
    for (const [assignment, held] of [...this.#waiting, ...this.#running]) {
      if (assignment.link !== link || assignment.id !== id) continue;
      held.isAborted = true;
      if (!this.#waiting.delete(assignment)) this.#effects.push({ type: "abort", assignment });
    }
  }

  #onEnded({ assignment, response }: Extract<NodeEvent<A>, { type: "ended" }>, now: number): void {
    const held = this.#running.get(assignment);
    if (held === undefined) return;
    this.#running.delete(assignment);
    if (held.isWaiting && --this.#suspended === 0) this.#takeRoomBack();
    if (!held.isAborted) this.#effects.push({ type: "answer", assignment, response });
    const took = now - held.since;
    this.#meanRunMs =
      this.#meanRunMs === undefined ? took : this.#meanRunMs + (took - this.#meanRunMs) * smoothing;
    if (this.#waiting.size > 0 && this.#hasFreeSlot) this.#startNext(now);
    this.#adaptCapacity(this.#meanRunMs);
  }

  #startNext(now: number): void {
    const [next] = this.#waiting.keys();
    if (next === undefined) return;
    this.#waiting.delete(next);
    this.#start(next, now);
  }

  #onTick(now: number): void {
    const due = now - patienceMs;
    const first = this.#unreported.findIndex((held) => held.since > due);
    const old = this.#unreported.splice(0, first < 0 ? this.#unreported.length : first);
    for (const held of old) {
      if (this.#running.get(held.assignment) === held && !held.isAborted) {
        this.#effects.push({ type: "report-running", assignment: held.assignment });
      }
    }
    for (const held of this.#waiting.values()) {
      if (held.since > due) break;
      this.#waiting.delete(held.assignment);
      // The broker gives this node nothing more until it asks again, when a task has ended.
      this.#capacity = handedBack;
      this.#effects.push({ type: "hand-back", assignment: held.assignment });
    }
    const next = this.#nextDue();
    if (next !== undefined) this.#wake(next);
  }

  #nextDue(): number | undefined {
    const [waiting] = this.#waiting.values();
    const since = Math.min(
      waiting?.since ?? Number.POSITIVE_INFINITY,
      this.#unreported[0]?.since ?? Number.POSITIVE_INFINITY,
    );
    return Number.isFinite(since) ? since + patienceMs : undefined;
  }

  #drain(): void {
    this.#isDraining = true;
    this.#setCapacity(0);
    for (const assignment of this.#waiting.keys()) this.#effects.push({ type: "hand-back", assignment });
    this.#waiting.clear();
  }

  /** The broker is told of another capacity only when it differs a lot: by doubling, or from the most. */
  #adaptCapacity(meanRunMs: number): void {
    const { slots, prefetch } = this.#options;
    const fitting = Math.min(prefetch, Math.floor((slots * waitMs) / Math.max(meanRunMs, 0.001)));
    if (this.#capacity === handedBack) {
      this.#setCapacity(slots);
      return;
    }
    const waiting = this.#capacity - slots;
    if (fitting === waiting || (fitting < prefetch && fitting < waiting * 2 && fitting * 2 > waiting)) return;
    this.#setCapacity(slots + fitting);
  }

  #setCapacity(capacity: number): void {
    const allowed = this.#isDraining ? 0 : capacity;
    if (allowed === this.#capacity) return;
    this.#capacity = allowed;
    this.#tell();
  }

  #tell(): void {
    for (const link of this.#links) this.#fetch(link);
  }

  #fetch(link: number): void {
    const extra = this.#isDraining ? 0 : this.#extra;
    this.#effects.push({ type: "fetch", link, capacity: Math.max(0, this.#capacity) + extra });
  }

  #wake(at: number): void {
    if (this.#wakeAt !== undefined && this.#wakeAt <= at) return;
    this.#wakeAt = at;
    this.#effects.push({ type: "wake", at });
  }
}
