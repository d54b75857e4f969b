// Both stores that a broker may have: every broker has one in memory, and one with a data directory has a disk.
import type { ErrorObject } from "zerotask-core";
import type { Turn } from "../turn.ts";
import { Storage } from "./storage.ts";
import type { Durability, StoredTask } from "./stored-task.ts";

type Found = (task: StoredTask | undefined, level: Durability, failure: ErrorObject | undefined) => void;

export class Storages {
  readonly memory: Storage;
  readonly disk: Storage | undefined;
  /** The safest level that there is. */
  readonly best: Storage;

  constructor(turn: Turn, hasDisk: boolean) {
    this.memory = new Storage("memory", turn);
    this.disk = hasDisk ? new Storage("disk", turn) : undefined;
    this.best = this.disk ?? this.memory;
  }

  /** Where what asks for `durability` is stored. */
  for(durability: Durability): Storage {
    return durability === "memory" ? this.memory : this.best;
  }

  *[Symbol.iterator](): Generator<Storage> {
    yield this.memory;
    if (this.disk !== undefined) yield this.disk;
  }

  /** Calls back with what any store has under this id. */
  find(id: string, then: Found, [storage, ...others]: readonly Storage[] = [...this]): void {
    storage?.get([id], (tasks, failure) => {
      const [task] = tasks ?? [];
      if (task !== undefined || others.length === 0) then(task, storage.level, failure);
      else this.find(id, then, others);
    });
  }

  flush(): void {
    this.memory.flush();
    this.disk?.flush();
  }
}
