// What was promised to whom, and whether it was kept: checked while it happens, and at the end.
import { isSettled, type Outcome } from "zerotask-core";
import type { StoreChange, StoredTask } from "../../packages/broker/src/state/storage/stored-task.ts";
import type { Message as Entry } from "./assignments.ts";
import type { Disk } from "./disk.ts";
import { HandlerRuns } from "./handler-runs.ts";
import { Interventions } from "./interventions.ts";
import { Rules, stalledMs } from "./rules.ts";
import { begin, type SimulatedProcess } from "./simulator.ts";

/** A promise of the design that was broken, told with all that is known of it. */
export class Violation extends Error {
  override readonly name = "Violation";
}

interface Message {
  readonly method?: string;
  readonly id?: string | number | null;
  readonly params?: { readonly [name: string]: unknown };
  readonly result?: unknown;
  readonly error?: unknown;
}

const newTask = "zerotask.broker.client_new_task";

export class History {
  #disk: Disk | undefined;
  /** Requests of each connection that were not answered yet: what they submit to disk, if anything. */
  readonly #requests = new Map<string, string | undefined>();
  /** Tasks whose submission was acknowledged as being on disk. */
  readonly #acknowledged = new Set<string>();
  /** What was told of each task as its outcome. */
  readonly #told = new Map<string, string>();
  /** Attempts that this run of the broker has assigned. */
  #assigned = new Set<string>();
  /** When the records of settled tasks may go. */
  readonly #revived = new Set<string>();
  readonly #forgetAt = new Map<string, number>();
  readonly #now: () => number;
  readonly #rules: Rules;
  readonly runs: HandlerRuns;
  readonly interventions: Interventions;
  /** All outcomes that a task on disk ever had: several where it was begun again. */
  readonly #outcomes = new Map<string, Set<string | undefined>>();
  #brokerRuns = 0;
  #violation: Violation | undefined;

  constructor(now: () => number) {
    this.#now = now;
    const fail = (message: string): void => this.fail(message);
    const elapsed = (): number => now() - begin;
    this.#rules = new Rules(fail, now);
    this.runs = new HandlerRuns({
      ...{ now: elapsed, fail, stalledMs, stored: (id) => this.#disk?.get(id) },
      onBegin: (run) => this.interventions.onBegin(run),
    });
    this.interventions = new Interventions({
      ...{ now: elapsed, fail, runs: this.runs },
      stored: (id) => this.#disk?.get(id),
      isAcknowledged: (id) => this.#acknowledged.has(id),
    });
  }

  /** The disk that acknowledged tasks have to be on. */
  watch(disk: Disk): void {
    this.#disk = disk;
  }

  get acknowledged(): ReadonlySet<string> {
    return this.#acknowledged;
  }

  /** The first promise that was broken. */
  get violation(): Violation | undefined {
    return this.#violation;
  }

  fail(message: string): void {
    this.#violation ??= new Violation(message);
  }

  /** A new run of the broker: it numbers attempts anew. */
  onBrokerStarted(): void {
    this.#brokerRuns++;
    this.#assigned = new Set();
    this.#rules.onBrokerStarted();
    this.runs.onBrokerStarted();
  }

  /** What the broker itself sends, hears, and knows to be lost. */
  onSent(connection: number, text: string): void {
    const messages = entriesOf(text);
    this.#rules.onSent(connection, messages);
    for (const message of messages) this.runs.onSent(connection, message);
  }

  onReceived(connection: number, text: string): void {
    const messages = entriesOf(text);
    this.#rules.onReceived(connection, messages);
    for (const message of messages) this.runs.onReceived(connection, message);
  }

  /** When the broker heard that the run ended which had begun `began` milliseconds after the beginning. */
  heardOf(began: number): number {
    return this.#rules.heardOf(began) ?? 0;
  }

  onConnected(connection: number, process: SimulatedProcess): void {
    this.runs.onConnected(connection, process);
  }

  onLost(connection: number): void {
    this.#rules.onLost(connection);
    this.runs.onLost(connection);
  }

  /** A message left one side of a connection. */
  onMessage(connection: number, side: "up" | "down", text: string): void {
    const value = JSON.parse(text) as Message | Message[];
    for (const message of Array.isArray(value) ? value : [value]) {
      if (side === "up") this.#onUp(connection, message);
      else this.#onDown(connection, message);
    }
  }

  onChange(change: StoreChange, before: StoredTask | undefined): void {
    this.#rules.onChange(change, before);
    this.interventions.onChange(change, before);
    if (change.type === "revive") this.#onRevived(change.id, before);
    if (change.type !== "settle" || before === undefined) return;
    if (!isSettled(before.status)) {
      this.#forgetAt.set(change.id, change.forgetAt);
      this.runs.onSettled(change.id);
    }
    if (isSettled(before.status)) {
      this.fail(`${change.id} was ${before.status}, and was settled again as ${change.status}`);
    }
    const outcomes = this.#outcomes.get(change.id);
    if (outcomes === undefined) this.#outcomes.set(change.id, new Set([change.outcome]));
    else outcomes.add(change.outcome);
    const { result } = (change.outcome === undefined ? {} : JSON.parse(change.outcome)) as {
      result?: { attempt?: number };
    };
    if (result?.attempt !== undefined && result.attempt !== change.attempt) {
      this.fail(
        `${change.id} has the outcome of attempt ${result.attempt}, but attempt ${change.attempt} was current`,
      );
    }
  }

  /** It may have another outcome from now on. */
  #onRevived(id: string, before: StoredTask | undefined): void {
    if (before === undefined || !isSettled(before.status)) return;
    this.#told.delete(id);
    this.#forgetAt.delete(id);
    this.#revived.add(id);
  }

  /** Promise 1: an acknowledged task exists until it is settled and its record expires. */
  checkAcknowledged(): void {
    for (const id of this.#acknowledged) {
      if (this.#disk?.get(id) === undefined && !this.#isExpired(id)) {
        this.fail(`${id} was acknowledged, and is not on disk`);
      }
    }
  }

  /** Everything was healed and had its time: what was acknowledged must have come to an end. */
  checkSettled(): void {
    for (const id of this.#acknowledged) {
      if (!this.isOver(id)) this.fail(`${id} was acknowledged, and is still ${this.#disk?.get(id)?.status}`);
    }
  }

  /** Whether a task is settled, or was and its record has expired. */
  isOver(id: string): boolean {
    const status = this.#disk?.get(id)?.status;
    return status === undefined ? this.#isExpired(id) : isSettled(status);
  }

  #isExpired(id: string): boolean {
    return (this.#forgetAt.get(id) ?? Number.POSITIVE_INFINITY) <= this.#now();
  }

  #onUp(connection: number, { method, id, params }: Message): void {
    if (method === undefined || id === undefined) return;
    const options = params?.options as { durability?: string } | undefined;
    const isStored = method === newTask && options?.durability !== "memory";
    this.#requests.set(`${connection} ${id}`, isStored ? "disk" : undefined);
  }

  #onDown(connection: number, message: Message): void {
    const { method, id, params } = message;
    if (method === "zerotask.client.task_settled") {
      const { task_id, status, ...outcome } = params as { task_id: string; status: string };
      this.#onTold(task_id, outcome as Outcome);
    } else if (method !== undefined && typeof id === "string" && !method.startsWith("zerotask.")) {
      // What a node runs for itself is forgotten with its connection, and counted anew: only there it could be told apart.
      if (this.#assigned.has(id) && !id.startsWith("local:"))
        this.fail(`the attempt ${id} was assigned twice`);
      this.#assigned.add(id);
    } else if (method === undefined && id !== undefined && id !== null) this.#onAnswer(connection, message);
  }

  /** Promise 4: a request gets at most one reply. */
  #onAnswer(connection: number, { id, result, error }: Message): void {
    const key = `${connection} ${id}`;
    if (!this.#requests.has(key)) this.fail(`the request ${key} was answered twice, or never made`);
    const isStored = this.#requests.get(key) === "disk";
    this.#requests.delete(key);
    if (!isStored || error !== undefined || typeof result !== "string") return;
    if (this.#disk?.get(result) === undefined) this.fail(`${result} was acknowledged before it was on disk`);
    this.#acknowledged.add(result);
  }

  /** Promise 2: at most one outcome is accepted, and nobody hears of one that could still be lost. */
  #onTold(taskId: string, outcome: Outcome): void {
    const text = JSON.stringify(outcome);
    // What is in memory only may run again when the broker that knew its outcome is gone.
    const key = this.#acknowledged.has(taskId) ? taskId : `${taskId} of run ${this.#brokerRuns}`;
    const before = this.#told.get(key);
    // What was read before a task was begun again may be told a moment later.
    if (this.#revived.has(taskId) && this.#outcomes.get(taskId)?.has(text)) return;
    const isFenced = this.#acknowledged.has(taskId) || !this.interventions.isTouched(taskId);
    if (before !== undefined && before !== text && isFenced) {
      this.fail(`${taskId} was told to have ended with ${before}, and then with ${text}`);
    }
    this.#told.set(key, text);
    if (!this.#acknowledged.has(taskId)) return;
    const stored = this.#disk?.get(taskId);
    if (stored === undefined || !isSettled(stored.status)) {
      this.fail(`${taskId} was told to have ended before that was on disk`);
    } else if (stored.outcome !== text) {
      this.fail(`${taskId} was told to have ended with ${text}, but ${stored.outcome} is on disk`);
    }
  }
}

function entriesOf(text: string): Entry[] {
  const value = JSON.parse(text) as Entry | Entry[];
  return Array.isArray(value) ? value : [value];
}
