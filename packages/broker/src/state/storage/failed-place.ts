// Where a page of failed tasks begins, and how that is written.

/** The page of failed tasks that begins before this place; the first one has none. */
export interface FailedPlace {
  readonly settledAt: number;
  readonly number: number;
}

const pattern = /^([0-9]{1,16}(?:\.[0-9]{1,20})?):([0-9]{1,15})$/;

/** @returns undefined for what is not the `next` of such a page of a store */
export function parseFailedPlace(text: string): FailedPlace | undefined {
  const [, settledAt, number] = pattern.exec(text) ?? [];
  return number === undefined ? undefined : { settledAt: Number(settledAt), number: Number(number) };
}

export function encodeFailedPlace({ settledAt, number }: FailedPlace): string {
  return `${settledAt}:${number}`;
}
