// An answer that its broker would not take is its task's failure: told where the answer is made, before anybody carries it.
import { ErrorCode, errorObject, failure, isLongerThan } from "zerotask-core";

/** @returns `text`, the JSON of the response to `id`, or that of a failure where it has more than `most` bytes */
export function answerWithin(id: string, text: string, most: number): string {
  if (!isLongerThan(text, most)) return text;
  const message = `Expected a result of at most ${most} bytes, got ${Buffer.byteLength(text)}`;
  return JSON.stringify(failure(id, errorObject(ErrorCode.TooLarge, message)));
}
