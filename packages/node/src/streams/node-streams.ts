// Which runs of this node have streams: what brokers push of streams finds its run here.
import {
  BrokerMethod,
  batchText,
  type InputKey,
  type ItemLimits,
  notification,
  type Params,
  Push,
  type StreamBatch,
  type StreamGrant,
  type StreamShape,
} from "zerotask-core";
import { RunStreams } from "./run-streams.ts";

/** The run of a task that may have streams. */
export interface StreamingRun {
  readonly link: number;
  readonly id: string;
  readonly streams: RunStreams | undefined;
}

/** What leads to the brokers. */
export interface StreamLinks {
  /** Sends a text now, or loses it. */
  send(link: number, text: string): void;
  limits(link: number): ItemLimits;
}

export class NodeStreams {
  readonly #links: StreamLinks;
  readonly #runs = new Map<string, StreamingRun>();

  constructor(links: StreamLinks) {
    this.#links = links;
  }

  /** The streams of a new run. */
  make(link: number, id: string, shape: StreamShape): RunStreams {
    const { send, limits } = this.#links;
    return new RunStreams(shape, {
      limits: () => limits(link),
      items: (batch) => send(link, batchText(BrokerMethod.NodeStreamItems, { id }, batch)),
      inputGrant: (input, grant) =>
        send(link, JSON.stringify(notification(BrokerMethod.NodeInputGrant, { id, input, ...grant }))),
    });
  }

  /** The run begins. */
  add(run: StreamingRun): void {
    if (run.streams !== undefined) this.#runs.set(keyOf(run.link, run.id), run);
  }

  /** The run is over. */
  remove(run: StreamingRun): void {
    if (run.streams === undefined) return;
    const key = keyOf(run.link, run.id);
    // After a restart of the broker another run may have the same id.
    if (this.#runs.get(key) === run) this.#runs.delete(key);
  }

  /** What the broker pushed. What is of no run here is late. */
  onPush(link: number, method: string, params: Params | undefined): void {
    const { id, input, ...message } = params as { readonly id: string; readonly input?: InputKey };
    const streams = this.#runs.get(keyOf(link, id))?.streams;
    if (method === Push.StreamGrant) streams?.onGrant(message as StreamGrant);
    else if (method === Push.StreamInput && input !== undefined)
      streams?.onInput(input, message as StreamBatch);
  }

  /** The connection is there again: what was sent or told meanwhile got lost. */
  resume(link: number): void {
    for (const run of this.#runs.values()) if (run.link === link) run.streams?.resume();
  }
}

function keyOf(link: number, id: string): string {
  return `${link} ${id}`;
}
