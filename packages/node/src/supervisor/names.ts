// What supervised nodes are called: by their place, and by their generation, as two of a place are connected at times.
import { hostname } from "node:os";

export interface Naming {
  /** What was given as a name, if anything. */
  readonly name: string | undefined;
  /** Whether there may be several places; a number tells them apart. */
  readonly isNumbered: boolean;
}

/**
 * `<name>-<place>`, or `<name>` where there is one place; changed modules add `.<generation>`.
 * @returns nothing for a node that needs no name
 */
export function nameOf({ name, isNumbered }: Naming, place: number, generation: number): string | undefined {
  if (name === undefined && !isNumbered) return undefined;
  const base = name ?? hostname().replace(/[^\x21-\x7e]|#/g, "-");
  const numbered = isNumbered ? `${base}-${place}` : base;
  return generation === 1 ? numbered : `${numbered}.${generation}`;
}
