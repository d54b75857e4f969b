// What handlers tell while they run, as it is told wherever they run: within bounds, and whatever it is.
import { inspect } from "node:util";
import { maxEventDataBytes } from "../protocol/events.ts";

const maxMessageLength = 16_384;
const maxTextLength = 10_000;

/** A line of a log: its first 16,384 characters. */
export function toldMessage(message: string): string {
  return message.length > maxMessageLength ? `${message.slice(0, maxMessageLength)}…` : message;
}

/**
 * Data of an event or a line, as it arrives. To tell something must not fail: what JSON can't hold is told as text, and of
 * what is larger than 64 KiB its size, `{too_large: bytes}`.
 */
export function toldData(data: unknown): unknown {
  return measuredData(data).data;
}

/** The same, and about how many bytes it takes up. */
export function measuredData(data: unknown): { readonly data: unknown; readonly bytes: number } {
  if (data === undefined) return { data, bytes: 0 };
  const text = jsonOf(data);
  if (text === undefined) {
    const described = inspect(data, { depth: 2, maxStringLength: 1_000, maxArrayLength: 20 });
    return { data: described.slice(0, maxTextLength), bytes: maxTextLength };
  }
  const bytes = Buffer.byteLength(text);
  return bytes <= maxEventDataBytes
    ? { data: JSON.parse(text), bytes }
    : { data: { too_large: bytes }, bytes: 0 };
}

function jsonOf(data: unknown): string | undefined {
  try {
    return JSON.stringify(data);
  } catch {
    return undefined;
  }
}
