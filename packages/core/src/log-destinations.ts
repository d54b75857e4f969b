// Where a command line logs to, and in which form. What makes the streams stays with the command lines: a program that
// uses the packages brings its own logger, and loads no other.

export const logFormats = ["json", "pretty"] as const;

export interface LogFlags {
  readonly loglevel: string;
  /** How it looks on stderr. */
  readonly logFormat: (typeof logFormats)[number];
  /** Files that are written, too, as JSON. */
  readonly logFile?: readonly string[];
}

export interface LogStream<Stream> {
  readonly level: "trace";
  readonly stream: Stream;
}

const stderr = 2;

/** Reads an option that may be given several times. */
export function logFileOption(path: string, before: readonly string[] = []): readonly string[] {
  return [...before, path];
}

/** A stream for each destination. All of them get what the logger's own level lets through. */
export function logStreams<Stream>(
  { logFormat, logFile = [] }: LogFlags,
  json: (destination: string | number) => Stream,
  pretty: (destination: number) => Stream,
): LogStream<Stream>[] {
  const console = logFormat === "pretty" ? pretty(stderr) : json(stderr);
  return [console, ...logFile.map(json)].map((stream) => ({ level: "trace", stream }));
}
