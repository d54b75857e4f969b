// One run of a task in this process, and what `current()` returns in it.
import {
  EventName,
  inScope,
  OptionError,
  type Runtime,
  type Scope,
  type TaskContext,
  type TaskLog,
  toldData,
  toldMessage,
} from "zerotask-core";
import { inputsOf } from "./local-input.ts";
import type { LocalTask } from "./local-task.ts";
import type { Stopping } from "./stopping.ts";

/** What runs of one client share. */
export interface LocalRunHost {
  readonly runtime: Runtime;
  readonly resources: { readonly [name: string]: unknown };
  /** The client by which this run calls other tasks. */
  clientOf(run: LocalRun): unknown;
  onThrown(run: LocalRun, error: unknown): void;
}

const maxEventName = 200;

export class LocalRun implements Scope, TaskContext {
  readonly id: string;
  readonly attempt: number;
  readonly method: string;
  readonly trace: string;
  readonly deadline: number | undefined;
  readonly log: TaskLog;
  readonly consume: Scope["consume"];
  readonly #task: LocalTask;
  readonly #host: LocalRunHost;
  readonly #until: number | undefined;
  #controller: AbortController | undefined;
  #client: unknown;
  isAborted = false;
  /** Whether it takes up a slot: not while it waits for a call of its own, nor when it has ended. */
  hasSlot = true;
  hasEnded = false;
  /** Where it is to end before its time. */
  stopping: Stopping | undefined;

  constructor(task: LocalTask, timeoutMs: number | undefined, host: LocalRunHost) {
    const { id, method, trace = id, stream } = task.asked;
    const { runtime } = host;
    this.id = id;
    this.attempt = task.attempt;
    this.method = method;
    this.trace = trace;
    this.deadline = timeoutMs === undefined ? undefined : Math.round(runtime.wall() + timeoutMs);
    this.#until = timeoutMs === undefined ? undefined : runtime.now() + timeoutMs;
    this.log = logOf(task, this);
    this.consume = stream && ((items) => stream.consume(items));
    this.#task = task;
    this.#host = host;
  }

  context(): TaskContext {
    return this;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.isAborted) this.#controller.abort();
    return this.#controller.signal;
  }

  get client(): unknown {
    this.#client ??= this.#host.clientOf(this);
    return this.#client;
  }

  emit(event: string, data?: unknown): void {
    if (
      typeof event !== "string" ||
      event === "" ||
      event.length > maxEventName ||
      event === EventName.Status
    ) {
      throw new OptionError("event", `a name of 1 to ${maxEventName} characters other than "status"`, event);
    }
    const told = toldData(data);
    // What is no progress is passed over by brokers, too.
    if (event === EventName.Progress && !isProgress(told)) return;
    this.#tell(event, told);
  }

  progress(fraction: number, note?: string): void {
    if (typeof fraction !== "number" || !(fraction >= 0 && fraction <= 1)) {
      throw new OptionError("fraction", "a number from 0 to 1", fraction);
    }
    if (note !== undefined && typeof note !== "string") throw new OptionError("note", "a string", note);
    this.#tell(EventName.Progress, note === undefined ? { fraction } : { fraction, note });
  }

  resource<T>(name: string): T {
    const { resources } = this.#host;
    if (Object.hasOwn(resources, name)) return resources[name] as T;
    const names = Object.keys(resources).map((known) => JSON.stringify(known));
    throw new Error(
      `Expected the name of a resource (${names.join(", ") || "nothing"}), got ${JSON.stringify(name)}`,
    );
  }

  now(): number {
    return this.#host.runtime.now();
  }

  onThrown(error: unknown): void {
    if (!this.isAborted) this.#host.onThrown(this, error);
  }

  remainingMs(): number | undefined {
    return this.#until === undefined ? undefined : this.#until - this.#host.runtime.now();
  }

  /** Its outcome counts no more: its signal fires, and who listens to that is in this run. */
  abort(): void {
    this.isAborted = true;
    const controller = this.#controller;
    if (controller !== undefined) inScope(this, () => controller.abort());
    for (const input of inputsOf(this.#task.params)) input.abort();
  }

  /** What a run tells that was given up is not heard. */
  #tell(event: string, data: unknown): void {
    if (this.#task.run === this && event !== EventName.Gap) this.#task.tell(event, data);
  }
}

function isProgress(data: unknown): boolean {
  if (typeof data !== "object" || data === null) return false;
  const { fraction, note } = data as { readonly fraction?: unknown; readonly note?: unknown };
  const isFraction = typeof fraction === "number" && fraction >= 0 && fraction <= 1;
  return isFraction && (note === undefined || typeof note === "string");
}

function logOf(task: LocalTask, run: LocalRun): TaskLog {
  const { attempt } = task;
  const at = (level: "debug" | "info" | "warn" | "error") => (message: string, data?: unknown) => {
    if (task.run === run) task.log(level, attempt, toldMessage(String(message)), toldData(data));
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
