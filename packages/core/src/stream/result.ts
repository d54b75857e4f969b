// What an iterator gives has to be a result: what is none would be an item without a value, again and again.
import { describe } from "../protocol/decode.ts";

/** As `for await` has it. @throws TypeError for what is no object */
export function checkedResult(result: unknown): IteratorResult<unknown> {
  if ((typeof result === "object" && result !== null) || typeof result === "function") {
    return result as IteratorResult<unknown>;
  }
  throw new TypeError(`Expected an iterator whose next() gives {done, value}, got ${describe(result)}`);
}
