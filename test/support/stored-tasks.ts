// Tasks and changes as a broker would give them to a store.
import type { StoreChange, StoredTask } from "../../packages/broker/src/state/storage/stored-task.ts";

export function storedTask(id: string, fields: Partial<StoredTask> = {}): StoredTask {
  return {
    id,
    ownerId: "client",
    method: "add",
    group: "",
    priority: 0,
    rank: fields.dueAt ?? 1_000,
    instance: undefined,
    params: "[1,2]",
    options: undefined,
    status: "QUEUED",
    attempt: 0,
    losses: 0,
    failures: 0,
    reruns: 0,
    createdAt: 1_000,
    dueAt: 1_000,
    expiresAt: undefined,
    outcome: undefined,
    settledAt: undefined,
    forgetAt: undefined,
    ...fields,
  };
}

export function add(id: string, fields: Partial<StoredTask> = {}): StoreChange {
  return { type: "add", task: storedTask(id, fields), isClaimed: false };
}

export function addClaimed(id: string, fields: Partial<StoredTask> = {}): StoreChange {
  return { type: "add", task: storedTask(id, fields), isClaimed: true };
}

type Change<Type extends StoreChange["type"]> = Partial<Extract<StoreChange, { type: Type }>>;

export function settle(id: string, fields: Change<"settle"> = {}): StoreChange {
  return {
    type: "settle",
    id,
    status: "FINISHED",
    attempt: 1,
    outcome: "3",
    settledAt: 2_000,
    forgetAt: 9_000,
    ...fields,
  };
}

export function reschedule(id: string, fields: Change<"reschedule"> = {}): StoreChange {
  return {
    type: "reschedule",
    id,
    status: "QUEUED",
    attempt: 1,
    losses: 0,
    failures: 1,
    reruns: 0,
    priority: 0,
    rank: fields.dueAt ?? 1_000,
    dueAt: 1_000,
    expiresAt: undefined,
    isClaimed: false,
    ...fields,
  };
}

export function expire(fields: Change<"expire"> = {}): StoreChange {
  return { type: "expire", now: 0, maxRecords: 1_000_000, maxRecordBytes: 1e12, ...fields };
}

export function remove(id: string): StoreChange {
  return { type: "remove", id };
}

export function revive(id: string, fields: Change<"revive"> = {}): StoreChange {
  return { type: "revive", id, dueAt: 5_000, rank: 4, ...fields };
}

export const idsOf = (tasks: readonly { readonly id: string }[]): string[] => tasks.map(({ id }) => id);
