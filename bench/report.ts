// How figures are shown and kept.
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";

export interface Row {
  readonly what: string;
  readonly figure: string;
  /** How it compares, and what is to be reached. */
  readonly compared?: string;
}

export const ms = (value: number): string => `${value.toFixed(3)} ms`;
export const perSecond = (value: number): string => `${Math.round(value).toLocaleString("en")}/s`;
export const times = (value: number): string => `${value.toFixed(2)} ×`;

export function machine(): string {
  const all = cpus();
  return `${all.length} × ${all[0]?.model.trim() ?? "unknown"}, Node ${process.version}`;
}

export function printTable(rows: readonly Row[]): void {
  const width = (pick: (row: Row) => string): number => Math.max(...rows.map((row) => pick(row).length));
  const first = width((row) => row.what);
  const second = width((row) => row.figure);
  for (const { what, figure, compared = "" } of rows) {
    process.stdout.write(
      `${what.padEnd(first)}  ${figure.padStart(second)}  ${compared}`.trimEnd().concat("\n"),
    );
  }
}

/** Writes the figures as JSON beside the bench, and says where. */
export function writeResults(name: string, figures: object): void {
  const folder = new URL("results/", import.meta.url);
  mkdirSync(folder, { recursive: true });
  const file = new URL(`${name}.json`, folder);
  const text = JSON.stringify(
    { date: new Date().toISOString(), machine: machine(), ...figures },
    undefined,
    2,
  );
  writeFileSync(file, `${text}\n`);
  process.stdout.write(`\nWritten to bench/results/${name}.json\n`);
}
