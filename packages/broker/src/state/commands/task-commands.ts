// What anybody asks of a task by its id, wherever the task is kept.
import { BrokerMethod, ErrorCode, type TaskStatus } from "zerotask-core";
import type { Positions } from "../order/positions.ts";
import { clientOf } from "../peers/introduction.ts";
import type { Sessions } from "../peers/sessions.ts";
import type { Storages } from "../storage/storages.ts";
import { unknownTask } from "../tasks/submissions.ts";
import type { TaskView } from "../tasks/task-record.ts";
import type { TaskTable } from "../tasks/task-table.ts";
import { settledMessage, type Waiters } from "../tasks/waiters.ts";
import type { Turn } from "../turn.ts";
import { type Command, type CommandHandler, type ParamReader, Refusal, readTaskId } from "./command.ts";
import { reply, TaskViews } from "./task-views.ts";

export interface TaskCommandParts {
  readonly turn: Turn;
  readonly sessions: Sessions;
  readonly tasks: TaskTable;
  readonly storages: Storages;
  readonly waiters: Waiters;
  readonly positions: Positions;
}

/** How long a peer without a session may wait: nobody notices when it leaves. */
const strangerWaitMs = 60_000;

export class TaskCommands {
  readonly #parts: TaskCommandParts;
  readonly #views: TaskViews;

  constructor(parts: TaskCommandParts) {
    this.#parts = parts;
    this.#views = new TaskViews(parts);
  }

  /** Each command with the names of its params, in order. */
  table(): [string, readonly string[], CommandHandler][] {
    return [
      [BrokerMethod.ClientTaskStatus, ["client_id", "task_id"], (...a) => this.#status(...a)],
      [BrokerMethod.ClientTaskResult, ["client_id", "task_id"], (...a) => this.#result(...a)],
      [BrokerMethod.ClientTaskWait, ["task_id", "timeout_ms"], (...a) => this.#wait(...a)],
      [BrokerMethod.ClientTaskGet, ["task_id"], (...a) => this.#get(...a)],
      [BrokerMethod.ClientTaskPosition, ["task_id"], (...a) => this.#position(...a)],
    ];
  }

  #status(command: Command, read: ParamReader): undefined {
    return this.#views.view(command, this.#ids(command, read), ({ status }) => ({ result: status }));
  }

  #result(command: Command, read: ParamReader): undefined {
    const client = clientOf(command, read, this.#parts);
    return this.#views.view(command, this.#ids(command, read), ({ id, ownerId, level, status, outcome }) => {
      if (outcome === undefined) throw notComplete(status);
      // Somebody else's task can be looked at by its id; only its owner takes the result away.
      if (ownerId === client.id && level !== undefined) {
        // It may be run once more already.
        this.#parts.storages.for(level).change({ type: "remove", id, onlySettled: true });
      }
      return outcome;
    });
  }

  #wait(command: Command, read: ParamReader): undefined {
    const { turn, waiters } = this.#parts;
    const id = read.string("task_id");
    const { addressee, requestId, session } = command;
    const isStranger = session === undefined;
    const asked = read.has("timeout_ms") ? turn.now + read.count("timeout_ms") : undefined;
    const until = isStranger ? Math.min(asked ?? Number.POSITIVE_INFINITY, turn.now + strangerWaitMs) : asked;
    return this.#views.view(command, [id], ({ level, status, outcome }) => {
      if (outcome !== undefined) return { result: settledMessage({ id, status, outcome }) };
      if (until !== undefined && until <= turn.now) throw notComplete(status);
      waiters.add({ taskId: id, level, addressee, requestId }, until, isStranger);
      return undefined;
    });
  }

  #get(command: Command, read: ParamReader): undefined {
    return this.#views.view(command, [read.string("task_id")], (view) => ({ result: describeTask(view) }));
  }

  #position(command: Command, read: ParamReader): undefined {
    const id = read.string("task_id");
    return this.#views.view(command, [id], () => {
      const { positions, storages, tasks } = this.#parts;
      const held = tasks.get(id);
      if (held !== undefined) return positions.ofHeld(held);
      storages.find(id, (stored, level, failure) => {
        if (failure !== undefined) reply(command, () => ({ error: failure }));
        else if (stored === undefined) reply(command, () => unknownTask(id).error);
        else positions.ofStored(command, stored, level);
      });
      return undefined;
    });
  }

  /** What a client may mean by a task id: its own or the full one. */
  #ids(command: Command, read: ParamReader): string[] {
    const id = readTaskId(read);
    return [`${clientOf(command, read, this.#parts).id}-${id}`, id];
  }
}

function describeTask(view: TaskView): object {
  const { settledAt, outcome } = view;
  return {
    task_id: view.id,
    client_id: view.ownerId,
    method: view.method,
    params: view.params ?? null,
    status: view.status,
    durability: view.level ?? "memory",
    attempt: view.attempt,
    failures: view.failures,
    priority: view.priority,
    ...(view.group !== "" && { group: view.group }),
    due_at: Math.round(view.dueAt),
    node_id: view.nodeId ?? null,
    created_at: Math.round(view.createdAt),
    ...(settledAt !== undefined && { settled_at: Math.round(settledAt), ...outcome }),
  };
}

function notComplete(status: TaskStatus): Refusal {
  return new Refusal(ErrorCode.TaskNotComplete, `The task is ${status}`, { status });
}
