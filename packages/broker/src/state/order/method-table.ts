// Every method that somebody serves or asked for, with its groups, and what limits hold for it.
import { type Deadlines, isBrokerTask, type MethodDescription, type MethodLimits } from "zerotask-core";
import { busy, type Refusal } from "../commands/command.ts";
import type { Due } from "../due.ts";
import type { NodeSession } from "../peers/node-session.ts";
import type { Task } from "../tasks/task.ts";
import type { Turn } from "../turn.ts";
import type { Gate } from "./gate.ts";
import type { Lane } from "./lane.ts";
import { type LimitOverrides, overridden } from "./limits.ts";
import { MethodQueue } from "./method-queue.ts";

export interface MethodTableOptions {
  /** Runs `broker.*` tasks. */
  readonly local: NodeSession;
  /** What a `broker.*` task says of itself. */
  readonly describeHere: (name: string) => MethodDescription | undefined;
  /** How many groups of tasks there may be. */
  readonly maxGroups: number;
}

/** How many groups are given up at once. */
const mostForgotten = 1_000;

export class MethodTable {
  readonly #turn: Turn;
  readonly #deadlines: Deadlines<Due>;
  readonly #options: MethodTableOptions;
  readonly #methods = new Map<string, MethodQueue>();
  /** What clients set, by method. */
  readonly #overrides = new Map<string, LimitOverrides>();
  #limitedUntil = 0;
  #groups = 0;

  constructor(turn: Turn, deadlines: Deadlines<Due>, options: MethodTableOptions) {
    this.#turn = turn;
    this.#deadlines = deadlines;
    this.#options = options;
  }

  /** The method of this name, made if need be. Names are interned by it: a million tasks share one string. */
  method(name: string): MethodQueue {
    let method = this.#methods.get(name);
    if (method === undefined) {
      method = new MethodQueue(name, this.#turn.now, this.#overrides.get(name) ?? {});
      if (isBrokerTask(name)) {
        method.nodes.add(this.#options.local);
        method.description = this.#options.describeHere(name);
      }
      this.#methods.set(name, method);
    }
    return method;
  }

  /** The method of this name, if there is one. */
  find(name: string): MethodQueue | undefined {
    return this.#methods.get(name);
  }

  /** The group of a method, made if need be. */
  lane(name: string, group: string): Lane {
    const method = this.method(name);
    if (group !== "" && !method.lanes.has(group)) this.#groups++;
    return method.lane(group);
  }

  /** Why a task of this group can't be taken now, if it would make one more group than there may be. */
  refusal(name: string, group: string): Refusal | undefined {
    const { maxGroups } = this.#options;
    if (group === "" || this.#groups < maxGroups) return undefined;
    if (this.#methods.get(name)?.lanes.has(group)) return undefined;
    this.#forgetIdle();
    return this.#groups < maxGroups ? undefined : busy("groups of tasks", maxGroups);
  }

  /** What idle groups have begun, for their rates, is given up for others that have something to run. */
  #forgetIdle(): void {
    let left = mostForgotten;
    for (const { lanes } of this.#methods.values()) {
      for (const lane of lanes.values()) {
        if (lane.group === "" || !lane.isEmpty || lane.gate.running > 0) continue;
        lanes.delete(lane.group);
        this.#groups--;
        if (lane.gate.deadline !== undefined) this.#deadlines.delete(lane.gate.deadline);
        if (--left === 0) return;
      }
    }
  }

  [Symbol.iterator](): Iterator<MethodQueue> {
    return this.#methods.values();
  }

  /** What clients set for a method. */
  overridesOf(name: string): LimitOverrides {
    return this.#overrides.get(name) ?? {};
  }

  /** Sets what holds for a method, instead of what the node that serves it says; nothing lets that hold again. */
  override(name: string, overrides: LimitOverrides): void {
    if (Object.keys(overrides).length === 0) this.#overrides.delete(name);
    else this.#overrides.set(name, overrides);
    this.#methods.get(name)?.setLimits(overrides);
  }

  /** How many methods have limits that a client set. */
  get overriddenCount(): number {
    return this.#overrides.size;
  }

  /** What holds for a method. */
  limitsOf(name: string): MethodLimits {
    return this.#methods.get(name)?.limits ?? overridden({}, this.overridesOf(name));
  }

  /** Every method that something holds for, with what. */
  *limits(): Generator<[string, MethodLimits]> {
    for (const name of new Set([...this.#overrides.keys(), ...this.#methods.keys()])) {
      const limits = this.limitsOf(name);
      if (Object.keys(limits).length > 0) yield [name, limits];
    }
  }

  /** Until then nothing begins of what only so many, or one, may run of at once: nodes may come back with such runs. */
  holdLimited(until: number): void {
    this.#limitedUntil = until;
  }

  /** The task of a method that is next and may begin. */
  next(method: MethodQueue): Task | undefined {
    const heldUntil = this.#heldUntil(method);
    if (heldUntil > this.#turn.now) {
      this.#armGate(method.gate, method, undefined, heldUntil);
      return undefined;
    }
    return method.next(this.#turn.now, (at, lane) => this.#armGate((lane ?? method).gate, method, lane, at));
  }

  /** Whether its method and its group let a task begin that does not wait yet. */
  isOpen({ method, lane }: Task): boolean {
    const { now } = this.#turn;
    return this.#heldUntil(method) <= now && method.gate.opensAt(now) <= now && lane.gate.opensAt(now) <= now;
  }

  /** Forgets a method that is of no more use. @returns whether it did */
  release(method: MethodQueue): boolean {
    if (!method.isEmpty || method.nodes.size > (isBrokerTask(method.name) ? 1 : 0)) return false;
    if (this.#isRemembered(method.gate, method, undefined)) return false;
    if (this.#methods.get(method.name) === method) this.#methods.delete(method.name);
    return true;
  }

  /** Forgets a group that is of no more use. */
  releaseLane(lane: Lane): void {
    const { method, group, gate } = lane;
    if (!lane.isEmpty || method.lanes.get(group) !== lane) return;
    if (this.#isRemembered(gate, method, lane)) return;
    method.lanes.delete(group);
    if (group !== "") this.#groups--;
  }

  /** Until when nothing of a method begins; Infinity where that is until something is known. */
  #heldUntil(method: MethodQueue): number {
    if (method.unnamed > 0) return Number.POSITIVE_INFINITY;
    if (this.#limitedUntil <= this.#turn.now) return 0;
    const { description, limits } = method;
    const isLimited = limits.concurrency !== undefined || limits.perGroup?.concurrency !== undefined;
    return isLimited || description?.singleton !== undefined ? this.#limitedUntil : 0;
  }

  #armGate(gate: Gate, method: MethodQueue, lane: Lane | undefined, at: number): void {
    if (at === Number.POSITIVE_INFINITY) return;
    if (gate.deadline !== undefined) {
      if (gate.deadline.at <= at) return;
      this.#deadlines.delete(gate.deadline);
    }
    gate.deadline = this.#deadlines.add(at, { type: "gate", method, lane });
  }

  /** Whether a rate still counts what began before: it is looked at again when it does not. */
  #isRemembered(gate: Gate, method: MethodQueue, lane: Lane | undefined): boolean {
    const until = gate.rememberedUntil(this.#turn.now);
    if (until <= this.#turn.now) {
      if (gate.deadline !== undefined) this.#deadlines.delete(gate.deadline);
      gate.deadline = undefined;
      return false;
    }
    this.#armGate(gate, method, lane, until);
    return true;
  }
}
