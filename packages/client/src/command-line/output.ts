// What is printed: no faster than it is read, no longer than somebody reads it, and nothing that moves a terminal's cursor.

/** Lines on a stream, such as stdout. */
export interface Lines {
  /** Resolves when there is room for more: to `false` where nobody reads any more. */
  write(line: string): Promise<boolean>;
}

/** A reader that leaves early, as `head` does, is no error: what is printed then goes nowhere. */
export function allowReaderToLeave(stream: NodeJS.WriteStream): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (!isReaderGone(error)) throw error;
  });
}

/** The stream is one whose reader is allowed to leave. */
export function linesTo(stream: NodeJS.WriteStream): Lines {
  let isRead = true;
  return {
    write: (line) => {
      if (!isRead) return Promise.resolve(false);
      return new Promise((resolve) => {
        // Called when it is written, or can't be.
        stream.write(`${line}\n`, (error) => {
          if (error) isRead = false;
          resolve(isRead);
        });
      });
    },
  };
}

/** What comes from a handler as a part of one line: without newlines and all else that controls a terminal. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, " ");
}

function isReaderGone({ code }: NodeJS.ErrnoException): boolean {
  return code === "EPIPE" || code === "ERR_STREAM_DESTROYED";
}
