// What is promised about order and limits: how many run at once, how many begin within a time, and which come first.
import { BrokerMethod, isSettled } from "zerotask-core";
import type { StoreChange, StoredTask } from "../../packages/broker/src/state/storage/stored-task.ts";
import { type Assigned, Assignments, type Message } from "./assignments.ts";
import { methods } from "./methods.ts";

/** After this time without a word, the broker takes a node for lost. */
export const stalledMs = 4_000;
/** One level of priority counts as much as having waited so much longer. */
const agingMs = 60_000;
/** Clocks of the broker and of this differ by rounding. */
const toleranceMs = 0.01;

/** A task that is known to wait in order, with its place there. */
interface Waiting {
  readonly method: string;
  readonly rank: number;
}

export class Rules {
  readonly #fail: (message: string) => void;
  readonly #now: () => number;
  readonly #assignments: Assignments;
  /** When tasks began, by method or by method and key. */
  #starts = new Map<string, number[]>();
  /** What has a place in order, and of that, what this run of the broker has stored and not yet accepted. */
  readonly #ranks = new Map<string, Waiting>();
  readonly #stored = new Set<string>();
  /** What was accepted, and not assigned since. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #heard = new Map<number, number>();
  /** What is not settled, by batch or method: from when on it may run. */
  readonly #unsettled = new Map<string, Map<string, number>>();
  /** What was settled, and begun again. */
  readonly #revived = new Set<string>();

  constructor(fail: (message: string) => void, now: () => number) {
    this.#fail = fail;
    this.#now = now;
    this.#assignments = new Assignments(
      { onAssigned: (assigned, isAdopted) => this.#onAssigned(assigned, isAdopted) },
      now,
      stalledMs,
    );
  }

  /** When the broker heard, for the last time, that the run ended which had begun at this time. */
  heardOf(began: number): number | undefined {
    return this.#heard.get(began);
  }

  onBrokerStarted(): void {
    this.#assignments.clear();
    this.#starts = new Map();
    this.#stored.clear();
    this.#waiting.clear();
  }

  /** The broker sends a message, and a message arrives there. */
  onSent(connection: number, messages: readonly Message[]): void {
    for (const message of messages) {
      this.#assignments.onSent(connection, message);
      if (message.method === undefined && typeof message.result === "string")
        this.#onAccepted(message.result);
    }
  }

  onReceived(connection: number, messages: readonly Message[]): void {
    for (const message of messages) {
      this.#assignments.onReceived(connection, message);
      // What is to be stopped may have no place any more, before the disk is told.
      const { task_id: taskId } = (message.params ?? {}) as { task_id?: string };
      if (message.method === BrokerMethod.ClientTaskStop && taskId !== undefined)
        this.#waiting.delete(taskId);
      const { began } = (message.result ?? {}) as { began?: number };
      if (began !== undefined) this.#heard.set(began, this.#now());
    }
  }

  /** The broker may know that a connection is gone. */
  onLost(connection: number): void {
    this.#assignments.onLost(connection);
  }

  /** Before a change is made on disk. */
  onChange(change: StoreChange, before: StoredTask | undefined): void {
    if (change.type === "add" && before === undefined) this.#onAdded(change.task, change.isClaimed);
    else if (change.type === "reschedule" && before !== undefined && !isSettled(before.status)) {
      const of = this.#unsettled.get(kinOf(before) ?? "");
      if (of?.has(change.id)) of.set(change.id, change.dueAt);
      this.#waiting.delete(change.id);
    } else if (change.type === "settle" && before !== undefined && !isSettled(before.status)) {
      this.#onSettled(before, change.outcome);
    } else if (change.type === "revive" && before !== undefined && isSettled(before.status)) {
      const kin = kinOf(before);
      const of = this.#unsettled.get(kin ?? "") ?? new Map<string, number>();
      if (kin !== undefined) this.#unsettled.set(kin, of.set(change.id, change.dueAt));
      this.#revived.add(change.id);
    }
  }

  #onAssigned(assigned: Assigned, isAdopted: boolean): void {
    const { method, taskId, params } = assigned;
    const { bounds } = methods[method] ?? {};
    this.#stored.delete(taskId);
    this.#waiting.delete(taskId);
    if (bounds === undefined) return;
    const others = this.#assignments.of(method);
    const isOver = (count: number, most = Number.POSITIVE_INFINITY): boolean => count > most;
    const key = keyOf(params);
    // What a node brings back late runs in any case, whatever was begun meanwhile.
    const most = bounds.isOne ? 1 : isAdopted ? undefined : bounds.concurrency;
    if (isOver(others.length, most)) this.#failLimit(assigned, others);
    const kin = others.filter((other) => keyOf(other.params) === key);
    if (isOver(kin.length, isAdopted ? bounds.perKey : (bounds.perKey ?? bounds.perGroup)))
      this.#failLimit(assigned, kin);
    if (isAdopted) return;
    if (bounds.rate !== undefined) this.#onStart(method, key, bounds.rate);
    if (bounds.isOrdered) this.#checkFirst(method, taskId);
  }

  #failLimit({ method, taskId, params }: Assigned, others: readonly Assigned[]): void {
    const ids = others.map((other) => other.taskId).filter((id) => id !== taskId);
    this.#fail(`${method} ${taskId} (${keyOf(params)}) was assigned beside ${ids.join(", ")}`);
  }

  #onStart(
    method: string,
    key: string,
    { count, perMs, isPerKey }: { count: number; perMs: number; isPerKey: boolean },
  ): void {
    const of = isPerKey ? `${method} ${key}` : method;
    const starts = this.#starts.get(of) ?? [];
    this.#starts.set(of, starts);
    const before = starts.at(-count);
    starts.push(this.#now());
    if (before !== undefined && this.#now() - before < perMs - toleranceMs) {
      this.#fail(`${count + 1} of ${of} began within ${this.#now() - before} ms`);
    }
  }

  #checkFirst(method: string, taskId: string): void {
    const rank = this.#ranks.get(taskId)?.rank;
    if (rank === undefined) return;
    for (const [id, other] of this.#waiting) {
      if (other.method === method && other.rank < rank - toleranceMs) {
        this.#fail(`${method} ${taskId} was assigned before ${id}, which comes before it`);
      }
    }
  }

  /** The answer to a submission, perhaps once more. */
  #onAccepted(id: string): void {
    const rank = this.#ranks.get(id);
    if (rank !== undefined && this.#stored.delete(id)) this.#waiting.set(id, rank);
  }

  #onAdded(task: StoredTask, isClaimed: boolean): void {
    const { id, method, dueAt, priority } = task;
    if (methods[method]?.bounds.isOrdered === true) {
      this.#ranks.set(id, { method, rank: dueAt - priority * agingMs });
      // What is left to the store is not where the broker can see it, until it is claimed.
      if (isClaimed) this.#stored.add(id);
    }
    const kin = kinOf(task);
    if (kin === undefined || isSettled(task.status)) return;
    const of = this.#unsettled.get(kin) ?? new Map<string, number>();
    this.#unsettled.set(kin, of);
    of.set(task.id, task.dueAt);
    const isBatch = task.method === "batched";
    // What somebody started again comes on top.
    const ids = [...of.keys()].filter((other) => !this.#revived.has(other));
    if (isBatch && ids.length > 2) this.#fail(`${ids.join(", ")} are not settled, of ${kin}`);
  }

  #onSettled(task: StoredTask, outcome: string | undefined): void {
    this.#waiting.delete(task.id);
    const of = this.#unsettled.get(kinOf(task) ?? "");
    of?.delete(task.id);
    if (outcome?.includes('"reason":"singleton"') !== true) return;
    const isDue = (dueAt: number): boolean => dueAt <= this.#now() + toleranceMs;
    if (![...(of?.values() ?? [])].some(isDue)) {
      this.#fail(`${task.id} was stopped as a second ${kinOf(task)}, but there is no other one`);
    }
  }
}

/** What there may be one of at a time: a batch, or an instance. */
function kinOf({ method, params }: StoredTask): string | undefined {
  if (method === "single") return method;
  if (method !== "batched" && method !== "singleBy") return undefined;
  return `${method} ${keyOf(JSON.parse(params ?? "[]"))}`;
}

function keyOf(params: readonly unknown[]): string {
  return String(params[2]);
}
