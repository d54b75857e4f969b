// The window: which stored tasks are held in memory, and when more of them are claimed from a store.

import { busy } from "../commands/command.ts";
import type { Lane } from "../order/lane.ts";
import type { MethodQueue } from "../order/method-queue.ts";
import type { Turn } from "../turn.ts";
import type { Storages } from "./storages.ts";
import type { Claimed, ClaimedByTime, Durability, StoredTask, StoreSummary } from "./stored-task.ts";

/** So many tasks of one method may wait in memory, shared by its groups; more are left to the store. */
const windowTasks = 10_000;
/** But so many of each group; a few more where groups are not too many. */
const minGroupTasks = 4;
const fewGroupTasks = 16;
const fewTasks = 160_000;
/** How long one of so many groups waits for others of which more is to be claimed, while something of its method can run. */
const gatherMs = 10;
const manyGroups = 16;
/** More are claimed once a group has this part of what it may have. */
const lowPart = 10;
/** Or once a store has what comes before all that waits, unless it has so many times as much. */
const mostOvertaken = 3;
/** So many of a group may wait in memory for other tasks to end; with more, none of it is claimed. */
const mostParked = 50_000;
/** So many at a time. */
const pageTasks = 2_000;
const pageBytes = 4 * 1024 * 1024;
/** What has become due is claimed in smaller pages: what else is to be done must not wait for it. */
const duePageTasks = 500;
/** So many bytes of tasks of all methods may be held in memory, and as many more while they are being stored. */
const windowBytes = 128 * 1024 * 1024;
const mostBytes = 4 * windowBytes;
/** What a task takes besides its params, about. */
const overhead = 500;

const levels: readonly Durability[] = ["memory", "disk"];

export interface BacklogHandlers {
  /** Whether anybody could run tasks of this method. */
  isServed(method: MethodQueue): boolean;
  /** Whether a task of this method waits that could begin. */
  hasNext(method: MethodQueue): boolean;
  lane(method: string, group: string): Lane;
  /** What was claimed, to be held and run. */
  onClaimed(task: StoredTask, level: Durability): void;
  /** Nothing of this group may be left. */
  onClaimedAll(lane: Lane): void;
}

/** When the first of what one store keeps until then is due, or has waited too long. */
interface Times {
  due: number;
  expiry: number;
  isClaimingDue: boolean;
  isClaimingExpired: boolean;
}

export class Backlog {
  readonly #turn: Turn;
  readonly #storages: Storages;
  readonly #handlers: BacklogHandlers;
  /** Bytes of the stored tasks that are held in memory. */
  #heldBytes = 0;
  /** Until then nothing is claimed: nodes may come back with what they were running. */
  #heldUntil = 0;
  /** When the stores were opened. */
  #openedAt = 0;
  /** What waits for that. */
  #postponed: (() => void)[] = [];
  readonly #times: { readonly [level in Durability]: Times } = { memory: never(), disk: never() };
  /** Groups of which more is to be claimed at the end of the turn. */
  readonly #low = new Set<Lane>();
  /** Since when the first of them is there. */
  #lowSince = 0;

  constructor(turn: Turn, storages: Storages, handlers: BacklogHandlers) {
    this.#turn = turn;
    this.#storages = storages;
    this.#handlers = handlers;
  }

  /** What a store had when it was opened; none of it is claimed before `heldUntil`. */
  load(level: Durability, summary: StoreSummary, heldUntil: number): void {
    for (const { method, group, count, rank } of summary.backlog) {
      const lane = this.#handlers.lane(method, group);
      lane.behind[level].count = count;
      lane.behind[level].rank = rank;
    }
    this.#openedAt = this.#turn.now;
    if (summary.unsettled > 0) this.#heldUntil = heldUntil;
    const { nextDue = Number.POSITIVE_INFINITY, nextExpiry = Number.POSITIVE_INFINITY } = summary;
    this.#times[level].due = nextDue;
    this.#times[level].expiry = nextExpiry;
  }

  /** When something has to be done, if nothing else happens. */
  get next(): number {
    const isHolding = this.#postponed.length > 0 || (this.#low.size > 0 && this.#heldUntil > this.#turn.now);
    let next = isHolding ? this.#heldUntil : Number.POSITIVE_INFINITY;
    if (this.#low.size > 0) next = Math.min(next, Math.max(this.#heldUntil, this.#lowSince + gatherMs));
    for (const level of levels) {
      const { due, expiry, isClaimingDue, isClaimingExpired } = this.#times[level];
      if (!isClaimingDue) next = Math.min(next, Math.max(due, this.#heldUntil));
      if (!isClaimingExpired) next = Math.min(next, Math.max(expiry, this.#heldUntil));
    }
    return next;
  }

  /** Whether a store has something that is due by now and was not claimed yet, of whatever method. */
  get hasDue(): boolean {
    const { now } = this.#turn;
    const { memory, disk } = this.#times;
    return memory.isClaimingDue || disk.isClaimingDue || memory.due <= now || disk.due <= now;
  }

  /** Whether a task was there before this run of the broker. */
  isFromBefore({ createdAt }: StoredTask): boolean {
    return createdAt < this.#openedAt;
  }

  /** Calls back when it is known what nodes were running before a restart of the broker. */
  whenKnown(then: () => void): void {
    if (this.#heldUntil <= this.#turn.now) then();
    else this.#postponed.push(then);
  }

  /** Whether a new task can be held in memory: what comes before it in the store has to be there first. */
  hasRoomFor(lane: Lane, level: Durability, rank: number, bytes: number): boolean {
    const { count, rank: first } = lane.behind[level];
    if (count > 0 && first <= rank) return false;
    // What overtakes others would otherwise have to wait for room that they take up.
    const most = groupTasks(lane.method) * (lane.isOvertaking(rank) ? 2 : 1);
    if (lane.window >= most || lane.parkedCount >= mostParked || this.#heldBytes + bytes > windowBytes)
      return false;
    return this.#handlers.isServed(lane.method);
  }

  hold(bytes: number): void {
    this.#heldBytes += bytes + overhead;
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes + overhead;
  }

  /** @throws Refusal when so much is on its way to the stores that they don't keep up */
  checkRoom(): void {
    if (this.#heldBytes > mostBytes) throw busy("bytes of tasks that are being stored", mostBytes);
  }

  /** A task that is due was left to its store. */
  leave(lane: Lane, level: Durability, rank: number, expiresAt: number | undefined): void {
    const behind = lane.behind[level];
    behind.count++;
    behind.rank = Math.min(behind.rank, rank);
    this.#expect(level, expiresAt);
    this.refill(lane);
  }

  /** A task was left to its store until it is due. */
  schedule(level: Durability, dueAt: number, expiresAt: number | undefined): void {
    const times = this.#times[level];
    times.due = Math.min(times.due, dueAt);
    this.#expect(level, expiresAt);
  }

  /** A task that was behind was claimed by its id. */
  taken(lane: Lane, level: Durability): void {
    const behind = lane.behind[level];
    behind.count = Math.max(0, behind.count - 1);
    if (behind.count === 0) behind.rank = Number.POSITIVE_INFINITY;
  }

  /** Claims more of this group at the end of the turn, if few wait and somebody could run them. */
  refill(lane: Lane): void {
    if (!lane.isBehind) return;
    const most = groupTasks(lane.method);
    const isLow = lane.window <= most / lowPart;
    if (!isLow && (!lane.isOvertaken || lane.window > mostOvertaken * most)) return;
    if (lane.parkedCount >= mostParked) return;
    if (!this.#handlers.isServed(lane.method)) return;
    if (this.#low.size === 0) this.#lowSince = this.#turn.now;
    this.#low.add(lane);
  }

  /** Claims more of all groups of a method. */
  refillAll(method: MethodQueue): void {
    for (const lane of method.lanes.values()) this.refill(lane);
  }

  /** What became due by itself. */
  doDue(): void {
    const { now } = this.#turn;
    if (this.#heldUntil > now) return;
    const postponed = this.#postponed;
    this.#postponed = [];
    for (const then of postponed) then();
    for (const { level } of this.#storages) {
      if (this.#times[level].due <= now) this.#claimDue(level);
      if (this.#times[level].expiry <= now) this.#claimExpired(level);
    }
  }

  /** Ends the turn: what is to be claimed is asked for, many groups at once. */
  flush(): void {
    if (this.#low.size === 0 || this.#heldUntil > this.#turn.now) return;
    const asked = new Map<string, Lane[]>();
    const isDue = this.#lowSince + gatherMs <= this.#turn.now;
    for (const lane of this.#low) {
      if (!isDue && this.#canWait(lane)) continue;
      this.#low.delete(lane);
      for (const level of levels) {
        const behind = lane.behind[level];
        if (behind.count === 0 || behind.isClaiming) continue;
        const key = `${level} ${lane.method.name}`;
        const lanes = asked.get(key);
        if (lanes === undefined) asked.set(key, [lane]);
        else lanes.push(lane);
      }
    }
    for (const [key, lanes] of asked) {
      const level = key.startsWith("disk") ? "disk" : "memory";
      const most = groupTasks((lanes[0] as Lane).method);
      // All groups in one page, if that can be: they take turns from the first on.
      const share = Math.floor(pageTasks / lanes.length);
      const perGroup = Math.min(most, Math.max(share, fewGroupTasks));
      const perPage = Math.ceil(pageTasks / perGroup);
      for (let i = 0; i < lanes.length; i += perPage) {
        this.#claim(lanes.slice(i, i + perPage), level, perGroup);
      }
    }
  }

  /** A claim costs as much for one group as for many. */
  #canWait(lane: Lane): boolean {
    const { method } = lane;
    return method.lanes.size >= manyGroups && !lane.isOvertaken && this.#handlers.hasNext(method);
  }

  #claim(lanes: readonly Lane[], level: Durability, limit: number): void {
    const [{ method } = { method: undefined }] = lanes;
    if (method === undefined) return;
    for (const lane of lanes) lane.behind[level].isClaiming = true;
    const claim = {
      method: method.name,
      groups: lanes.map(({ group }) => group),
      limit,
      maxBytes: pageBytes,
    };
    this.#storages.for(level).claim(claim, (claimed) => {
      for (const lane of lanes) lane.behind[level].isClaiming = false;
      if (claimed === undefined) return;
      correct(lanes, level, claimed);
      for (const task of inTurns(claimed.tasks)) this.#handlers.onClaimed(task, level);
      for (const lane of lanes) {
        this.refill(lane);
        this.#handlers.onClaimedAll(lane);
      }
    });
  }

  #claimDue(level: Durability): void {
    const times = this.#times[level];
    if (times.isClaimingDue) return;
    times.isClaimingDue = true;
    times.due = Number.POSITIVE_INFINITY;
    this.#storages.for(level).claimDue(this.#turn.now, duePageTasks, (claimed) => {
      times.isClaimingDue = false;
      this.#take(claimed, level);
      times.due = Math.min(times.due, claimed?.nextAt ?? Number.POSITIVE_INFINITY);
    });
  }

  #claimExpired(level: Durability): void {
    const times = this.#times[level];
    if (times.isClaimingExpired) return;
    times.isClaimingExpired = true;
    times.expiry = Number.POSITIVE_INFINITY;
    this.#storages.for(level).claimExpired(this.#turn.now, duePageTasks, (claimed) => {
      times.isClaimingExpired = false;
      this.#take(claimed, level);
      times.expiry = Math.min(times.expiry, claimed?.nextAt ?? Number.POSITIVE_INFINITY);
    });
  }

  #take(claimed: ClaimedByTime | undefined, level: Durability): void {
    for (const task of claimed?.tasks ?? []) {
      const lane = task.status === "QUEUED" ? this.#handlers.lane(task.method, task.group) : undefined;
      if (lane !== undefined) this.taken(lane, level);
      this.#handlers.onClaimed(task, level);
      if (lane !== undefined) this.#handlers.onClaimedAll(lane);
    }
  }

  #expect(level: Durability, expiresAt = Number.POSITIVE_INFINITY): void {
    const times = this.#times[level];
    times.expiry = Math.min(times.expiry, expiresAt);
  }
}

/** How many tasks of each group of a method may wait in memory. */
function groupTasks({ lanes }: MethodQueue): number {
  const groups = Math.max(1, lanes.size);
  const few = Math.min(fewGroupTasks, Math.floor(fewTasks / groups));
  return Math.max(minGroupTasks, few, Math.floor(windowTasks / groups));
}

/**
 * The store knows best: what it does not have was settled, or claimed by another broker. It answers in order, so
 * its answer knows of all that was left to it until now.
 */
function correct(lanes: readonly Lane[], level: Durability, { tasks, left }: Claimed): void {
  const counts = new Map<string, number>();
  for (const { group } of tasks) counts.set(group, (counts.get(group) ?? 0) + 1);
  const ranks = new Map(left);
  for (const lane of lanes) {
    const behind = lane.behind[level];
    const rank = ranks.get(lane.group);
    behind.count = rank === undefined ? 0 : Math.max(1, behind.count - (counts.get(lane.group) ?? 0));
    behind.rank = rank ?? Number.POSITIVE_INFINITY;
  }
}

/** The first task of each group, the second of each, and so on: as groups take turns. */
function inTurns(tasks: readonly StoredTask[]): Iterable<StoredTask> {
  const turns: StoredTask[][] = [];
  const counts = new Map<string, number>();
  for (const task of tasks) {
    const turn = counts.get(task.group) ?? 0;
    counts.set(task.group, turn + 1);
    const others = turns[turn];
    if (others === undefined) turns.push([task]);
    else others.push(task);
  }
  return counts.size > 1 ? turns.flat() : tasks;
}

function never(): Times {
  const { POSITIVE_INFINITY: Never } = Number;
  return { due: Never, expiry: Never, isClaimingDue: false, isClaimingExpired: false };
}
