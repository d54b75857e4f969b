// What a worker logs goes to its node's log: as lines, few enough.
import type { Logger } from "zerotask-core";
import { FromWorker } from "./protocol.ts";
import type { ReportCredit } from "./report-credit.ts";

export interface LogRecord {
  readonly level: keyof Logger;
  readonly data: { readonly [name: string]: unknown };
  readonly message: string;
}

const maxLength = 16 * 1024;

/** @param send takes a line */
export function workerLogger(send: (line: string) => void, credit: Pick<ReportCredit, "take">): Logger {
  const at =
    (level: keyof Logger) =>
    (data: object, message: string): void => {
      const text = textOf({ level, data: data as LogRecord["data"], message });
      if (credit.take(text.length, false)) send(`${FromWorker.Log} ${text}`);
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** @throws SyntaxError for what is no JSON */
export function logRecordFrom(text: string): LogRecord {
  return JSON.parse(text) as LogRecord;
}

function textOf(record: LogRecord): string {
  const message = record.message.slice(0, maxLength);
  try {
    const text = JSON.stringify({ ...record, message }, (_name, value: unknown) =>
      value instanceof Error ? { type: value.name, message: value.message, stack: value.stack } : value,
    );
    if (text.length <= 4 * maxLength) return text;
  } catch {
    // Anything may have been thrown, also what JSON can't hold.
  }
  return JSON.stringify({ level: record.level, data: {}, message });
}
