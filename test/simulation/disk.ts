// A disk that outlives the broker's process: it takes its time, loses what was not committed, and may fill up.
import { type Store, StoreError } from "zerotask-broker";
import type {
  CommitResult,
  StoreChange,
  StoredTask,
} from "../../packages/broker/src/state/storage/stored-task.ts";
import { MemoryTasks } from "../../packages/broker/src/store/memory-tasks.ts";
import type { SimulatedProcess, Simulator } from "./simulator.ts";

export interface DiskObserver {
  /** Before a change is made: what is there under its id. */
  onChange(change: StoreChange, before: StoredTask | undefined): void;
  /** What the broker keeps beside tasks. */
  onItem(kind: string, value: string): void;
}

export class Disk {
  /** What is on the disk for good. */
  readonly tasks = new MemoryTasks();
  readonly #simulator: Simulator;
  readonly #observer: DiskObserver;
  /** What each process has asked for and not yet been given. */
  readonly #underWay = new Map<SimulatedProcess, (() => void)[]>();
  #isFull = false;
  readonly #failed = new Set<SimulatedProcess>();

  constructor(simulator: Simulator, observer: DiskObserver) {
    this.#simulator = simulator;
    this.#observer = observer;
  }

  /** From now on commits fail. */
  fill(): void {
    this.#isFull = true;
  }

  heal(): void {
    this.#isFull = false;
  }

  /** Whether the process was refused a commit, after which it stores nothing more. */
  hasFailed(process: SimulatedProcess): boolean {
    return this.#failed.has(process);
  }

  get(id: string): StoredTask | undefined {
    return this.tasks.get([id])[0];
  }

  /** The process was killed: what it was just writing may be there, all of it, or not; the rest is not. */
  onKilled(process: SimulatedProcess): void {
    const [current] = this.#underWay.get(process) ?? [];
    this.#underWay.delete(process);
    if (current !== undefined && this.#simulator.chance(0.5)) current();
  }

  /** The disk as one process uses it: one operation after the other. */
  storeOf(process: SimulatedProcess): Store {
    const simulator = this.#simulator;
    const underWay: (() => void)[] = [];
    this.#underWay.set(process, underWay);
    let busyUntil = 0;
    let answersAt = 0;
    const perform = <T>(operation: () => T): Promise<T> =>
      new Promise((resolve, reject) => {
        const done = (): void => {
          // Answers come in the order of the requests, as a store promises.
          answersAt = Math.max(answersAt, simulator.elapsed + simulator.between(0, 1));
          const wait = answersAt - simulator.elapsed;
          try {
            const result = operation();
            simulator.after(wait, () => resolve(result), process);
          } catch (error) {
            simulator.after(wait, () => reject(error), process);
          }
        };
        underWay.push(done);
        busyUntil =
          Math.max(busyUntil, simulator.elapsed) + simulator.between(0.05, simulator.chance(0.01) ? 400 : 2);
        const next = (): void => {
          underWay.shift();
          done();
        };
        simulator.after(busyUntil - simulator.elapsed, next, process);
      });
    const { tasks } = this;
    return {
      durability: "disk",
      location: "simulated",
      open: () => perform(() => tasks.open()),
      commit: (changes) => perform(() => this.#commit(process, changes)),
      claim: (claim) => perform(() => tasks.claim(claim)),
      claimDue: (now, limit) => perform(() => tasks.claimDue(now, limit)),
      claimExpired: (now, limit) => perform(() => tasks.claimExpired(now, limit)),
      take: (ids) => perform(() => tasks.take(ids)),
      takeInstance: (instance) => perform(() => tasks.takeInstance(instance)),
      countBefore: (id) => perform(() => tasks.countBefore(id)),
      failed: (filter) => perform(() => tasks.failed(filter)),
      get: (ids) => perform(() => tasks.get(ids)),
      list: (filter) => perform(() => tasks.list(filter)),
      counts: () => perform(() => tasks.counts()),
      close: () => perform(() => undefined),
    };
  }

  #commit(process: SimulatedProcess, changes: readonly StoreChange[]): CommitResult {
    if (this.#isFull) {
      this.#failed.add(process);
      throw new StoreError("Can't write: the disk is full");
    }
    const known: StoredTask[] = [];
    const revived: string[] = [];
    let expireMore = false;
    for (const change of changes) {
      const id = change.type === "add" ? change.task.id : "id" in change ? change.id : undefined;
      if (id !== undefined) this.#observer.onChange(change, this.get(id));
      if (change.type === "save-item") this.#observer.onItem(change.kind, change.value);
      const result = this.tasks.commit([change]);
      known.push(...result.known);
      revived.push(...result.revived);
      expireMore ||= result.expireMore;
    }
    return { known, revived, expireMore };
  }
}
