// Iterators as they are read by hand: what they give has to be a result, as what is none would be an item without a value,
// again and again; and they are closed where nobody reads on.
import { describe } from "../protocol/decode.ts";

/** As `for await` has it. @throws TypeError for what is no object */
export function checkedResult(result: unknown): IteratorResult<unknown> {
  if ((typeof result === "object" && result !== null) || typeof result === "function") {
    return result as IteratorResult<unknown>;
  }
  throw new TypeError(`Expected an iterator whose next() gives {done, value}, got ${describe(result)}`);
}

/** Lets the iterator's `finally` blocks run, as leaving a `for await` does. @throws what it throws then */
export async function closeIterator(iterator: AsyncIterator<unknown>): Promise<void> {
  await iterator.return?.();
}
