// What a caller gives to go on with a list, checked alike by every store.
import { OptionError } from "zerotask-core";

/**
 * The place after which a page begins.
 * @throws OptionError when it is not the `next` of a page
 */
export function pageStart(after: string | undefined): number {
  if (after === undefined) return 0;
  if (!/^[0-9]{1,15}$/.test(after)) throw new OptionError("after", "the `next` of a page", after);
  return Number(after);
}

/** The page of failed tasks that begins before this place; the first one has none. */
export interface FailedPlace {
  readonly settledAt: number;
  readonly number: number;
}

const failedPlace = /^([0-9]{1,16}(?:\.[0-9]{1,20})?):([0-9]{1,15})$/;

/**
 * Where to go on with a list of failed tasks.
 * @throws OptionError when it is not the `next` of such a page
 */
export function failedStart(after: string | undefined): FailedPlace {
  if (after === undefined) return { settledAt: Infinity, number: Infinity };
  const [, settledAt, number] = failedPlace.exec(after) ?? [];
  if (number === undefined) throw new OptionError("after", "the `next` of a page", after);
  return { settledAt: Number(settledAt), number: Number(number) };
}

export function encodeFailedPlace({ settledAt, number }: FailedPlace): string {
  return `${settledAt}:${number}`;
}
