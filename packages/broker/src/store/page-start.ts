// What a caller gives to go on with a list, checked alike by every store.
import { OptionError } from "zerotask-core";
import { type FailedPlace, parseFailedPlace } from "../state/storage/failed-place.ts";

/**
 * The place after which a page begins.
 * @throws OptionError when it is not the `next` of a page
 */
export function pageStart(after: string | undefined): number {
  if (after === undefined) return 0;
  if (!/^[0-9]{1,15}$/.test(after)) throw new OptionError("after", "the `next` of a page", after);
  return Number(after);
}

/**
 * Where to go on with a list of failed tasks.
 * @throws OptionError when it is not the `next` of such a page
 */
export function failedStart(after: string | undefined): FailedPlace {
  if (after === undefined) return { settledAt: Infinity, number: Infinity };
  const place = parseFailedPlace(after);
  if (place === undefined) throw new OptionError("after", "the `next` of a page", after);
  return place;
}
