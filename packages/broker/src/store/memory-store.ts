// The store of a broker that keeps nothing when it ends.
import type {
  Claim,
  Claimed,
  ClaimedByTime,
  CommitResult,
  FailedFilter,
  StoreChange,
  StoredTask,
  StoreSummary,
  Taken,
  TaskPage,
} from "../state/storage/stored-task.ts";
import { MemoryTasks } from "./memory-tasks.ts";
import type { Store, TaskCount, TaskFilter } from "./store.ts";

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

  async claimDue(now: number, limit: number): Promise<ClaimedByTime> {
    return this.#tasks.claimDue(now, limit);
  }

  async claimExpired(now: number, limit: number): Promise<ClaimedByTime> {
    return this.#tasks.claimExpired(now, limit);
  }

  async take(ids: readonly string[]): Promise<readonly Taken[]> {
    return this.#tasks.take(ids);
  }

  async takeInstance(instance: string): Promise<readonly Taken[]> {
    return this.#tasks.takeInstance(instance);
  }

  async get(ids: readonly string[]): Promise<readonly StoredTask[]> {
    return this.#tasks.get(ids);
  }

  async countBefore(id: string): Promise<number> {
    return this.#tasks.countBefore(id);
  }

  async failed(filter: FailedFilter): Promise<TaskPage> {
    return this.#tasks.failed(filter);
  }

  async list(filter: TaskFilter): Promise<TaskPage> {
    return this.#tasks.list(filter);
  }

  async counts(): Promise<readonly TaskCount[]> {
    return this.#tasks.counts();
  }

  async close(): Promise<void> {}
}
