// How long it takes until a process that crashed is started again.

const firstMs = 200;
const mostMs = 30_000;
/** Whoever served for so long did not crash for want of what it needs. */
const steadyMs = 30_000;

/** Twice as long with each crash in a row, from 1; and so that those that crashed together don't come back in step. */
export function backoffMs(crashes: number, random: number): number {
  const ceiling = Math.min(mostMs, firstMs * 2 ** (crashes - 1));
  return Math.round(ceiling * (0.5 + random / 2));
}

/** Whether a process served for so long that its crash is the first one again. */
export function isSteady(ranMs: number): boolean {
  return ranMs >= steadyMs;
}
