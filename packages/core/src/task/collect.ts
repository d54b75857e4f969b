// What a handler yields where nobody asked for a stream: one result, no larger than can be sent, as it may have no end.
import { TooLargeError } from "../errors.ts";
import { ErrorCode } from "../protocol/error-codes.ts";
import { defaultLimits } from "../protocol/limits.ts";
import type { Scope } from "./scope.ts";

/** What was yielded is more than one result can be. It is told as of any other result: the handler threw nothing. */
export class UncollectableError extends TooLargeError {
  constructor(most: number) {
    const message = `Expected a result of at most ${most} bytes, got more: a handler may yield more to who reads a stream`;
    super(message, ErrorCode.TooLarge);
  }
}

/** Items that never wait for anything would let nothing else happen: they are taken for so long at once. */
const maxTurnMs = 10;
// The genuine one, also where a test has put its own clock in place of the timers.
const defer = setImmediate;

/**
 * All items; those so far where nobody wants the run any more, or where one can't be sent: then none can.
 * @throws UncollectableError when they are too large together, and what the iterable throws
 */
export async function collect(items: AsyncIterable<unknown>, scope: Scope | undefined): Promise<unknown[]> {
  const most = scope?.maxResultBytes ?? defaultLimits.maxMessageBytes;
  const signal = signalOf(scope);
  const all: unknown[] = [];
  // By the clock of the run: where time is virtual, none passes while items are made.
  const now = (): number => scope?.now?.() ?? performance.now();
  let turnAt = now();
  let bytes = 1;
  for await (const item of items) {
    // Nobody wants them any more, and they may have no end.
    if (signal?.aborted === true) break;
    all.push(item);
    const size = bytesOf(item);
    if (size === undefined) break;
    bytes += size + 1;
    if (bytes > most) throw new UncollectableError(most);
    if (now() - turnAt < maxTurnMs) continue;
    await new Promise((resolve) => defer(resolve));
    turnAt = now();
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
