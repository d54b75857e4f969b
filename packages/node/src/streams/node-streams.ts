// Which runs of this node have streams: what brokers push of streams finds its run here.
import type { Params } from "zerotask-core";

/** The run of a task that may have streams. */
export interface StreamingRun {
  readonly link: number;
  readonly id: string;
  readonly hasStreams: boolean;
}

/** What leads to the streams of runs, wherever these run. */
export interface StreamEnds<R> {
  /** What a broker pushed. */
  onStream(run: R, method: string, params: Params | undefined): void;
  /** The connection is there again: what was sent or told meanwhile got lost. */
  resumeStreams(run: R): void;
}

export class NodeStreams<R extends StreamingRun> {
  readonly #ends: StreamEnds<R>;
  readonly #runs = new Map<string, R>();

  constructor(ends: StreamEnds<R>) {
    this.#ends = ends;
  }

  /** The run begins. */
  add(run: R): void {
    if (run.hasStreams) this.#runs.set(keyOf(run.link, run.id), run);
  }

  /** The run is over. */
  remove(run: R): void {
    if (!run.hasStreams) return;
    const key = keyOf(run.link, run.id);
    // After a restart of the broker another run may have the same id.
    if (this.#runs.get(key) === run) this.#runs.delete(key);
  }

  /** What the broker pushed. What is of no run here is late. */
  onPush(link: number, method: string, params: Params | undefined): void {
    const { id } = params as { readonly id: string };
    const run = this.#runs.get(keyOf(link, id));
    if (run !== undefined) this.#ends.onStream(run, method, params);
  }

  /** The connection is there again: what was sent or told meanwhile got lost. */
  resume(link: number): void {
    for (const run of this.#runs.values()) if (run.link === link) this.#ends.resumeStreams(run);
  }
}

function keyOf(link: number, id: string): string {
  return `${link} ${id}`;
}
