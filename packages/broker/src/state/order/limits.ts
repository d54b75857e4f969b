// Which limits hold for a method: what it says itself, and what clients set instead.
import type { MethodLimits } from "zerotask-core";

/** What clients set. What is left out is as the method says; `null` is no limit, whatever it says. */
export type LimitOverrides = { readonly [Name in keyof MethodLimits]: MethodLimits[Name] | null };

/** What holds. */
export function overridden(own: MethodLimits, overrides: LimitOverrides): MethodLimits {
  const { concurrency = own.concurrency, rate = own.rate, perGroup = own.perGroup } = overrides;
  return {
    ...(concurrency !== undefined && concurrency !== null && { concurrency }),
    ...(rate !== undefined && rate !== null && { rate }),
    ...(perGroup !== undefined && perGroup !== null && { perGroup }),
  };
}
