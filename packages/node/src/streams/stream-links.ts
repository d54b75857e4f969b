// What the streams of a run send to its broker, over whatever leads there.
import { BrokerMethod, batchText, type ItemLimits, notification, type StreamShape } from "zerotask-core";
import { RunStreams } from "./run-streams.ts";

/** What leads to the brokers. */
export interface StreamLinks {
  /** Sends a text now, or loses it. */
  send(link: number, text: string): void;
  limits(link: number): ItemLimits;
  /** @default performance.now */
  readonly now?: () => number;
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
