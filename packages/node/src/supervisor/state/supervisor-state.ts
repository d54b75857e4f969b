// The supervisor as a pure state machine: which processes are started, replaced, drained and ended, and when.
import { backoffMs, isSteady } from "./restart.ts";

export type SupervisorEvent =
  | { readonly type: "begin" }
  /** The process serves. */
  | { readonly type: "ready"; readonly process: number }
  | { readonly type: "exited"; readonly process: number; readonly end: ProcessEnd }
  /** Something that the modules are made of is another. */
  | { readonly type: "changed" }
  /** End all processes, and leave. */
  | { readonly type: "stop" }
  | { readonly type: "tick" };

/** `left`: it had nothing more to do. `refused`: it was given what no process can start with. */
export type ProcessEnd = "left" | "refused" | "crashed";

export type SupervisorEffect =
  /** Start a process in a place, from 1; `generation` counts how often the modules have changed, from 1. */
  | {
      readonly type: "spawn";
      readonly process: number;
      readonly place: number;
      readonly generation: number;
    }
  /** Let it finish what it runs, however long that takes, and leave. */
  | { readonly type: "drain"; readonly process: number }
  /** Let it leave within the time that a node drains for. */
  | { readonly type: "terminate"; readonly process: number }
  /** It did not leave. */
  | { readonly type: "kill"; readonly process: number }
  /** For the first time each place has had a process that serves. */
  | { readonly type: "ready" }
  | { readonly type: "restart-later"; readonly place: number; readonly afterMs: number }
  /** A process with changed modules came to nothing; `isServed`: the one before goes on. */
  | { readonly type: "not-replaced"; readonly place: number; readonly isServed: boolean }
  | { readonly type: "leave"; readonly code: number }
  /** Send a `tick` at this time, instead of at any other. */
  | { readonly type: "wake"; readonly at: number };

export interface SupervisorConfig {
  /** How many processes serve at a time. */
  readonly places: number;
  /** Whether modules may change: then what can't start waits for the next change. */
  readonly isWatching: boolean;
  /** How long a process that was told to end may take. */
  readonly killMs: number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

interface Place {
  readonly number: number;
  /** The process that serves, or will. */
  current: Process | undefined;
  /** One with changed modules, that takes over once it is ready. */
  next: Process | undefined;
  /** When it is tried again to start one. */
  restartAt: number;
  /** In a row. */
  crashes: number;
  wasReady: boolean;
  hasLeft: boolean;
}

interface Process {
  readonly id: number;
  readonly place: Place;
  readyAt: number | undefined;
}

/** Changes come in bursts: those within so many milliseconds are one, but none waits for longer than the second. */
const quietMs = 100;
const mostQuietMs = 1_000;
const never = Number.POSITIVE_INFINITY;

export class SupervisorState {
  readonly #config: SupervisorConfig;
  readonly #places: readonly Place[];
  /** All that have not ended, those that were replaced among them. */
  readonly #processes = new Map<number, Process>();
  #effects: SupervisorEffect[] = [];
  #now = 0;
  #lastProcess = 0;
  #generation = 1;
  #firstChangeAt: number | undefined;
  #reloadAt = never;
  #killAt = never;
  #wakeAt = never;
  #isReady = false;
  /** The code to leave with, once it leaves. */
  #code: number | undefined;
  #hasLeft = false;

  constructor(config: SupervisorConfig) {
    this.#config = config;
    this.#places = Array.from({ length: config.places }, (_, i) => ({
      ...{ number: i + 1, current: undefined, next: undefined, restartAt: never },
      ...{ crashes: 0, wasReady: false, hasLeft: false },
    }));
  }

  /** Takes one event at the time `now` in milliseconds, and returns the effects to perform in order. */
  handle(event: SupervisorEvent, now: number): SupervisorEffect[] {
    this.#now = now;
    if (!this.#hasLeft) this.#perform(event);
    if (!this.#hasLeft) this.#wake();
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #perform(event: SupervisorEvent): void {
    switch (event.type) {
      case "begin":
        for (const place of this.#places) place.current = this.#spawn(place);
        break;
      case "ready":
        this.#onReady(event.process);
        break;
      case "exited":
        this.#onExited(event.process, event.end);
        break;
      case "changed":
        if (this.#code !== undefined) break;
        this.#firstChangeAt ??= this.#now;
        this.#reloadAt = Math.min(this.#now + quietMs, this.#firstChangeAt + mostQuietMs);
        break;
      case "stop":
        this.#stop(0);
        break;
      case "tick":
        this.#wakeAt = never;
        this.#onTick();
        break;
    }
  }

  #onTick(): void {
    if (this.#killAt <= this.#now) {
      this.#killAt = never;
      for (const process of this.#processes.keys()) this.#effects.push({ type: "kill", process });
    }
    if (this.#reloadAt <= this.#now) this.#reload();
    for (const place of this.#places) {
      if (place.restartAt > this.#now) continue;
      place.restartAt = never;
      place.current = this.#spawn(place);
    }
  }

  #spawn(place: Place): Process {
    const child: Process = { id: ++this.#lastProcess, place, readyAt: undefined };
    this.#processes.set(child.id, child);
    const generation = this.#generation;
    this.#effects.push({ type: "spawn", process: child.id, place: place.number, generation });
    return child;
  }

  #onReady(id: number): void {
    const child = this.#processes.get(id);
    if (child === undefined) return;
    const { place } = child;
    // One that was replaced before does not count.
    if (place.current !== child && place.next !== child) return;
    child.readyAt = this.#now;
    place.wasReady = true;
    if (place.next === child) {
      const before = place.current;
      place.current = child;
      place.next = undefined;
      place.crashes = 0;
      if (before !== undefined) this.#drain(before);
    }
    if (this.#isReady || this.#code !== undefined || this.#places.some(({ wasReady }) => !wasReady)) return;
    this.#isReady = true;
    this.#effects.push({ type: "ready" });
  }

  /** New processes with the new code: the old ones go on until those are ready. */
  #reload(): void {
    this.#reloadAt = never;
    this.#firstChangeAt = undefined;
    this.#generation++;
    for (const place of this.#places) {
      if (place.hasLeft) continue;
      place.restartAt = never;
      place.crashes = 0;
      // What it has may be half of the change, and it may have begun to serve.
      if (place.next !== undefined) this.#drain(place.next);
      if (place.current === undefined) {
        place.next = undefined;
        place.current = this.#spawn(place);
      } else place.next = this.#spawn(place);
    }
  }

  #drain({ id }: Process): void {
    this.#effects.push({ type: "drain", process: id });
  }

  #onExited(id: number, end: ProcessEnd): void {
    const child = this.#processes.get(id);
    if (child === undefined) return;
    this.#processes.delete(id);
    const { place } = child;
    if (this.#code === undefined) {
      if (place.next === child) this.#onNextExited(place, end);
      else if (place.current === child) this.#onCurrentExited(place, child, end);
    }
    this.#leaveIfDone();
  }

  #onNextExited(place: Place, end: ProcessEnd): void {
    place.next = undefined;
    const isServed = place.current !== undefined;
    this.#effects.push({ type: "not-replaced", place: place.number, isServed });
    if (!isServed && end !== "refused") this.#restartLater(place, 0);
  }

  #onCurrentExited(place: Place, { readyAt }: Process, end: ProcessEnd): void {
    place.current = undefined;
    // The one that was to replace it takes its place.
    if (place.next !== undefined) return;
    if (end === "left" && readyAt !== undefined) place.hasLeft = true;
    else if (end !== "refused") this.#restartLater(place, readyAt === undefined ? 0 : this.#now - readyAt);
    else if (!place.wasReady) this.#stop(1);
    else if (this.#config.isWatching) {
      this.#effects.push({ type: "not-replaced", place: place.number, isServed: false });
    } else {
      // It could start once, and others may serve: what keeps it from that may pass.
      this.#restartLater(place, 0);
    }
  }

  #restartLater(place: Place, ranMs: number): void {
    place.crashes = isSteady(ranMs) ? 1 : place.crashes + 1;
    const afterMs = backoffMs(place.crashes, this.#config.random());
    place.restartAt = this.#now + afterMs;
    this.#effects.push({ type: "restart-later", place: place.number, afterMs });
  }

  #stop(code: number): void {
    if (this.#code !== undefined) return;
    this.#code = code;
    this.#reloadAt = never;
    for (const place of this.#places) place.restartAt = never;
    this.#killAt = this.#now + this.#config.killMs;
    for (const process of this.#processes.keys()) this.#effects.push({ type: "terminate", process });
    this.#leaveIfDone();
  }

  /** Also those that were replaced have to end: they may run something. */
  #leaveIfDone(): void {
    if (this.#processes.size > 0 || this.#hasLeft) return;
    if (this.#code === undefined && this.#places.some(({ hasLeft }) => !hasLeft)) return;
    this.#hasLeft = true;
    this.#effects.push({ type: "leave", code: this.#code ?? 0 });
  }

  #wake(): void {
    let at = Math.min(this.#reloadAt, this.#killAt);
    for (const { restartAt } of this.#places) at = Math.min(at, restartAt);
    if (at === this.#wakeAt || at === never) return;
    this.#wakeAt = at;
    this.#effects.push({ type: "wake", at });
  }
}
