// How a node leaves: at once or when nothing is left to do, and how long it waits for what still runs.
import { knownOptions, milliseconds, OptionError, type Runtime, type Timer } from "zerotask-core";
import { type EmptinessQuestion, EmptinessState } from "./state/emptiness-state.ts";

export interface StopOptions {
  /**
   * Goes on taking tasks until nothing of its methods is queued or due at any of its brokers, and leaves then. Tasks
   * SCHEDULED for later are not waited for; a broker that is not connected is. @default false
   */
  readonly whenEmpty?: boolean;
  /** How long it waits for running tasks before it gives them back; `Infinity` for no bound. @default the node's drainMs */
  readonly drainMs?: number;
}

export interface LeavingHost {
  /** Each link by its number, and whether it is connected. */
  links(): Iterable<readonly [link: number, isConnected: boolean]>;
  ask(question: EmptinessQuestion): void;
  /** Take nothing more, and give back what has not begun. */
  drain(): void;
  /** Whether nothing runs. */
  isIdle(): boolean;
  /** Give back what runs, and leave. */
  close(): Promise<void>;
}

export class Leaving {
  readonly #host: LeavingHost;
  readonly #runtime: Runtime;
  readonly #defaultMs: number;
  #phase: "serving" | "emptying" | "draining" | "stopped" = "serving";
  #emptiness: EmptinessState | undefined;
  /** What it drains with once it is empty. */
  #drainMs: number;
  #endsAt = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;
  #stopped: Promise<void> | undefined;
  #settle: { resolve(): void; reject(error: Error): void } | undefined;

  constructor(host: LeavingHost, { runtime, drainMs }: { runtime: Runtime; drainMs: number }) {
    this.#host = host;
    this.#runtime = runtime;
    this.#defaultMs = drainMs;
    this.#drainMs = drainMs;
  }

  /** Begins to leave, or leaves sooner than was said before. Resolves when the node has left. */
  begin(options: StopOptions): Promise<void> {
    const { whenEmpty, drainMs } = resolveStopOptions(options, this.#defaultMs);
    this.#stopped ??= new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    const stopped = this.#stopped;
    if (!whenEmpty) this.#drain(drainMs);
    else if (this.#phase === "serving") {
      this.#phase = "emptying";
      this.#drainMs = drainMs;
      this.#emptiness = new EmptinessState(this.#host.links());
      if (this.#emptiness.isEmpty) this.#drain(drainMs);
      else this.#ask(this.#emptiness.questions);
    }
    return stopped;
  }

  welcomed(link: number): void {
    this.#ask(this.#emptiness?.welcomed(link) ?? []);
  }

  lost(link: number): void {
    this.#emptiness?.lost(link);
  }

  /** A broker said whether it is empty, or why it can't tell. */
  answered(link: number, answer: boolean | Error): void {
    if (this.#emptiness === undefined) return;
    if (answer instanceof Error) {
      this.#fail(answer);
      return;
    }
    this.#ask(this.#emptiness.answered(link, answer));
    if (this.#emptiness.isEmpty) this.#drain(this.#drainMs);
  }

  /** Nothing runs any more. */
  idle(): void {
    if (this.#phase === "draining") this.#end();
  }

  #ask(questions: readonly EmptinessQuestion[]): void {
    for (const question of questions) this.#host.ask(question);
  }

  /** Such as a broker that does not know the question: the node goes on serving. */
  #fail(error: Error): void {
    this.#phase = "serving";
    this.#emptiness = undefined;
    this.#stopped = undefined;
    this.#settle?.reject(error);
  }

  #drain(drainMs: number): void {
    if (this.#phase === "stopped") return;
    const isFirst = this.#phase !== "draining";
    this.#phase = "draining";
    this.#emptiness = undefined;
    const endsAt = this.#runtime.now() + drainMs;
    if (endsAt < this.#endsAt) {
      this.#endsAt = endsAt;
      this.#timer?.cancel();
      this.#timer = this.#runtime.after(drainMs, () => this.#end());
    }
    if (isFirst) this.#host.drain();
    // What drained may have ended the last run already.
    if (this.#phase === "draining" && this.#host.isIdle()) this.#end();
  }

  #end(): void {
    if (this.#phase === "stopped") return;
    this.#phase = "stopped";
    this.#timer?.cancel();
    this.#host.close().then(
      () => this.#settle?.resolve(),
      (error: Error) => this.#settle?.reject(error),
    );
  }
}

/** @throws OptionError for an unknown name, or a value of the wrong type */
function resolveStopOptions(options: StopOptions, defaultMs: number): Required<StopOptions> {
  knownOptions("stop", options, ["whenEmpty", "drainMs"]);
  const { whenEmpty = false, drainMs = defaultMs } = options;
  if (typeof whenEmpty !== "boolean") throw new OptionError("whenEmpty", "true or false", whenEmpty);
  return {
    whenEmpty,
    drainMs: drainMs === Number.POSITIVE_INFINITY ? drainMs : milliseconds("drainMs", drainMs),
  };
}
