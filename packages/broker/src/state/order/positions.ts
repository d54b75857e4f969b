// How many tasks come before another one, and when it will begin: about, from what is known now.
import { type Outcome, rateOption, respond, TaskStatus } from "zerotask-core";
import type { Command } from "../commands/command.ts";
import type { Storages } from "../storage/storages.ts";
import type { Durability, StoredTask } from "../storage/stored-task.ts";
import type { Task } from "../tasks/task.ts";
import type { TaskTable } from "../tasks/task-table.ts";
import type { Turn } from "../turn.ts";
import type { Lane } from "./lane.ts";
import type { MethodTable } from "./method-table.ts";
import { isBefore } from "./order.ts";

export interface PositionParts {
  readonly turn: Turn;
  readonly tasks: TaskTable;
  readonly methods: MethodTable;
  readonly storages: Storages;
}

const begun = { result: { ahead: 0, eta_ms: 0 } };

export class Positions {
  readonly #parts: PositionParts;

  constructor(parts: PositionParts) {
    this.#parts = parts;
  }

  /** Of a task in memory. */
  ofHeld(task: Task): Outcome {
    const { lane, status, shared } = task;
    if (shared !== undefined) return this.ofHeld(shared);
    if (status !== TaskStatus.Queued && status !== TaskStatus.Scheduled) return begun;
    let before = 0;
    for (const other of lane) if (other !== task && isBefore(other, task)) before++;
    return this.#tell(lane, before, task.dueAt);
  }

  /** Of a task that only a store has: the answer comes when the store has counted. */
  ofStored({ addressee, requestId }: Command, task: StoredTask, level: Durability): undefined {
    const { method, group, dueAt, status } = task;
    const lane = this.#parts.methods.find(method)?.lanes.get(group);
    const tell = (before: number): void => {
      addressee.deliver(respond(requestId, lane === undefined ? begun : this.#tell(lane, before, dueAt)));
    };
    if (task.settledAt !== undefined) addressee.deliver(respond(requestId, begun));
    else if (status === TaskStatus.Scheduled) {
      // By then those that wait now will have run.
      const etaMs = Math.max(0, Math.round(dueAt - this.#parts.turn.now));
      addressee.deliver(respond(requestId, { result: { ahead: 0, eta_ms: etaMs } }));
    } else {
      this.#parts.storages.for(level).countBefore(task.id, (count = 0, failure) => {
        if (failure === undefined) tell(count + (lane?.held ?? 0));
        else addressee.deliver(respond(requestId, { error: failure }));
      });
    }
    return undefined;
  }

  /** Groups take turns: of each other one come as many as of its own, if there are. */
  #tell(lane: Lane, before: number, dueAt: number): Outcome {
    const { method } = lane;
    let ahead = before;
    for (const other of method.lanes.values()) {
      if (other !== lane) ahead += Math.min(before + 1, waitingOf(other));
    }
    const etaMs = this.#etaOf(lane, before, ahead);
    const dueIn = Math.max(0, dueAt - this.#parts.turn.now);
    return {
      result: { ahead, eta_ms: etaMs === undefined ? null : Math.round(Math.max(etaMs, dueIn)) },
    };
  }

  /** Unknown while nothing serves the method, or none of it has run. */
  #etaOf(lane: Lane, before: number, ahead: number): number | undefined {
    const { meanRunMs, name, nodes, limits } = lane.method;
    if (meanRunMs === undefined) return undefined;
    let slots = 0;
    for (const node of nodes) slots += node.roomOf(name).slots;
    const parallel = Math.min(slots, limits.concurrency ?? Number.POSITIVE_INFINITY);
    if (parallel === 0) return undefined;
    const etaMs = Math.max(runsMs(ahead, parallel, meanRunMs), startsMs(ahead, limits.rate));
    const { perGroup } = limits;
    if (lane.group === "" || perGroup === undefined) return etaMs;
    const { concurrency = Infinity, rate } = perGroup;
    // Only those of its own group hold it up there, and none while the group may run more.
    const inFront = before - Math.max(0, concurrency - lane.gate.running);
    return Math.max(etaMs, inFront < 0 ? 0 : runsMs(inFront, concurrency, meanRunMs), startsMs(before, rate));
  }
}

/** With nobody ahead it begins when one of those that run ends. */
function runsMs(ahead: number, parallel: number, meanRunMs: number): number {
  return ((ahead + 1) / parallel) * meanRunMs;
}

function startsMs(ahead: number, rate: string | undefined): number {
  if (rate === undefined) return 0;
  const { count, perMs } = rateOption("rate", rate);
  return (ahead * perMs) / count;
}

function waitingOf({ held, behind }: Lane): number {
  return held + behind.memory.count + behind.disk.count;
}
