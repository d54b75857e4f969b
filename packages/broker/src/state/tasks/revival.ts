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

export class Revival {
  readonly #parts: RevivalParts;
  /** Tasks that are being put back, so that nobody else does it meanwhile; and who is told of it. */
  readonly #reviving = new Map<string, Revived[]>();

  constructor(parts: RevivalParts) {
    this.#parts = parts;
  }

  /** Whether the task is just being put back. */
  isReviving(id: string): boolean {
    return this.#reviving.has(id);
  }

  /**
   * Puts a settled task back, and tells whether it was still there.
   * @param params JSON, where it is to have others than it had, and is not just being put back: it may be claimed as it is
   * @throws Refusal when there is no room for it
   */
  revive(task: StoredTask, level: Durability, then: Revived, params?: string): void {
    const { backlog, events, load, methods, sessions, storages, turn } = this.#parts;
    const { id, ownerId, method, group, priority } = task;
    const others = this.#reviving.get(id);
    if (others !== undefined) {
      others.push(then);
      return;
    }
    const owner = sessions.clients.get(ownerId);
    const bytes = bytesOf(params ?? task.params);
    const refusal = load.refusal(owner, level, bytes) ?? methods.refusal(method, group);
    if (refusal !== undefined) throw refusal;
    const rank = rankOf(turn.now, priority);
    const storage = storages.for(level);
    const told = [then];
    this.#reviving.set(id, told);
    load.add(owner, level, bytes);
    storage.change({ type: "revive", id, dueAt: turn.now, rank });
    if (params !== undefined) storage.change({ type: "set-params", id, params });
    storage.whenStored((failure) => {
      this.#reviving.delete(id);
      const isRevived = failure === undefined && storage.hasRevived(id);
      if (isRevived) {
        backlog.leave(methods.lane(method, group), level, rank, undefined);
        events.addStatus({ id, method }, { status: TaskStatus.Queued, attempt: task.attempt });
      } else load.remove(owner, level, bytes);
      for (const tell of told) tell(isRevived, failure);
    });
  }
}
