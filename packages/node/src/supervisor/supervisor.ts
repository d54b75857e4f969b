// The shell of the supervisor: starts processes, tells them what to do, and performs the effects of the state machine.
import { type ChildProcess, fork } from "node:child_process";
import type { Logger, Runtime, Timer } from "zerotask-core";
import {
  type ProcessEnd,
  type SupervisorEffect,
  type SupervisorEvent,
  SupervisorState,
} from "./state/supervisor-state.ts";
import { drainMessage, readReady, refusedExitCode } from "./supervised.ts";

export interface SupervisorOptions {
  readonly processes: number;
  readonly isWatching: boolean;
  /** The script that a process runs, and what it is given. */
  readonly script: string;
  readonly args: (place: number, generation: number) => readonly string[];
  /** How long a process that was told to end may take. */
  readonly killMs: number;
  readonly logger: Logger;
  readonly runtime: Runtime;
  /** Each process has come to serve for the first time. */
  readonly onReady: (methods: readonly string[]) => void;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #state: SupervisorState;
  readonly #children = new Map<number, ChildProcess>();
  readonly #left: Promise<number>;
  #leave: (code: number) => void = () => undefined;
  #methods: readonly string[] = [];
  #timer: Timer | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const { processes, isWatching, killMs, runtime } = options;
    this.#state = new SupervisorState({
      ...{ places: processes, isWatching, killMs },
      random: () => runtime.random(),
    });
    this.#left = new Promise((resolve) => {
      this.#leave = resolve;
    });
  }

  /** Starts all. Resolves with the code to exit with, when the last process has ended. */
  async run(): Promise<number> {
    this.#handle({ type: "begin" });
    return this.#left;
  }

  /** The modules have changed. */
  changed(): void {
    this.#handle({ type: "changed" });
  }

  /** Ends all: `run` resolves when they have ended. */
  async stop(): Promise<void> {
    this.#handle({ type: "stop" });
    await this.#left;
  }

  #handle(event: SupervisorEvent): void {
    const { logger, runtime } = this.#options;
    for (const effect of this.#state.handle(event, runtime.now())) {
      try {
        this.#perform(effect);
      } catch (error) {
        logger.error({ err: error }, `could not perform ${effect.type}`);
      }
    }
  }

  #perform(effect: SupervisorEffect): void {
    const { logger, runtime, onReady } = this.#options;
    switch (effect.type) {
      case "spawn":
        this.#spawn(effect);
        break;
      case "drain":
        this.#drain(effect.process);
        break;
      case "terminate":
        this.#children.get(effect.process)?.kill("SIGTERM");
        break;
      case "kill":
        this.#children.get(effect.process)?.kill("SIGKILL");
        break;
      case "ready":
        onReady(this.#methods);
        break;
      case "restart-later":
        logger.warn(
          { place: effect.place, afterMs: effect.afterMs },
          "a process crashed, and is started again",
        );
        break;
      case "not-replaced":
        logger.error(
          { place: effect.place },
          `the changed modules can't be run: ${effect.isServed ? "the old ones go on" : "waits for the next change"}`,
        );
        break;
      case "leave":
        this.#timer?.cancel();
        this.#leave(effect.code);
        break;
      case "wake": {
        this.#timer?.cancel();
        const ms = Math.max(1, Math.ceil(effect.at - runtime.now()));
        this.#timer = runtime.after(ms, () => this.#handle({ type: "tick" }));
        break;
      }
    }
  }

  #spawn({ process: id, place, generation }: Extract<SupervisorEffect, { type: "spawn" }>): void {
    const { script, args } = this.#options;
    const child = fork(script, [...args(place, generation)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#children.set(id, child);
    child.on("message", (message) => {
      const methods = readReady(message);
      if (methods === undefined) return;
      this.#methods = methods;
      this.#handle({ type: "ready", process: id });
    });
    child.on("error", (error) => {
      this.#options.logger.error({ err: error, place }, "a process can't be started, or told anything");
      // One that never was does not exit either.
      if (child.pid === undefined) this.#onEnd(id, "crashed");
    });
    child.on("exit", (code) => {
      this.#onEnd(id, code === 0 ? "left" : code === refusedExitCode ? "refused" : "crashed");
    });
  }

  #drain(id: number): void {
    const child = this.#children.get(id);
    // One that is about to exit has closed its channel already.
    if (child?.connected === true) child.send(drainMessage, () => undefined);
  }

  #onEnd(id: number, end: ProcessEnd): void {
    if (this.#children.delete(id)) this.#handle({ type: "exited", process: id, end });
  }
}
