// What a handle does to the run of its task: ends it, begins it again, makes it anew.
import {
  BrokerMethod,
  booleanOption,
  knownOptions,
  milliseconds,
  type Params,
  type StopOutcome,
} from "zerotask-core";
import type { Session } from "../session.ts";
import { checkStorable } from "../streams/inputs.ts";

export interface StopOptions {
  /** How long the handler has to end by itself, once its signal has fired. @default 5,000 */
  readonly graceMs?: number;
  /** Leaves it no time at all. @default false */
  readonly force?: boolean;
}

const defaultGraceMs = 5_000;
const stopOptionNames = ["graceMs", "force"];

/** @throws OptionError for an unknown option, or a value out of range */
export async function stopTask(session: Session, id: string, options: StopOptions): Promise<StopOutcome> {
  const wanted = { task_id: id, confirm: true, grace_ms: graceOf("stop", options) };
  const answer = await session.request(BrokerMethod.ClientTaskStop, wanted, { isPatient: true });
  return (answer as { readonly how: StopOutcome }).how;
}

export async function startTask(session: Session, id: string): Promise<void> {
  await session.request(BrokerMethod.ClientTaskStart, { task_id: id });
}

/** @throws OptionError for params that are none, an unknown option, or a value out of range; TypeError for params that are streams */
export async function reloadTask(
  session: Session,
  id: string,
  params: Params | undefined,
  options: StopOptions,
): Promise<void> {
  if (params !== undefined) checkStorable(params);
  const grace_ms = graceOf("reload", options);
  const wanted = { task_id: id, ...(params !== undefined && { params }), grace_ms };
  await session.request(BrokerMethod.ClientTaskReload, wanted, { isPatient: true });
}

/** How long a run has to end, in milliseconds. @throws OptionError */
export function graceOf(what: string, options: StopOptions): number {
  knownOptions(what, options, stopOptionNames);
  const { graceMs = defaultGraceMs, force = false } = options;
  booleanOption("force", force);
  milliseconds("graceMs", graceMs);
  return force ? 0 : graceMs;
}
