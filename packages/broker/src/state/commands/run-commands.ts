// What clients want to become of a task's run: that it ends, and is known to have ended; that it begins anew.
import {
  BrokerMethod,
  describe,
  ErrorCode,
  errorObject,
  type Outcome,
  type StopOutcome,
  TaskStatus,
} from "zerotask-core";
import type { Load } from "../load.ts";
import type { Scheduler } from "../order/scheduler.ts";
import type { Sessions } from "../peers/sessions.ts";
import type { Backlog } from "../storage/backlog.ts";
import type { Storages } from "../storage/storages.ts";
import { bytesOf, type Durability, type StoredTask } from "../storage/stored-task.ts";
import type { Locals } from "../tasks/locals.ts";
import type { Revival } from "../tasks/revival.ts";
import { type Asker, howAtOnce, howSettled, ownRunOf, type Stops } from "../tasks/stops.ts";
import { unknownTask } from "../tasks/submissions.ts";
import type { Task } from "../tasks/task.ts";
import type { TaskLife } from "../tasks/task-life.ts";
import { viewOfHeld } from "../tasks/task-record.ts";
import type { TaskTable } from "../tasks/task-table.ts";
import type { Turn } from "../turn.ts";
import { type Command, type CommandHandler, type ParamReader, Refusal } from "./command.ts";
import { askedBy, HeededRequests } from "./heeded-requests.ts";
import { TaskFinder } from "./task-finder.ts";
import { type Owed, reply } from "./task-views.ts";

export interface RunCommandParts {
  readonly turn: Turn;
  readonly tasks: TaskTable;
  readonly life: TaskLife;
  readonly stops: Stops;
  readonly revival: Revival;
  readonly locals: Locals;
  readonly storages: Storages;
  readonly scheduler: Scheduler;
  readonly sessions: Sessions;
  readonly load: Load;
  readonly backlog: Backlog;
}

const defaultGraceMs = 5_000;
const mostGraceMs = 86_400_000;
const isDone: Outcome = { result: true };

export class RunCommands {
  readonly #parts: RunCommandParts;
  readonly #finder: TaskFinder;
  readonly #heeded = new HeededRequests((...answer) => this.#whenStored(...answer));

  constructor(parts: RunCommandParts) {
    this.#parts = parts;
    this.#finder = new TaskFinder(parts);
  }

  /** Each command with the names of its params, in order. */
  table(): [string, readonly string[], CommandHandler][] {
    return [
      [BrokerMethod.ClientTaskStop, ["task_id", "confirm", "grace_ms"], (...a) => this.#stop(...a)],
      [BrokerMethod.ClientTaskStart, ["task_id"], (...a) => this.#start(...a)],
      [BrokerMethod.ClientTaskReload, ["task_id", "params", "grace_ms"], (...a) => this.#reload(...a)],
    ];
  }

  /** With `confirm` the answer comes when it is known how the run ended; else the task is STOPPED at once. */
  #stop(command: Command, read: ParamReader): undefined {
    const isConfirmed = read.flag("confirm");
    const graceMs = readGrace(read);
    const id = read.string("task_id");
    const { life, revival, stops } = this.#parts;
    const treatment = this.#heeded.once(command, id, {
      held: (task) => {
        if (isConfirmed) stops.stop(task, graceMs, this.#asker(command, task, toldStop));
        else {
          life.stop(task, howAtOnce(task));
          this.#answer(command, task, { result: task.status });
        }
      },
      settled: (task, level) => {
        // Somebody began it again before: it is stopped as soon as it waits.
        if (revival.isReviving(id)) {
          revival.revive(task, level, () => this.#finder.treat(command, id, treatment));
          return;
        }
        const { outcome, status } = task;
        const known = outcome === undefined ? undefined : (JSON.parse(outcome) as Outcome);
        const how = howSettled(task, known);
        const answer = { result: isConfirmed ? { how, status } : status };
        this.#heeded.note(askedBy(command, id), answer);
        reply(command, () => answer);
      },
    });
    this.#finder.treat(command, id, treatment);
    return undefined;
  }

  /** A task that was stopped is QUEUED once more. */
  #start(command: Command, read: ParamReader): undefined {
    const id = read.string("task_id");
    const treatment = this.#heeded.once(command, id, {
      held: (task) => {
        const { status } = viewOfHeld(task);
        const isStopped = status === TaskStatus.Stopped;
        if (isSettledLocal(task) && isStopped) this.#startLocal(command, task, task.params, task.bytes);
        else this.#answer(command, task, notStopped(status).error);
      },
      settled: (task, level) => {
        if (task.status !== TaskStatus.Stopped) throw notStopped(task.status);
        this.#revive(command, task, level, undefined);
      },
    });
    this.#finder.treat(command, id, treatment);
    return undefined;
  }

  /** A task is run anew, perhaps with other params; what runs of it is ended before. */
  #reload(command: Command, read: ParamReader): undefined {
    const given = read.taskParams("params");
    const params = given === undefined ? undefined : JSON.stringify(given);
    const graceMs = readGrace(read);
    const id = read.string("task_id");
    const treatment = this.#heeded.once(command, id, {
      held: (task) => {
        if (!task.isSubmitted && task.pin === undefined) {
          const message = `Expected a task that was submitted, got the call ${task.id}`;
          throw new Refusal(ErrorCode.NotAllowed, message);
        }
        if (isSettledLocal(task)) {
          const bytes = params === undefined ? task.bytes : bytesOf(params);
          this.#startLocal(command, task, given ?? task.params, bytes);
          return;
        }
        if (params !== undefined) this.#checkRoom(task, bytesOf(params));
        const asked = askedBy(command, id);
        const resume = (): void => {
          this.#heeded.note(asked, isDone);
          this.#resume(task, given, params);
        };
        const asker = this.#asker(command, task, toldReload);
        this.#parts.stops.reload(task, graceMs, resume, params !== undefined, asker);
      },
      settled: (task, level) => {
        const { revival } = this.#parts;
        // Somebody puts it back as it was: then it is made anew like any other that waits.
        if (params !== undefined && revival.isReviving(task.id))
          revival.revive(task, level, () => this.#finder.treat(command, task.id, treatment));
        else this.#revive(command, task, level, params);
      },
    });
    this.#finder.treat(command, id, treatment);
    return undefined;
  }

  /** It waits for long, maybe: without what came with its request. */
  #asker(command: Command, task: Task, told: (task: Task, how: StopOutcome) => Outcome): Asker {
    const { addressee, requestId, session } = command;
    const owed = { addressee, requestId };
    const asked = askedBy(command, task.id);
    const tell = (how: StopOutcome): void => {
      const outcome = told(task, how);
      this.#heeded.note(asked, outcome);
      this.#whenStored(owed, task.level, outcome);
    };
    return { addressee, isStranger: session === undefined, tell };
  }

  #answer(command: Command, task: Task, outcome: Outcome): void {
    this.#heeded.note(askedBy(command, task.id), outcome);
    this.#whenStored(command, task.level, outcome);
  }

  /** @throws Refusal when there is no room for a task of this size in place of what it is */
  #checkRoom({ caller, ownerId, level, bytes }: Task, next: number): void {
    const { load, sessions } = this.#parts;
    const refusal = load.refusalToGrow(caller ?? sessions.clients.get(ownerId), level, next - bytes);
    if (refusal !== undefined) throw refusal;
  }

  /** A task goes on from the start, with these params. */
  #resume(task: Task, given: Task["params"], params: string | undefined): void {
    const { backlog, life, load, scheduler, sessions, storages, turn } = this.#parts;
    // A run that was shared, and ends with the task, is none of its own attempts.
    const hasRun = ownRunOf(task) !== undefined || task.attempt > 0;
    scheduler.unassign(task);
    if (params !== undefined) {
      const owner = sessions.clients.get(task.ownerId);
      const bytes = bytesOf(params);
      load.remove(owner, task.level, task.bytes);
      load.add(owner, task.level, bytes);
      if (task.level !== undefined) {
        backlog.release(task.bytes);
        backlog.hold(bytes);
        storages.for(task.level).change({ type: "set-params", id: task.id, params });
      }
      task.params = given;
      task.bytes = bytes;
      life.rename(task);
    }
    task.failures = 0;
    task.losses = 0;
    task.reruns = 0;
    if (hasRun) {
      // It begins anew: how long somebody waited for its first run counts no more.
      task.hasBegun = true;
      task.endsAt = undefined;
    }
    // What waits for its time goes on waiting.
    life.reschedule(task, task.hasBegun ? turn.now : task.dueAt);
  }

  /**
   * What a node ran for itself begins again on that node.
   * @throws Refusal when that is gone, or has no room for it
   */
  #startLocal(command: Command, task: Task, params: Task["params"], bytes: number): void {
    if (task.pin !== undefined) this.#parts.locals.start(task, task.pin, params, bytes);
    this.#answer(command, task, isDone);
  }

  /** @throws Refusal when there is no room for it */
  #revive(command: Command, task: StoredTask, level: Durability, params: string | undefined): void {
    const then = (isRevived: boolean, failure: Parameters<typeof failed>[0] | undefined): void => {
      if (isRevived) this.#heeded.note(askedBy(command, task.id), isDone);
      if (failure !== undefined) reply(command, () => failed(failure));
      else reply(command, () => (isRevived ? isDone : unknownTask(task.id).error));
    };
    this.#parts.revival.revive(task, level, then, params);
  }

  /** What is answered, and what it goes by, is to be so after a restart. What comes of the task until then is another matter. */
  #whenStored(owed: Owed, level: Durability | undefined, outcome: Outcome): void {
    if (level === undefined) reply(owed, () => outcome);
    else {
      this.#parts.storages.for(level).whenStored((failure) => {
        reply(owed, () => (failure === undefined ? outcome : failed(failure)));
      });
    }
  }
}

function readGrace(read: ParamReader): number {
  if (!read.has("grace_ms")) return defaultGraceMs;
  const graceMs = read.count("grace_ms");
  if (graceMs <= mostGraceMs) return graceMs;
  const expected = `Expected \`grace_ms\` to be at most ${mostGraceMs}`;
  throw new Refusal(ErrorCode.InvalidParams, `${expected}, got ${describe(graceMs)}`);
}

function notStopped(status: TaskStatus): Refusal {
  return new Refusal(ErrorCode.Conflict, `Expected a task that is STOPPED, got one that is ${status}`);
}

function isSettledLocal({ pin, settled }: Task): boolean {
  return pin !== undefined && settled !== undefined;
}

function failed(error: ReturnType<typeof errorObject>): Outcome {
  return { error };
}

function toldStop(task: Task, how: StopOutcome): Outcome {
  return { result: { how, status: viewOfHeld(task).status } };
}

function toldReload(task: Task, how: StopOutcome): Outcome {
  if ((task.shared ?? task).stopping?.reason.type === "stop") {
    const message =
      "Expected a task that is not being stopped, got one that is STOPPED as soon as its run has ended";
    return { error: errorObject(ErrorCode.Conflict, message) };
  }
  if (how === "unstoppable" && task.settled === undefined) {
    const message = `The run of ${task.id} ignores that it is to end: the task is made anew when it has ended`;
    return { error: errorObject(ErrorCode.NotAllowed, message) };
  }
  if (task.settled === undefined) return isDone;
  return {
    error: errorObject(ErrorCode.TaskStopped, `The task was settled before it was made anew: ${task.status}`),
  };
}
