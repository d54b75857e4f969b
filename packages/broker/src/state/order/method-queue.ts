// The tasks of one method that wait for a node, whose groups take turns, and the nodes that serve it.
import { Deque, type MethodDescription, type MethodLimits } from "zerotask-core";
import type { NodeSession } from "../peers/node-session.ts";
import type { Task } from "../tasks/task.ts";
import { Gate, type GateLimits, gateLimits, noLimits } from "./gate.ts";
import { Lane } from "./lane.ts";
import { type LimitOverrides, overridden } from "./limits.ts";
import type { Gathering } from "./node-choice.ts";

/** How much the mean time of a run is moved by one more. */
const smoothing = 0.05;

export class MethodQueue {
  readonly name: string;
  readonly nodes: Set<NodeSession> = new Set();
  readonly gate: Gate = new Gate(noLimits);
  readonly lanes: Map<string, Lane> = new Map();
  /** Since when no node serves it. */
  unservedSince: number;
  /** How many tasks wait for a node. */
  length = 0;
  /** Where tasks are being gathered for one run of a handler that takes many. */
  gathering: Gathering | undefined = undefined;
  /** The group that had its turn last. */
  lastServed: Lane | undefined = undefined;
  /** Runs that nodes brought back, of which it is not known yet which instance of a singleton they are. */
  unnamed = 0;
  /** How long a run takes, on an average of the last ones. */
  meanRunMs: number | undefined = undefined;
  readonly #line = new Deque<Lane>();
  #description: MethodDescription | undefined;
  /** Set by a client. */
  #overrides: LimitOverrides;
  #perGroup: GateLimits = noLimits;

  constructor(name: string, now: number, overrides: LimitOverrides) {
    this.name = name;
    this.unservedSince = now;
    this.#overrides = overrides;
    this.#applyLimits();
  }

  /** How the node that serves it wants it to be run. */
  get description(): MethodDescription | undefined {
    return this.#description;
  }

  set description(description: MethodDescription | undefined) {
    this.#description = description;
    this.#applyLimits();
  }

  /** What holds now. */
  get limits(): MethodLimits {
    return overridden(this.#description ?? {}, this.#overrides);
  }

  /** Sets what holds from now on, whatever the description says. */
  setLimits(overrides: LimitOverrides): void {
    this.#overrides = overrides;
    this.#applyLimits();
  }

  /** Whether anything of it is left anywhere. */
  get isEmpty(): boolean {
    return this.lanes.size === 0;
  }

  /** The group of this name, made if need be. */
  lane(group: string): Lane {
    let lane = this.lanes.get(group);
    if (lane === undefined) {
      lane = new Lane(this, group, group === "" ? noLimits : this.#perGroup);
      this.lanes.set(group, lane);
    }
    return lane;
  }

  add(task: Task): void {
    const { lane } = task;
    if (task.inQueue) return;
    this.length++;
    lane.add(task);
    this.lineUp(lane);
  }

  /** Lets a group take part again that may have something to run. */
  lineUp(lane: Lane): void {
    if (lane.isInLine || lane.length === 0) return;
    lane.isInLine = true;
    this.#line.push(lane);
  }

  /**
   * The task that is next: of the group whose turn it is.
   * @param onClosed called with a group, or nothing for the method, that can't go on before that time
   */
  next(now: number, onClosed: (at: number, lane?: Lane) => void): Task | undefined {
    if (this.length === 0) {
      this.#clearLine();
      return undefined;
    }
    const opensAt = this.gate.opensAt(now);
    if (opensAt > now) {
      onClosed(opensAt);
      return undefined;
    }
    this.#letOthersFirst();
    for (let lane = this.#line.peek(); lane !== undefined; lane = this.#line.peek()) {
      const { head } = lane;
      if (head !== undefined) {
        const laneOpensAt = lane.gate.opensAt(now);
        if (laneOpensAt <= now) return head;
        onClosed(laneOpensAt, lane);
      }
      this.#line.shift();
      lane.isInLine = false;
    }
    return undefined;
  }

  /** Takes out the task that `next` returned; its group goes to the end of the line. */
  take(): void {
    const lane = this.#line.shift();
    if (lane === undefined) return;
    lane.isInLine = false;
    if (lane.shift() !== undefined) this.length--;
    this.lineUp(lane);
  }

  /** A task that waits was settled. */
  drop(task: Task): void {
    if (!task.inQueue) return;
    this.length--;
    task.lane.drop(task);
  }

  /** A task that waits goes elsewhere, and may come back. */
  delete(task: Task): void {
    if (!task.inQueue) return;
    this.length--;
    task.lane.delete(task);
  }

  /** A run took so long. */
  noteRun(ms: number): void {
    this.meanRunMs = this.meanRunMs === undefined ? ms : this.meanRunMs + (ms - this.meanRunMs) * smoothing;
  }

  /** Every task that waits, in no particular order. */
  *[Symbol.iterator](): Generator<Task> {
    for (const lane of this.lanes.values()) yield* lane;
  }

  /** Groups may stand there whose tasks were stopped. */
  #clearLine(): void {
    for (let lane = this.#line.shift(); lane !== undefined; lane = this.#line.shift()) lane.isInLine = false;
  }

  /** What a group with nothing queued gets at once was its turn, too. */
  #letOthersFirst(): void {
    const first = this.#line.peek();
    if (first === undefined || first !== this.lastServed || this.#line.size < 2) return;
    this.#line.shift();
    this.#line.push(first);
  }

  #applyLimits(): void {
    const { perGroup = {}, ...ofMethod } = this.limits;
    this.gate.setLimits(gateLimits(ofMethod));
    this.#perGroup = gateLimits(perGroup);
    for (const lane of this.lanes.values()) {
      if (lane.group !== "") lane.gate.setLimits(this.#perGroup);
      // It may have been closed by what held before.
      this.lineUp(lane);
    }
  }
}
