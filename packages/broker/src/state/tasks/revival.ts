// Puts settled tasks back: they are QUEUED once more, under the ids that they had.
import { type ErrorObject, TaskStatus } from "zerotask-core";
import type { Events } from "../events/events.ts";
import type { Load } from "../load.ts";
import type { MethodTable } from "../order/method-table.ts";
import { rankOf } from "../order/order.ts";
import type { Sessions } from "../peers/sessions.ts";
import type { Backlog } from "../storage/backlog.ts";
import type { Storages } from "../storage/storages.ts";
import { bytesOf, type Durability, type StoredTask } from "../storage/stored-task.ts";
import type { Turn } from "../turn.ts";

export interface RevivalParts {
  readonly turn: Turn;
  readonly sessions: Sessions;
  readonly storages: Storages;
  readonly backlog: Backlog;
  readonly events: Events;
  readonly load: Load;
  readonly methods: MethodTable;
}

/** Is told whether the task was still there, and settled. */
export type Revived = (isRevived: boolean, failure: ErrorObject | undefined) => void;

interface Reviving {
  readonly told: Revived[];
  /** What it will take. */
  bytes: number;
}

export class Revival {
  readonly #parts: RevivalParts;
  /** Tasks that are being put back, so that nobody else does it meanwhile; and who is told of it. */
  readonly #reviving = new Map<string, Reviving>();

  constructor(parts: RevivalParts) {
    this.#parts = parts;
  }

  /** Whether the task is just being put back. */
  isReviving(id: string): boolean {
    return this.#reviving.has(id);
  }

  /**
   * Puts a settled task back, and tells whether it was still there.
   * @param params JSON, where it is to have others than it had
   * @throws Refusal when there is no room for it
   */
  revive(task: StoredTask, level: Durability, then: Revived, params?: string): void {
    const { backlog, events, load, methods, sessions, storages, turn } = this.#parts;
    const { id, ownerId, method, group, priority } = task;
    const others = this.#reviving.get(id);
    if (others !== undefined) {
      this.#join(others, task, level, then, params);
      return;
    }
    const owner = sessions.clients.get(ownerId);
    const bytes = bytesOf(params ?? task.params);
    const refusal = load.refusal(owner, level, bytes) ?? methods.refusal(method, group);
    if (refusal !== undefined) throw refusal;
    const rank = rankOf(turn.now, priority);
    const storage = storages.for(level);
    const reviving = { told: [then], bytes };
    this.#reviving.set(id, reviving);
    load.add(owner, level, bytes);
    storage.change({ type: "revive", id, dueAt: turn.now, rank });
    if (params !== undefined) storage.change({ type: "set-params", id, params });
    storage.whenStored((failure) => {
      this.#reviving.delete(id);
      const isRevived = failure === undefined && storage.hasRevived(id);
      if (isRevived) {
        backlog.leave(methods.lane(method, group), level, rank, undefined);
        events.addStatus({ id, method }, { status: TaskStatus.Queued, attempt: task.attempt });
      } else load.remove(owner, level, reviving.bytes);
      for (const tell of reviving.told) tell(isRevived, failure);
    });
  }

  /** The task is being put back already, with other params it may be. */
  #join(
    others: Reviving,
    task: StoredTask,
    level: Durability,
    then: Revived,
    params: string | undefined,
  ): void {
    if (params === undefined) {
      others.told.push(then);
      return;
    }
    const { load, sessions, storages } = this.#parts;
    const owner = sessions.clients.get(task.ownerId);
    const bytes = bytesOf(params);
    const refusal = load.refusalToGrow(owner, level, bytes - others.bytes);
    if (refusal !== undefined) throw refusal;
    load.remove(owner, level, others.bytes);
    load.add(owner, level, bytes);
    others.bytes = bytes;
    const storage = storages.for(level);
    // It is stored before anybody can claim the task.
    storage.change({ type: "set-params", id: task.id, params });
    others.told.push((isRevived, failure) => {
      storage.whenStored((later) => then(isRevived, failure ?? later));
    });
  }
}
