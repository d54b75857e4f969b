// `client.$limits`: how much of each method may be done, over all nodes, told and asked for.
import {
  BrokerMethod,
  knownOptions,
  type Limits,
  limitsTable,
  type MethodLimits,
  OptionError,
  type RateText,
} from "zerotask-core";
import type { Session } from "./session.ts";
import type { MethodName } from "./typing.ts";

/** What is to change: what is left out stays as it is, and `null` lifts a limit, whatever the method says. */
export interface LimitChanges {
  /** How many run at once. */
  readonly concurrency?: number | null;
  /** How many begin within a time, such as `"100/min"`. */
  readonly rate?: RateText | null;
  /** What holds for each group of the method, as a whole: `{}` lifts it, too. */
  readonly perGroup?: Limits | null;
}

export interface LimitsOfMethod extends MethodLimits {
  readonly method: string;
}

export interface LimitControls<Methods = unknown> {
  /**
   * Changes the limits of a method, from now on and for all clients. Tasks over a limit wait.
   * @returns the limits that hold now. Rejects with `OptionError` for what is no limit.
   */
  set(method: MethodName<Methods>, changes: LimitChanges): Promise<MethodLimits>;
  /** Gives up what was set: the limits that the method has of itself hold again. @returns those */
  reset(method: MethodName<Methods>): Promise<MethodLimits>;
  /** The methods that have limits. */
  list(): Promise<LimitsOfMethod[]>;
}

interface WireLimits {
  readonly method: string;
  readonly concurrency?: number | null;
  readonly rate?: RateText | null;
  readonly per_group?: WireLimits | null;
}

export function limitsOf(session: Session): LimitControls {
  return {
    set: async (method, changes) => {
      const params = { method: methodOption(method), ...changesToWire(changes) };
      return limitsFromWire((await session.request(BrokerMethod.LimitsSet, params)) as WireLimits);
    },
    reset: async (method) => {
      const params = { method: methodOption(method) };
      return limitsFromWire((await session.request(BrokerMethod.LimitsReset, params)) as WireLimits);
    },
    list: async () => {
      const all = (await session.request(BrokerMethod.LimitsList, {})) as WireLimits[];
      return all.map((wire) => ({ method: wire.method, ...limitsFromWire(wire) }));
    },
  };
}

function methodOption(method: unknown): string {
  if (typeof method === "string" && method !== "") return method;
  throw new OptionError("method", "a method's name", method);
}

function changesToWire(changes: LimitChanges): { readonly [name: string]: unknown } {
  knownOptions("limit", changes, limitsTable.names);
  const entries = Object.entries(changes);
  const given = Object.fromEntries(entries.filter(([name, value]) => !isLifted(name, value)));
  limitsTable.check(given);
  const lifted = entries.filter(([name, value]) => isLifted(name, value)).map(([name]) => name);
  return { ...limitsTable.toWire(given), ...nulls(lifted) };
}

/** Limits of groups that limit nothing are none. */
function isLifted(name: string, value: unknown): boolean {
  if (value === null) return true;
  const isGroups = name === "perGroup" && typeof value === "object" && !Array.isArray(value);
  return isGroups && Object.values(value as object).every((limit) => limit === undefined);
}

function nulls(names: readonly string[]): { readonly [name: string]: null } {
  return Object.fromEntries(names.map((name) => [name === "perGroup" ? "per_group" : name, null]));
}

function limitsFromWire({ concurrency, rate, per_group }: WireLimits): MethodLimits {
  return {
    ...(typeof concurrency === "number" && { concurrency }),
    ...(typeof rate === "string" && { rate }),
    ...(typeof per_group === "object" && per_group !== null && { perGroup: limitsFromWire(per_group) }),
  };
}
