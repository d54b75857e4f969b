// Which tasks of a store in memory can be claimed: those that are due by method and group, the others by time.
import { OrderedQueue, TaskStatus } from "zerotask-core";
import type { Claim, Claimed, ClaimedByTime, StoreSummary } from "../state/storage/stored-task.ts";
import { maxCounted } from "./limits.ts";
import { byNumber, type Entry, isClaimable, taskOf } from "./memory-entry.ts";

const byRank = byNumber(({ rank }) => rank);

export class ClaimableTasks {
  readonly #ready = new Map<string, Map<string, OrderedQueue<Entry>>>();
  readonly #scheduled = new OrderedQueue<Entry>(
    byNumber(({ dueAt }) => dueAt),
    isClaimable,
  );
  readonly #expiring = new OrderedQueue<Entry>(
    byNumber(({ expiresAt }) => expiresAt ?? 0),
    isClaimable,
  );

  get backlog(): StoreSummary["backlog"] {
    return [...this.#ready].flatMap(([method, groups]) =>
      [...groups].map(([group, queue]) => ({
        method,
        group,
        count: queue.size,
        rank: queue.peek()?.rank ?? 0,
      })),
    );
  }

  get nextDue(): number | undefined {
    return this.#scheduled.peek()?.dueAt;
  }

  get nextExpiry(): number | undefined {
    return this.#expiring.peek()?.expiresAt;
  }

  enter(entry: Entry): void {
    if (entry.status === TaskStatus.Scheduled) this.#scheduled.add(entry);
    else this.#groupOf(entry).add(entry);
    if (entry.expiresAt !== undefined) this.#expiring.add(entry);
  }

  /** An entry can't be claimed any more. `status` is what it had when it could. */
  left({ method, group, expiresAt }: Entry, status: TaskStatus): void {
    if (expiresAt !== undefined) this.#expiring.drop();
    if (status === TaskStatus.Scheduled) {
      this.#scheduled.drop();
      return;
    }
    const groups = this.#ready.get(method);
    const queue = groups?.get(group);
    queue?.drop();
    if (queue?.size !== 0) return;
    groups?.delete(group);
    if (groups?.size === 0) this.#ready.delete(method);
  }

  claim({ method, groups, limit, maxBytes }: Claim): Claimed {
    const claimed: Entry[] = [];
    const left: [string, number][] = [];
    let bytes = 0;
    for (const group of groups) {
      const queue = this.#ready.get(method)?.get(group);
      let next = queue?.peek();
      for (let count = 0; next !== undefined && count < limit; count++) {
        if (claimed.length > 0 && bytes >= maxBytes) break;
        bytes += next.bytes;
        this.take(next);
        claimed.push(next);
        next = queue?.peek();
      }
      if (next !== undefined) left.push([group, next.rank]);
    }
    return { tasks: claimed.map(taskOf), left };
  }

  claimDue(now: number, limit: number): ClaimedByTime {
    return this.#claimByTime(this.#scheduled, ({ dueAt }) => dueAt, now, limit);
  }

  claimExpired(now: number, limit: number): ClaimedByTime {
    return this.#claimByTime(this.#expiring, ({ expiresAt }) => expiresAt ?? 0, now, limit);
  }

  countBefore(entry: Entry): number {
    let count = 0;
    for (const other of this.#ready.get(entry.method)?.get(entry.group) ?? []) {
      if (other !== entry && byRank(other, entry) && ++count === maxCounted) break;
    }
    return count;
  }

  take(entry: Entry): void {
    entry.isClaimed = true;
    this.left(entry, entry.status);
  }

  #claimByTime(
    queue: OrderedQueue<Entry>,
    timeOf: (entry: Entry) => number,
    now: number,
    limit: number,
  ): ClaimedByTime {
    const claimed: Entry[] = [];
    let next = queue.peek();
    for (; next !== undefined && claimed.length < limit && timeOf(next) <= now; next = queue.peek()) {
      this.take(next);
      claimed.push(next);
    }
    return { tasks: claimed.map(taskOf), nextAt: next === undefined ? undefined : timeOf(next) };
  }

  #groupOf({ method, group }: Entry): OrderedQueue<Entry> {
    let groups = this.#ready.get(method);
    if (groups === undefined) {
      groups = new Map();
      this.#ready.set(method, groups);
    }
    let queue = groups.get(group);
    if (queue === undefined) {
      queue = new OrderedQueue(byRank, isClaimable);
      groups.set(group, queue);
    }
    return queue;
  }
}
