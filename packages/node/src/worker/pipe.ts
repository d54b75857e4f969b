// How messages go through a pipe: whole lines, as many as come at once.
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

/** The pipe to the node, and the file with the words that both share. */
export const channelFd = 3;
export const markFd = 4;
/** Of a word there. */
export const wordBytes = 4;

export interface LineBound {
  /** Longest line, in UTF-16 units. */
  most(): number;
  /** A longer one came, in many pieces, and is not kept. Nothing more is read. */
  onTooLong(): void;
}

/** Calls `take` with whole lines, as many as there are. */
export function readLines(pipe: Readable, take: (lines: string) => void, bound?: LineBound): void {
  const decoder = new StringDecoder("utf8");
  let parts: string[] = [];
  let length = 0;
  pipe.on("data", (chunk: Buffer) => {
    const text = decoder.write(chunk);
    const end = text.lastIndexOf("\n");
    length += end < 0 ? text.length : text.indexOf("\n");
    if (bound !== undefined && length > bound.most()) {
      parts = [];
      pipe.removeAllListeners("data").resume();
      bound.onTooLong();
      return;
    }
    if (end < 0) {
      parts.push(text);
      return;
    }
    length = text.length - end - 1;
    const lines = parts.join("") + text.slice(0, end);
    parts = end + 1 < text.length ? [text.slice(end + 1)] : [];
    take(lines);
  });
}
