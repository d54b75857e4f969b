// Looks every task up by its id, as anybody can, once everything is healed.
import { AsyncClient, Client, UnknownTaskError } from "zerotask-client";
import type { ErrorObject } from "zerotask-core";
import type { Look } from "./history.ts";
import type { Told } from "./workload.ts";

/** So many at once. */
const pageSize = 1_000;

/** What a broker tells of each task. `boundMs` is how long one that is not settled is waited for. */
export async function lookUp(
  endpoint: string,
  ids: readonly string[],
  boundMs: number,
): Promise<Map<string, Look>> {
  const later = new AsyncClient(endpoint);
  const client = new Client(endpoint);
  const looks = new Map<string, Look>();
  try {
    for (let start = 0; start < ids.length; start += pageSize) {
      const page = ids.slice(start, start + pageSize);
      const looked = await Promise.all(page.map((id) => look(later, client, id, boundMs)));
      for (const [i, id] of page.entries()) looks.set(id, looked[i] ?? {});
    }
  } finally {
    await Promise.all([later.$close(), client.$close()]);
  }
  return looks;
}

async function look(later: AsyncClient, client: Client, id: string, boundMs: number): Promise<Look> {
  const waited = await tell(later.$handle(id).wait(boundMs));
  const record = await client.$call("zerotask.broker.client_task_get", [id]).catch((error: Error) => {
    if (error instanceof UnknownTaskError) return {};
    throw error;
  });
  const { result, error, attempt } = record as { result?: unknown; error?: ErrorObject; attempt?: number };
  if (waited === undefined || attempt === undefined) return {};
  // The error of the record is one of the wire; what is told of it is what a handle makes of it.
  const got =
    error === undefined ? { result } : { error: { name: waited.error?.name ?? "", message: error.message } };
  return { waited, got, attempt };
}

/** Nothing for a task that is unknown, or not settled within the bound. */
async function tell(outcome: Promise<unknown>): Promise<Told | undefined> {
  try {
    return { result: await outcome };
  } catch (error) {
    const { name, message } = error as Error;
    if (name === "UnknownTaskError" || name === "TaskTimeoutError") return undefined;
    return { error: { name, message } };
  }
}
