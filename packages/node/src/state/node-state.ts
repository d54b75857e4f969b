// The node as a pure state machine: which tasks run, which wait for a slot, and what the broker is told of it.
import { ErrorCode, errorObject, failure, GenerationalMap, type Request, type Response } from "zerotask-core";
import { Endings } from "./endings.ts";

/** One assigned task. `link` names the broker that it came from; its request id is `<task_id>#<attempt>`. */
export interface Assignment {
  readonly link: number;
  readonly id: string;
  readonly request: Request;
  /** The node runs it for itself: it takes up no slot. */
  readonly isLocal?: boolean;
}

export type NodeEvent<A extends Assignment = Assignment> =
  | { readonly type: "assigned"; readonly assignment: A }
  /** Its handler came to an end. */
  | { readonly type: "ended"; readonly assignment: A; readonly response: Response }
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
  /** Its time to end by itself is over. */
  | { readonly type: "kill"; readonly assignment: A }
  | { readonly type: "report-unstoppable"; readonly assignment: A }
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
/** How much time a run has to end that was given up. */
const abortGraceMs = 5_000;
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
  readonly #endings = new Endings<A>();
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
        this.#onAborted(event.link, event.id, now);
        break;
      case "stop":
        this.#onStop(event, now);
        break;
      case "unstoppable":
        if (this.#endings.isAwaited(event.assignment))
          this.#effects.push({ type: "report-unstoppable", assignment: event.assignment });
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
        this.#drain(now);
        break;
      case "tick":
        this.#wakeAt = undefined;
        this.#onTick(now);
        break;
    }
  }

  #onAssigned(assignment: A, now: number): void {
    if (this.#isDraining) this.#effects.push({ type: "hand-back", assignment });
    else if (assignment.isLocal === true) this.#startLocal(assignment, now);
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
    if (held === undefined || held.isWaiting === isWaiting || assignment.isLocal === true) return;
    held.isWaiting = isWaiting;
    this.#suspended += isWaiting ? 1 : -1;
    if (!isWaiting) {
      this.#takeRoomBack();
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

  /** Not at each end of a wait: when no more than half of the room is needed. */
  #takeRoomBack(): void {
    if (this.#extra === 0 || this.#suspended * 2 > this.#extra) return;
    this.#extra = this.#suspended;
    this.#tell();
  }

  #startLocal(assignment: A, now: number): void {
    this.#start(assignment, now);
    const held = this.#running.get(assignment);
    if (held === undefined) return;
    held.isWaiting = true;
    this.#suspended++;
  }

  #start(assignment: A, now: number): void {
    const held = { assignment, since: now, isAborted: false, isWaiting: false };
    this.#running.add(assignment, held);
    this.#unreported.push(held);
    this.#wake(now + patienceMs);
    this.#effects.push({ type: "start", assignment });
  }

  #onAborted(link: number, id: string, now: number): void {
    for (const held of this.#named(link, id)) {
      const { assignment } = held;
      held.isAborted = true;
      if (!this.#waiting.delete(assignment)) this.#abort(assignment, now + abortGraceMs, false);
    }
  }

  #onStop({ link, id, graceMs }: Extract<NodeEvent<A>, { type: "stop" }>, now: number): void {
    for (const { assignment } of this.#named(link, id)) {
      if (this.#waiting.delete(assignment)) {
        this.#effects.push({ type: "answer", assignment, response: stopped(id, "never-started") });
      } else this.#abort(assignment, now + graceMs, true);
    }
  }

  #abort(assignment: A, killAt: number, isAwaited: boolean): void {
    this.#endings.begin(assignment, killAt, isAwaited);
    this.#effects.push({ type: "abort", assignment });
    this.#wake(killAt);
  }

  /** What is held under this attempt id. */
  #named(link: number, id: string): Held<A>[] {
    return [...this.#waiting.values(), ...Array.from(this.#running, ([, held]) => held)].filter(
      ({ assignment }) => assignment.link === link && assignment.id === id,
    );
  }

  #onEnded({ assignment, response }: Extract<NodeEvent<A>, { type: "ended" }>, now: number): void {
    const held = this.#running.get(assignment);
    if (held === undefined) return;
    this.#running.delete(assignment);
    if (held.isWaiting) {
      this.#suspended--;
      this.#takeRoomBack();
    }
    const how = this.#endings.end(assignment);
    if (!held.isAborted) {
      const answer = how === undefined ? response : stopped(assignment.id, how);
      this.#effects.push({ type: "answer", assignment, response: answer });
    }
    const took = now - held.since;
    if (assignment.isLocal !== true) {
      const mean = this.#meanRunMs;
      this.#meanRunMs = mean === undefined ? took : mean + (took - mean) * smoothing;
    }
    if (this.#waiting.size > 0 && this.#hasFreeSlot) this.#startNext(now);
    if (this.#meanRunMs !== undefined) this.#adaptCapacity(this.#meanRunMs);
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
    for (const assignment of this.#endings.takeDue(now)) this.#effects.push({ type: "kill", assignment });
    const next = this.#nextDue();
    if (next !== undefined) this.#wake(next);
  }

  #nextDue(): number | undefined {
    const [waiting] = this.#waiting.values();
    const since = Math.min(
      waiting?.since ?? Number.POSITIVE_INFINITY,
      this.#unreported[0]?.since ?? Number.POSITIVE_INFINITY,
    );
    const next = Math.min(since + patienceMs, this.#endings.next ?? Number.POSITIVE_INFINITY);
    return Number.isFinite(next) ? next : undefined;
  }

  #drain(now: number): void {
    this.#isDraining = true;
    // Nobody else would ever end them.
    for (const assignment of this.running())
      if (assignment.isLocal === true) this.#abort(assignment, now + abortGraceMs, false);
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

/** The answer of an attempt that was to be stopped, and has ended. */
function stopped(id: string, how: string): Response {
  return failure(id, errorObject(ErrorCode.TaskStopped, "The task was stopped", { how }));
}
