// How much a store does in one go, and how it counts bytes: the same for every store.
// The writer thread of a store imports this, so it imports nothing.

/** Most tasks that a page of a list looks at, so that a rare status holds nobody else up. */
export const maxListScan = 20_000;

/** A page of tasks holds no more than about so many bytes, so that it goes into a message. */
export const maxPageBytes: number = 4 * 1_024 * 1_024;

/** Most tasks that are counted to tell how many come before another one. */
export const maxCounted = 100_000;

/** Most records that one `expire` removes. */
export const maxExpired = 2_000;

/** What a record takes beside its params and outcome, roughly. */
export const recordOverhead = 200;

/** How many records there are, and their bytes; and of those that failed. */
export interface Records {
  count: number;
  bytes: number;
  failed: number;
  failedBytes: number;
}

/** Counts a record that came, or with `sign` -1 one that is gone. */
export function countRecord(records: Records, bytes: number, isFailed: boolean, sign: 1 | -1 = 1): void {
  records.count += sign;
  records.bytes += sign * bytes;
  if (!isFailed) return;
  records.failed += sign;
  records.failedBytes += sign * bytes;
}

/** Whether there are more records than there may be. */
export function isOver({ count, bytes }: Records, maxRecords: number, maxRecordBytes: number): boolean {
  return count > maxRecords || bytes > maxRecordBytes;
}

/** Whether that is for those that failed: they are kept long, and may take up no more than half. */
export function isOverByFailed(records: Records, maxRecords: number, maxRecordBytes: number): boolean {
  const { count, bytes, failed, failedBytes } = records;
  return (
    (count > maxRecords && failed > maxRecords / 2) ||
    (bytes > maxRecordBytes && failedBytes > maxRecordBytes / 2)
  );
}
