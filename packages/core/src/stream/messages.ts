// The text of what carries items, made of items that are JSON already.
import type { EncodedBatch } from "./producer.ts";

/** A notification. @param ids says which stream it is of */
export function batchText(method: string, ids: object, { items, ...others }: EncodedBatch): string {
  const head = JSON.stringify({ ...ids, ...others });
  return `{"jsonrpc":"2.0","method":"${method}","params":${head.slice(0, -1)},"items":${items}}}`;
}
