// How much a store does in one go, and how it counts bytes: the same for every store.
// The writer thread of a store imports this, so it imports nothing.

/** Most tasks that a page of a list looks at, so that a rare status holds nobody else up. */
export const maxListScan = 20_000;

/** Most tasks that are counted to tell how many come before another one. */
export const maxCounted = 100_000;

/** Most records that one `expire` removes. */
export const maxExpired = 2_000;

/** What a record takes beside its params and outcome, roughly. */
export const recordOverhead = 200;

export function bytesOf(text: string | null | undefined): number {
  return text === undefined || text === null ? 0 : Buffer.byteLength(text);
}
