// How what a handler threw in a worker gets to the node, whose listeners and logs take errors.
import { errorToWire, InvalidParamsError, RetryError, TaskError } from "zerotask-core";

interface Thrown {
  readonly kind: "expected" | "params" | "retry" | "error" | "value";
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly data?: unknown;
}

/** Most of it that is passed on whole, in UTF-16 units; and what is of each text of more than that. */
const maxLength = 256 * 1024;
const cutLength = 16 * 1024;

/** @returns JSON, of bounded length */
export function thrownToText(error: unknown): string {
  const { message, data } = errorToWire(error);
  const { name = "Error", stack, data: inner } = (data ?? {}) as Partial<Thrown>;
  const kind = kindOf(error);
  const text = JSON.stringify({ kind, name, message, stack, data: inner });
  if (text.length <= maxLength) return text;
  return JSON.stringify({
    kind: kind === "value" ? "error" : kind,
    ...{ name: cut(name), message: cut(message), ...(stack !== undefined && { stack: cut(stack) }) },
  });
}

export function thrownFromText(text: string): unknown {
  const { kind, name, message, stack, data } = JSON.parse(text) as Thrown;
  switch (kind) {
    case "expected":
      return new TaskError(message, data);
    case "params":
      return new InvalidParamsError(message);
    case "retry":
      return new RetryError({ message });
    case "value":
      return data;
    case "error":
      return likeThrown(name, message, stack, data);
  }
}

function cut(text: string): string {
  return text.length > cutLength ? `${text.slice(0, cutLength)}…` : text;
}

function kindOf(error: unknown): Thrown["kind"] {
  if (error instanceof TaskError) return "expected";
  if (error instanceof InvalidParamsError) return "params";
  if (error instanceof RetryError) return "retry";
  return error instanceof Error ? "error" : "value";
}

function likeThrown(name: string, message: string, stack: string | undefined, data: unknown): Error {
  const error = new Error(message);
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return data === undefined ? error : Object.assign(error, { data });
}
