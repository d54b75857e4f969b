// JSON that may come from anybody: a bound on nesting, and text that can't be undecodable.
import { isUtf8 } from "node:buffer";

/**
 * Whether `value`, as parsed from JSON, nests arrays and objects deeper than `limit`.
 * Recursion goes no deeper than `limit`, whatever the value.
 */
export function isDeeperThan(value: unknown, limit: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (limit <= 0) return true;
  if (Array.isArray(value)) {
    for (const item of value) {
      if (typeof item === "object" && item !== null && isDeeperThan(item, limit - 1)) return true;
    }
    return false;
  }
  for (const item of Object.values(value)) {
    if (typeof item === "object" && item !== null && isDeeperThan(item, limit - 1)) return true;
  }
  return false;
}

/** JSON in which equal values have equal texts: the members of objects are in the order of their names. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_name, item: unknown) => {
    if (typeof item !== "object" || item === null || Array.isArray(item)) return item;
    const names = Object.keys(item);
    if (names.length < 2) return item;
    const entries = names.sort().map((name) => [name, item[name as keyof typeof item]]);
    return Object.fromEntries(entries);
  });
}

/** Whether `text` has more than `most` bytes as UTF-8. A UTF-16 unit has at most three: only what may be too long is measured. */
export function isLongerThan(text: string, most: number): boolean {
  return text.length * 3 > most && Buffer.byteLength(text) > most;
}

/**
 * Parses UTF-8 JSON (RFC 8259: no byte order mark).
 * @throws SyntaxError when the bytes are not UTF-8 or not JSON; the message names what came.
 */
export function parseJson(bytes: Uint8Array): unknown {
  if (!isUtf8(bytes)) throw new SyntaxError("Expected UTF-8, got bytes that are not");
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
}
