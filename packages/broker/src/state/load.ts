// How much is waiting to be done, in all and for each client, against the bounds that keep the broker alive.

import { busy, type Refusal } from "./commands/command.ts";
import type { ClientSession } from "./peers/client-session.ts";
import type { Durability } from "./storage/stored-task.ts";

export interface LoadBounds {
  /** Unsettled tasks that only memory knows, and their bytes. */
  readonly maxTasks: number;
  readonly maxTaskBytes: number;
  /** Unsettled tasks on disk, and their bytes. */
  readonly maxStoredTasks: number;
  readonly maxStoredBytes: number;
  /** Unsettled tasks of one client, and their bytes. */
  readonly maxClientTasks: number;
  readonly maxClientBytes: number;
}

/** A number of tasks, and their bytes. */
export interface Tally {
  tasks: number;
  bytes: number;
}

export class Load {
  readonly #bounds: LoadBounds;
  readonly #memory: Tally = { tasks: 0, bytes: 0 };
  readonly #disk: Tally = { tasks: 0, bytes: 0 };

  constructor(bounds: LoadBounds) {
    this.#bounds = bounds;
  }

  /** Unsettled tasks, wherever they are. */
  get unsettled(): number {
    return this.#memory.tasks + this.#disk.tasks;
  }

  /** Why a task of this size can't be taken now, if so. */
  refusal(
    client: ClientSession | undefined,
    level: Durability | undefined,
    bytes: number,
  ): Refusal | undefined {
    const { maxTasks, maxTaskBytes, maxStoredTasks, maxStoredBytes, maxClientTasks, maxClientBytes } =
      this.#bounds;
    const isDisk = level === "disk";
    return (
      over(
        this.#of(level),
        bytes,
        isDisk ? maxStoredTasks : maxTasks,
        isDisk ? maxStoredBytes : maxTaskBytes,
      ) ??
      (client && over(client.load, bytes, maxClientTasks, maxClientBytes, " of this client"))
    );
  }

  /** Why a task that is there can't become larger by so many bytes, if so. */
  refusalToGrow(
    client: ClientSession | undefined,
    level: Durability | undefined,
    bytes: number,
  ): Refusal | undefined {
    const { maxTaskBytes, maxStoredBytes, maxClientBytes } = this.#bounds;
    if (bytes <= 0) return undefined;
    const mostBytes = level === "disk" ? maxStoredBytes : maxTaskBytes;
    return (
      overBytes(this.#of(level), 1, bytes, mostBytes) ??
      (client && overBytes(client.load, 1, bytes, maxClientBytes, " of this client"))
    );
  }

  add(client: ClientSession | undefined, level: Durability | undefined, bytes: number, tasks = 1): void {
    charge(this.#of(level), tasks, bytes);
    if (client !== undefined) charge(client.load, tasks, bytes);
  }

  remove(client: ClientSession | undefined, level: Durability | undefined, bytes: number): void {
    charge(this.#of(level), -1, -bytes);
    if (client !== undefined) charge(client.load, -1, -bytes);
  }

  #of(level: Durability | undefined): Tally {
    return level === "disk" ? this.#disk : this.#memory;
  }
}

/** A client that came back counts anew: it may see tasks settled that it was not charged with. */
function charge(tally: Tally, tasks: number, bytes: number): void {
  tally.tasks = Math.max(0, tally.tasks + tasks);
  tally.bytes = Math.max(0, tally.bytes + bytes);
}

function over(tally: Tally, more: number, most: number, mostBytes: number, whose = ""): Refusal | undefined {
  if (tally.tasks >= most) return busy(`tasks${whose}`, most);
  return overBytes(tally, 0, more, mostBytes, whose);
}

/** One that is larger than the bound by itself is taken when no others are there: else it could never be. */
function overBytes(
  { tasks, bytes }: Tally,
  own: number,
  more: number,
  mostBytes: number,
  whose = "",
): Refusal | undefined {
  return tasks > own && bytes + more > mostBytes ? busy(`bytes of tasks${whose}`, mostBytes) : undefined;
}
