// The store of a broker that keeps nothing when it ends.
import type {
  Claim,
  Claimed,
  CommitResult,
  StoreChange,
  StoredTask,
  StoreSummary,
  Taken,
} from "../state/stored-task.ts";
import { MemoryTasks } from "./memory-tasks.ts";
import type { Store, TaskCount, TaskFilter, TaskPage } from "./store.ts";

/** A store whose tasks are gone with the process. What it holds outlives `close`, for the next `open`. */
export function memoryStore(): Store {
  return new MemoryStore();
}

class MemoryStore implements Store {
  readonly durability = "memory";
  readonly location = "memory";
  readonly #tasks = new MemoryTasks();

  async open(): Promise<StoreSummary> {
    return this.#tasks.open();
  }

  async commit(changes: readonly StoreChange[]): Promise<CommitResult> {
    return this.#tasks.commit(changes);
  }

  async claim(claim: Claim): Promise<Claimed> {
    return this.#tasks.claim(claim);
  }

  async claimExpired(now: number, limit: number): Promise<Claimed> {
    return this.#tasks.claimExpired(now, limit);
  }

  async take(ids: readonly string[]): Promise<readonly Taken[]> {
    return this.#tasks.take(ids);
  }

  async get(ids: readonly string[]): Promise<readonly StoredTask[]> {
    return this.#tasks.get(ids);
  }

  async list(filter: TaskFilter): Promise<TaskPage> {
    return this.#tasks.list(filter);
  }

  async counts(): Promise<readonly TaskCount[]> {
    return this.#tasks.counts();
  }

  async close(): Promise<void> {}
}
