// Tables for people to read: columns as wide as what is in them.

/** Lines of text, the first with the titles. */
export function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [titles, ...rows];
  const widths = titles.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}

const units = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
] as const;

/** A span in the largest unit that it has whole ones of: `"90 minutes"`. */
export function spanInWords(ms: number): string {
  const [unit, unitMs] = units.find(([, size]) => ms >= size && ms % size === 0) ?? ["ms", 1];
  const count = ms / unitMs;
  return `${count} ${unit === "ms" || count === 1 ? unit : `${unit}s`}`;
}
