// What a handler yields where nobody asked for a stream: one result, no larger than can be sent, as it may have no end.
import { TooLargeError } from "../errors.ts";
import { ErrorCode } from "../protocol/error-codes.ts";
import { defaultLimits } from "../protocol/limits.ts";
import type { Scope } from "./scope.ts";
import { Turns } from "./turns.ts";

/** What was yielded is more than one result can be. It is told as of any other result: the handler threw nothing. */
export class UncollectableError extends TooLargeError {
  constructor(most: number) {
    const message = `Expected a result of at most ${most} bytes, got more: a handler may yield more to who reads a stream`;
    super(message, ErrorCode.TooLarge);
  }
}

/**
 * All items; those so far where nobody wants the run any more, or where one can't be sent: then none can.
 * @throws UncollectableError when they are too large together, and what the iterable throws
 */
export async function collect(items: AsyncIterable<unknown>, scope: Scope | undefined): Promise<unknown[]> {
  const most = scope?.maxResultBytes ?? defaultLimits.maxMessageBytes;
  const signal = signalOf(scope);
  const all: unknown[] = [];
  const turns = new Turns(scope);
  let bytes = 1;
  for await (const item of items) {
    // Nobody wants them any more, and they may have no end.
    if (signal?.aborted === true) break;
    all.push(item);
    const size = bytesOf(item);
    if (size === undefined) break;
    bytes += size + 1;
    if (bytes > most) throw new UncollectableError(most);
    if (turns.isOver) await turns.end();
  }
  return all;
}

/** As JSON; `undefined` where there is none. */
function bytesOf(item: unknown): number | undefined {
  try {
    return Buffer.byteLength(JSON.stringify(item) ?? "null");
  } catch {
    return undefined;
  }
}

function signalOf(scope: Scope | undefined): AbortSignal | undefined {
  try {
    return scope?.context().signal;
  } catch {
    // There is no context that all of its calls share.
    return undefined;
  }
}
