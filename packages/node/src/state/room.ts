// The tasks of one node that share slots: which of them run, which wait, and how many more there is room for.
import { failure, GenerationalMap, type Response, type StopOutcome, stoppedError } from "zerotask-core";
import { Endings } from "./endings.ts";
import type { Answer, Assignment, NodeEffect, NodeEvent } from "./node-state.ts";

/** What all rooms of a node share. */
export interface Turn<A extends Assignment> {
  readonly links: ReadonlySet<number>;
  effect(effect: NodeEffect<A>): void;
  /** A tick is wanted by this time. */
  wake(at: number): void;
}

export interface RoomOptions {
  /** What brokers know it by; the node's own slots have no name. */
  readonly name: string | undefined;
  /** Tasks that run at once. */
  readonly slots: number;
  /** Most tasks that may wait in the node for a slot. How many do depends on how short tasks are. */
  readonly prefetch: number;
}

interface Held<A> {
  readonly assignment: A;
  /** When it began to run, or to wait. */
  since: number;
  /** It really runs: what was started in a pool may wait there for a worker. */
  hasBegun: boolean;
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

export class Room<A extends Assignment> {
  readonly #options: RoomOptions;
  readonly #turn: Turn<A>;
  readonly #running = new GenerationalMap<A, Held<A>>();
  /** In order of arrival. */
  readonly #waiting = new Map<A, Held<A>>();
  /** Running tasks that were not reported yet, the oldest first. Ended ones may be among them. */
  #unreported: Held<A>[] = [];
  readonly #endings = new Endings<A>();
  #meanRunMs: number | undefined;
  /** What brokers are told, but for the room of tasks that wait for others. */
  #capacity: number;
  /** Running tasks that wait for others: they take up no slot. */
  #suspended = 0;
  /** Room that brokers were told of because of them. */
  #extra = 0;
  /** What the node runs for itself in this pool: it takes up slots that brokers don't count. */
  #locals = 0;
  #isDraining = false;

  constructor(options: RoomOptions, turn: Turn<A>) {
    this.#options = options;
    this.#turn = turn;
    this.#capacity = options.slots;
  }

  get runningCount(): number {
    return this.#running.size;
  }

  /** What was started and has not ended. */
  running(): A[] {
    return Array.from(this.#running, ([assignment]) => assignment);
  }

  /** The attempts of one broker that were started, and whose answers are still wanted. */
  runningOf(link: number): string[] {
    const wanted = [...this.#running].filter(([of, { isAborted }]) => of.link === link && !isAborted);
    return wanted.map(([{ id }]) => id);
  }

  onAssigned(assignment: A, now: number): void {
    if (this.#isDraining) this.#turn.effect({ type: "hand-back", assignment });
    else if (assignment.isLocal === true) this.#startLocal(assignment, now);
    else if (this.#hasFreeSlot) this.#start(assignment, now);
    else {
      this.#waiting.set(assignment, heldSince(assignment, now, false));
      this.#turn.wake(now + patienceMs);
    }
    if (this.#suspended > 0) this.#makeRoom();
  }

  get #hasFreeSlot(): boolean {
    const { slots } = this.#options;
    // A pool gets some ahead, so that its workers need not wait for the node.
    const most = this.#isPool ? Math.max(slots, this.#capacity) : slots;
    return this.#running.size - this.#suspended < most;
  }

  get #isPool(): boolean {
    return this.#options.name !== undefined;
  }

  /** Tasks that wait for others must not keep these from coming: they may wait for this very node. */
  onWaiting(assignment: A, isWaiting: boolean, now: number): void {
    const held = this.#running.get(assignment);
    if (held === undefined || held.isWaiting === isWaiting || this.#isSlotless(assignment)) return;
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
    if (this.#needsMore() || isShut) this.#tellAll();
  }

  /** Whether brokers have to be told of the room of tasks that wait for others: it counts from now on. */
  #needsMore(): boolean {
    const isFull = this.#running.size + this.#waiting.size >= this.#capacity + this.#extra;
    if (!isFull || this.#extra === this.#suspended) return false;
    this.#extra = this.#suspended;
    return true;
  }

  /** Not at each end of a wait: when no more than half of the room is needed. */
  #takeRoomBack(): void {
    if (this.#extra === 0 || this.#suspended * 2 > this.#extra) return;
    this.#extra = this.#suspended;
    this.#tellAll();
  }

  /** In the node's own thread it takes up no slot; in a pool it has a worker. */
  #startLocal(assignment: A, now: number): void {
    this.#start(assignment, now);
    if (this.#isPool) {
      this.#locals++;
      this.#tellAll();
      return;
    }
    const held = this.#running.get(assignment);
    if (held === undefined) return;
    held.isWaiting = true;
    this.#suspended++;
  }

  #isSlotless({ isLocal }: A): boolean {
    return isLocal === true && !this.#isPool;
  }

  /** @returns what was held of it, which is no more */
  #remove(assignment: A): Held<A> | undefined {
    const held = this.#running.get(assignment);
    if (held === undefined) return undefined;
    this.#running.delete(assignment);
    if (this.#isPool && assignment.isLocal === true) {
      this.#locals--;
      this.#tellAll();
    }
    return held;
  }

  #start(assignment: A, now: number): void {
    const held = heldSince(assignment, now, !this.#isPool);
    this.#running.add(assignment, held);
    this.#unreported.push(held);
    this.#turn.wake(now + patienceMs);
    this.#turn.effect({ type: "start", assignment });
  }

  /** It was found that it really runs. */
  onBegan(assignment: A, now: number): void {
    const held = this.#running.get(assignment);
    if (held === undefined || held.hasBegun) return;
    held.hasBegun = true;
    held.since = now;
  }

  /** It was taken out of its pool: before it began, or as its worker was ended because of another. */
  onRecalled(assignment: A): void {
    const held = this.#remove(assignment);
    if (held === undefined) return;
    if (held.isWaiting) this.#suspended--;
    if (!held.hasBegun && !this.#isDraining) this.#capacity = handedBack;
    const isStopped = this.#endings.end(assignment) !== undefined;
    if (held.isAborted) return;
    // To hand it back would say that it had not begun.
    if (held.hasBegun) this.#answerStopped(assignment, "killed");
    else if (isStopped) this.#answerStopped(assignment, "never-started");
    else this.#turn.effect({ type: "hand-back", assignment });
  }

  /** There is room again, after something was handed back: such as when its pool has a worker again. */
  onUp(): void {
    if (this.#capacity === handedBack) this.#setCapacity(this.#options.slots);
  }

  /** The connection was lost: what had not begun will be given to others. */
  onLost(link: number): void {
    for (const waiting of this.#waiting.keys()) if (waiting.link === link) this.#waiting.delete(waiting);
  }

  /** Tells the broker how much there is room for. */
  tell(link: number): void {
    const extra = this.#isDraining ? 0 : this.#extra;
    const capacity = Math.max(0, Math.max(0, this.#capacity) + extra - this.#locals);
    const { name } = this.#options;
    this.#turn.effect({ type: "fetch", link, capacity, ...(name !== undefined && { room: name }) });
  }

  onAborted(link: number, id: string, now: number): void {
    for (const held of this.#named(link, id)) {
      held.isAborted = true;
      if (!this.#waiting.delete(held.assignment)) this.#abort(held, now + abortGraceMs, false);
    }
  }

  onStop({ link, id, graceMs }: Extract<NodeEvent<A>, { type: "stop" }>, now: number): void {
    for (const held of this.#named(link, id)) {
      if (this.#waiting.delete(held.assignment)) this.#answerStopped(held.assignment, "never-started");
      else this.#abort(held, now + graceMs, true);
    }
  }

  /** It could not be ended by force: who waits for its end is told. */
  onUnstoppable(assignment: A): void {
    if (this.#endings.couldNotKill(assignment)) this.#turn.effect({ type: "report-unstoppable", assignment });
  }

  #abort({ assignment, hasBegun }: Held<A>, killAt: number, isAwaited: boolean): void {
    this.#endings.begin(assignment, killAt, isAwaited);
    this.#turn.effect({ type: "abort", assignment });
    if (!hasBegun) this.#turn.effect({ type: "recall", assignment });
    this.#turn.wake(killAt);
  }

  #answerStopped(assignment: A, how: StopOutcome): void {
    const response: Response = failure(assignment.id, stoppedError(how));
    this.#turn.effect({ type: "answer", assignment, response });
  }

  /** What is held under this attempt id. */
  #named(link: number, id: string): Held<A>[] {
    return [...this.#waiting.values(), ...Array.from(this.#running, ([, held]) => held)].filter(
      ({ assignment }) => assignment.link === link && assignment.id === id,
    );
  }

  onEnded({ assignment, response, tookMs }: Extract<NodeEvent<A>, { type: "ended" }>, now: number): void {
    const held = this.#remove(assignment);
    if (held === undefined) return;
    if (held.isWaiting) {
      this.#suspended--;
      this.#takeRoomBack();
    }
    const how = this.#endings.end(assignment);
    if (!held.isAborted) {
      if (how === undefined) this.#turn.effect({ type: "answer", assignment, response });
      else this.#answerStopped(assignment, hasNeverStarted(response) ? "never-started" : how);
    }
    const took = tookMs ?? now - held.since;
    const mean = this.#meanRunMs;
    if (assignment.isLocal !== true)
      this.#meanRunMs = mean === undefined ? took : mean + (took - mean) * smoothing;
    if (this.#meanRunMs !== undefined) this.#adaptCapacity(this.#meanRunMs);
    else this.onUp();
    while (this.#waiting.size > 0 && this.#hasFreeSlot) this.#startNext(now);
  }

  #startNext(now: number): void {
    const [next] = this.#waiting.keys();
    if (next === undefined) return;
    this.#waiting.delete(next);
    this.#start(next, now);
  }

  onTick(now: number): void {
    const due = now - patienceMs;
    const first = this.#unreported.findIndex((held) => held.since > due);
    const old = this.#unreported.splice(0, first < 0 ? this.#unreported.length : first);
    const notBegun: Held<A>[] = [];
    for (const held of old) {
      const { assignment, isAborted, hasBegun } = held;
      if (this.#running.get(assignment) !== held || isAborted) continue;
      if (hasBegun && held.since <= due) {
        this.#turn.effect({ type: "report-running", assignment });
        continue;
      }
      if (!hasBegun && assignment.isLocal !== true) notBegun.push(held);
      this.#unreported.push(held);
    }
    this.#recall(notBegun, now);
    for (const held of this.#waiting.values()) {
      if (held.since > due) break;
      this.#waiting.delete(held.assignment);
      // The broker gives this node nothing more until it asks again, when a task has ended.
      this.#capacity = handedBack;
      this.#turn.effect({ type: "hand-back", assignment: held.assignment });
    }
    for (const assignment of this.#endings.takeDue(now)) this.#turn.effect({ type: "kill", assignment });
    const next = this.#nextDue();
    if (next !== undefined) this.#turn.wake(next);
  }

  /**
   * Perhaps they can be taken out of their pool, for a node with room: the last of them, and none that there is a slot for,
   * as its worker may only be starting, and what runs here may wait for it.
   */
  #recall(notBegun: readonly Held<A>[], now: number): void {
    const excess = this.#running.size - this.#suspended - this.#options.slots;
    for (const held of notBegun) held.since = now;
    if (excess <= 0) return;
    for (const { assignment } of notBegun.slice(-excess)) this.#turn.effect({ type: "recall", assignment });
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

  drain(now: number): void {
    this.#isDraining = true;
    for (const [assignment, held] of this.#running) {
      // Nobody else would ever end it.
      if (assignment.isLocal === true) this.#abort(held, now + abortGraceMs, false);
    }
    this.#setCapacity(0);
    for (const assignment of this.#waiting.keys()) this.#turn.effect({ type: "hand-back", assignment });
    this.#waiting.clear();
    for (const [assignment, { hasBegun }] of this.#running) {
      if (!hasBegun) this.#turn.effect({ type: "recall", assignment });
    }
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
    // With less than before, what waits for others may be all that there is room for.
    if (this.#suspended > 0) this.#needsMore();
    this.#tellAll();
  }

  #tellAll(): void {
    for (const link of this.#turn.links) this.tell(link);
  }
}

function heldSince<A>(assignment: A, since: number, hasBegun: boolean): Held<A> {
  return { assignment, since, hasBegun, isAborted: false, isWaiting: false };
}

/** Its pool stopped it before any worker began it. */
function hasNeverStarted(response: Answer): boolean {
  if (typeof response === "string" || !("error" in response)) return false;
  return (response.error.data as { how?: unknown } | undefined)?.how === "never-started";
}
