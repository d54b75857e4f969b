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
  if (data === undefined) return undefined;
  const text = jsonOf(data);
  if (text === undefined)
    return inspect(data, { depth: 2, maxStringLength: 1_000, maxArrayLength: 20 }).slice(0, maxTextLength);
  const bytes = Buffer.byteLength(text);
  return bytes <= maxEventDataBytes ? JSON.parse(text) : { too_large: bytes };
}

function jsonOf(data: unknown): string | undefined {
  try {
    return JSON.stringify(data);
  } catch {
    return undefined;
  }
}
