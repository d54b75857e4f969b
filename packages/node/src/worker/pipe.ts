// How messages go through a pipe: whole lines, as many as come at once.
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

/** The pipe to the node, and the file with the words that both share. */
export const channelFd = 3;
export const markFd = 4;
/** Of a word there. */
export const wordBytes = 4;

/** Calls `take` with whole lines, as many as there are. */
export function readLines(pipe: Readable, take: (lines: string) => void): void {
  const decoder = new StringDecoder("utf8");
  let parts: string[] = [];
  pipe.on("data", (chunk: Buffer) => {
    const text = decoder.write(chunk);
    const end = text.lastIndexOf("\n");
    if (end < 0) {
      parts.push(text);
      return;
    }
    const lines = parts.join("") + text.slice(0, end);
    parts = end + 1 < text.length ? [text.slice(end + 1)] : [];
    take(lines);
  });
}
