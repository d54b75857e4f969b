// What the streams of a run send to its broker, over whatever leads there.
import {
  BrokerMethod,
  batchText,
  type ItemLimits,
  notification,
  type Runtime,
  type StreamShape,
} from "zerotask-core";
import { RunStreams } from "./run-streams.ts";

/** What leads to the brokers. */
export interface StreamLinks {
  /** Sends a text now, or loses it. */
  send(link: number, text: string): void;
  limits(link: number): ItemLimits;
  /** @default performance.now */
  readonly now?: () => number;
}

const noItems: ItemLimits = { bytes: 0, depth: 0 };

/** @param linkOf what leads to a broker, as long as there is anything */
export function linksOver(
  linkOf: (link: number) => { send(text: string): void; readonly limits: ItemLimits } | undefined,
  runtime: Pick<Runtime, "now">,
): StreamLinks {
  return {
    send: (link, text) => linkOf(link)?.send(text),
    limits: (link) => linkOf(link)?.limits ?? noItems,
    now: () => runtime.now(),
  };
}

/** The streams of a new run. */
export function streamsOver(
  { send, limits, now }: StreamLinks,
  link: number,
  id: string,
  shape: StreamShape,
): RunStreams {
  return new RunStreams(shape, {
    limits: () => limits(link),
    now,
    items: (batch) => send(link, batchText(BrokerMethod.NodeStreamItems, { id }, batch)),
    inputGrant: (input, grant) =>
      send(link, JSON.stringify(notification(BrokerMethod.NodeInputGrant, { id, input, ...grant }))),
  });
}
