// What becomes of what a handler answered: as it would arrive from another process.
import {
  defaultLimits,
  ErrorCode,
  encodeResponse,
  errorObject,
  isDeeperThan,
  isLongerThan,
  type Outcome,
  outcomeOf,
  type Response,
} from "zerotask-core";

/** As it would arrive. */
export function copied(response: Response): Outcome {
  const { maxMessageBytes: most, maxDepth: deepest } = defaultLimits;
  const text = encodeResponse(response);
  if (isLongerThan(text, most)) {
    return tooLarge(`Expected a result of at most ${most} bytes, got ${Buffer.byteLength(text)}`);
  }
  const copy = JSON.parse(text) as Response;
  if (isDeeperThan(copy, deepest)) {
    return tooLarge(`Expected a result of at most ${deepest} levels of nesting, got more`);
  }
  return outcomeOf(copy);
}

function tooLarge(message: string): Outcome {
  return { error: errorObject(ErrorCode.TooLarge, message) };
}

/** That a handler asks to be run again is no outcome. */
export function final(outcome: Outcome): Outcome {
  if (!("error" in outcome) || outcome.error.code !== ErrorCode.RunAgain) return outcome;
  const message = `The task asked to be run again more often than it may: ${outcome.error.message}`;
  return { error: errorObject(ErrorCode.TaskFailed, message, { name: "RetryError", message }) };
}
