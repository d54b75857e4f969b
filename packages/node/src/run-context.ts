// What `current()` returns in a handler: what is known of its run, and what it can tell and ask.

import type { NestedClient } from "zerotask-client";
import {
  type TaskContext as CoreContext,
  OptionError,
  type Runtime,
  type StreamShape,
  type TaskLog,
} from "zerotask-core";
import type { Pipeline } from "./pipeline/pipeline.ts";
import type { Reports } from "./reports.ts";
import type { Run } from "./run.ts";
import type { RunStreams } from "./streams/run-streams.ts";

export interface TaskContext<Methods = unknown> extends CoreContext {
  /**
   * Calls other tasks: they have no more time than this one, and belong to its trace. While this task waits for them its
   * slot is free for others, so that a node never waits for itself. By its `$later` it submits tasks, which have time of
   * their own.
   */
  readonly client: NestedClient<Methods>;
}

/** What runs of one process share. */
export interface RunHost {
  readonly runtime: Runtime;
  readonly reports: Reports;
  /** What surrounds their handlers, and what is provided to them. */
  readonly pipeline: Pipeline;
  /** The client of this run. */
  clientOf(run: Run): NestedClient;
  /** The streams of a new run. */
  streamsOf(link: number, id: string, shape: StreamShape): RunStreams;
  /** How large a result the broker of this link takes. */
  maxResultBytes(link: number): number;
  /** Is told of what a handler threw. */
  onThrown(run: Run, error: unknown): void;
}

const maxEventName = 200;
/** Tells of changes of the status, which are the broker's to tell. */
const statusEvent = "status";

export class RunContext implements TaskContext {
  readonly id: string;
  readonly attempt: number;
  readonly method: string;
  readonly trace: string;
  readonly deadline: number | undefined;
  readonly log: TaskLog;
  /** As the handler gets them; known where anything surrounds it. */
  params: readonly unknown[] = [];
  readonly #run: Run;
  readonly #host: RunHost;
  #controller: AbortController | undefined;
  #client: NestedClient | undefined;

  constructor(run: Run, host: RunHost) {
    const mark = run.id.lastIndexOf("#");
    this.id = run.id.slice(0, mark);
    this.attempt = Number(run.id.slice(mark + 1));
    this.method = run.request.method;
    this.trace = run.request.meta?.trace ?? this.id;
    const remaining = run.remainingMs();
    this.deadline = remaining === undefined ? undefined : Math.round(host.runtime.wall() + remaining);
    this.log = logOf(run, host);
    this.#run = run;
    this.#host = host;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#run.isAborted) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  get client(): NestedClient {
    this.#client ??= this.#host.clientOf(this.#run);
    return this.#client;
  }

  emit(event: string, data?: unknown): void {
    if (typeof event !== "string" || event === "" || event.length > maxEventName || event === statusEvent) {
      throw new OptionError("event", `a name of 1 to ${maxEventName} characters other than "status"`, event);
    }
    this.#host.reports.event(this.#run, event, data);
  }

  progress(fraction: number, note?: string): void {
    if (typeof fraction !== "number" || !(fraction >= 0 && fraction <= 1)) {
      throw new OptionError("fraction", "a number from 0 to 1", fraction);
    }
    if (note !== undefined && typeof note !== "string") throw new OptionError("note", "a string", note);
    this.#host.reports.progress(this.#run, note === undefined ? { fraction } : { fraction, note });
  }

  resource<T>(name: string): T {
    return this.#host.pipeline.resource(name) as T;
  }

  abort(): void {
    this.#controller?.abort();
  }

  end(): void {
    this.#host.reports.flush(this.#run);
  }
}

function logOf(run: Run, { reports, runtime }: RunHost): TaskLog {
  const at = (level: "debug" | "info" | "warn" | "error") => (message: string, data?: unknown) =>
    reports.log(run, { at: runtime.wall(), level, message: String(message), data });
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
