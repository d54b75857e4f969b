// What clients want to become of a task's run: that it ends, and is known to have ended; that it begins anew.
import {
  BrokerMethod,
  describe,
  ErrorCode,
  errorObject,
  isSettled,
  type Outcome,
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
import { type Asker, howAtOnce, howSettled, ownRunOf, type StopOutcome, type Stops } from "../tasks/stops.ts";
import { unknownTask } from "../tasks/submissions.ts";
import type { Task } from "../tasks/task.ts";
import type { TaskLife } from "../tasks/task-life.ts";
import { viewOfHeld } from "../tasks/task-record.ts";
import type { TaskTable } from "../tasks/task-table.ts";
import type { Turn } from "../turn.ts";
import { type Command, type CommandHandler, type ParamReader, Refusal } from "./command.ts";
import { type Owed, reply, TaskViews } from "./task-views.ts";

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

/** So many requests to begin a task anew are known again when they are sent once more. */
const mostBegun = 10_000;
const defaultGraceMs = 5_000;
const mostGraceMs = 86_400_000;

/** What is done with a task that is held in memory, or with the record of one that is settled. */
interface Treatment {
  held(task: Task): void;
  settled(task: StoredTask, level: Durability): void;
}

/** A request by which a task began anew; a notification has no name, and is not sent again. */
interface Beginning {
  readonly name: string | undefined;
  readonly peer: string;
}

export class RunCommands {
  readonly #parts: RunCommandParts;
  readonly #views: TaskViews;
  /** By which requests tasks began anew, the oldest first, and the connections that these came on. */
  readonly #begun = new Map<string, string>();

  constructor(parts: RunCommandParts) {
    this.#parts = parts;
    this.#views = new TaskViews(parts);
  }

  /** Each command with the names of its params, in order. */
  table(): [string, readonly string[], CommandHandler][] {
    return [
      [BrokerMethod.ClientTaskStop, ["task_id", "confirm", "grace_ms"], (...a) => this.#stop(...a)],
      [BrokerMethod.ClientTaskStart, ["task_id"], (...a) => this.#start(...a)],
      [BrokerMethod.ClientTaskReload, ["task_id", "params", "grace_ms"], (...a) => this.#reload(...a)],
    ];
  }

  /**
   * A client that was not told sends it again on its next connection: it has happened once. What it sent before may
   * still wait for a store when this comes.
   */
  #once(command: Command, id: string, { held, settled }: Treatment): Treatment {
    const { name, peer } = beginningOf(command, id);
    const unlessBegun =
      <Args extends unknown[]>(act: (...args: Args) => void) =>
      (...args: Args): void => {
        const before = name === undefined ? undefined : this.#begun.get(name);
        if (before === undefined || before === peer) act(...args);
        else reply(command, () => ({ result: true }));
      };
    return { held: unlessBegun(held), settled: unlessBegun(settled) };
  }

  #note({ name, peer }: Beginning): void {
    if (name === undefined) return;
    this.#begun.set(name, peer);
    const [oldest] = this.#begun.keys();
    if (this.#begun.size > mostBegun && oldest !== undefined) this.#begun.delete(oldest);
  }

  /** With `confirm` the answer comes when it is known how the run ended; else the task is STOPPED at once. */
  #stop(command: Command, read: ParamReader): undefined {
    const isConfirmed = read.flag("confirm");
    const graceMs = readGrace(read);
    const { life, stops } = this.#parts;
    this.#treat(command, read.string("task_id"), {
      held: (task) => {
        if (!isConfirmed) {
          life.stop(task, howAtOnce(task));
          this.#whenStored(command, task, () => ({ result: task.status }));
          return;
        }
        stops.stop(task, graceMs, this.#asker(command, task, toldStop));
      },
      settled: (task) => {
        const { outcome, status } = task;
        const known = outcome === undefined ? undefined : (JSON.parse(outcome) as Outcome);
        const how = howSettled(task, known);
        reply(command, () => ({ result: isConfirmed ? { how, status } : status }));
      },
    });
    return undefined;
  }

  /** A task that was stopped is QUEUED once more. */
  #start(command: Command, read: ParamReader): undefined {
    const refuse = (status: TaskStatus): never => {
      const message = `Expected a task that is STOPPED, got one that is ${status}`;
      throw new Refusal(ErrorCode.Conflict, message);
    };
    const id = read.string("task_id");
    const treatment = this.#once(command, id, {
      held: (task) => {
        const { status } = viewOfHeld(task);
        const isStopped = status === TaskStatus.Stopped;
        if (isSettledLocal(task) && isStopped) this.#startLocal(command, task, task.params, task.bytes);
        else this.#whenStored(command, task, () => refuse(status));
      },
      settled: (task, level) => {
        if (task.status === TaskStatus.Stopped) this.#revive(command, task, level, undefined);
        else reply(command, () => refuse(task.status));
      },
    });
    this.#treat(command, id, treatment);
    return undefined;
  }

  /** A task is run anew, perhaps with other params; what runs of it is ended before. */
  #reload(command: Command, read: ParamReader): undefined {
    const given = read.taskParams("params");
    const params = given === undefined ? undefined : JSON.stringify(given);
    const graceMs = readGrace(read);
    const id = read.string("task_id");
    const treatment = this.#once(command, id, {
      held: (task) => {
        if (!task.isSubmitted && task.pin === undefined) {
          const message = `Expected a task that was submitted, got the call ${task.id}`;
          reply(command, () => {
            throw new Refusal(ErrorCode.NotAllowed, message);
          });
          return;
        }
        if (isSettledLocal(task)) {
          const bytes = params === undefined ? task.bytes : bytesOf(params);
          this.#startLocal(command, task, given ?? task.params, bytes);
          return;
        }
        if (params !== undefined) this.#checkRoom(task, bytesOf(params));
        const asked = beginningOf(command, task.id);
        const resume = (): void => {
          this.#note(asked);
          this.#resume(task, given, params);
        };
        const asker = this.#asker(command, task, toldReload);
        this.#parts.stops.reload(task, graceMs, resume, params !== undefined, asker);
      },
      settled: (task, level) => {
        const { revival } = this.#parts;
        // Somebody puts it back as it was: then it is made anew like any other that waits.
        if (params !== undefined && revival.isReviving(task.id))
          revival.revive(task, level, () => this.#treat(command, task.id, treatment));
        else this.#revive(command, task, level, params);
      },
    });
    this.#treat(command, id, treatment);
    return undefined;
  }

  /** It waits for long, maybe: without what came with its request. */
  #asker(
    { addressee, requestId, session }: Command,
    task: Task,
    told: (task: Task, how: StopOutcome) => Outcome,
  ): Asker {
    const owed = { addressee, requestId };
    const tell = (how: StopOutcome): void => {
      // What comes of it until that is stored is another matter.
      const outcome = told(task, how);
      this.#whenStored(owed, task, () => outcome);
    };
    return { addressee, isStranger: session === undefined, tell };
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

  /** What a node ran for itself begins again on that node. */
  #startLocal(command: Command, task: Task, params: Task["params"], bytes: number): void {
    reply(command, () => {
      if (task.pin !== undefined) this.#parts.locals.start(task, task.pin, params, bytes);
      this.#note(beginningOf(command, task.id));
      return { result: true };
    });
  }

  #revive(command: Command, task: StoredTask, level: Durability, params: string | undefined): void {
    reply(command, () => {
      const then = (isRevived: boolean, failure: Parameters<typeof failed>[0] | undefined): void => {
        if (isRevived) this.#note(beginningOf(command, task.id));
        if (failure !== undefined) reply(command, () => failed(failure));
        else reply(command, () => (isRevived ? { result: true } : unknownTask(task.id).error));
      };
      this.#parts.revival.revive(task, level, then, params);
      return undefined;
    });
  }

  /** Finds the task: in memory, or in a store, from which it is claimed. */
  #treat(command: Command, id: string, treatment: Treatment): void {
    const { backlog, storages, tasks } = this.#parts;
    const held = tasks.get(id);
    // One that is just being stored may turn out to be known, with an outcome.
    if (held?.isArriving === true && held.level !== undefined) {
      storages.for(held.level).whenStored((failure) => {
        if (failure !== undefined) reply(command, () => failed(failure));
        else this.#treatAgain(command, id, held, treatment);
      });
      return;
    }
    if (held?.settled !== undefined && held.level !== undefined) {
      storages.for(held.level).whenStored((failure) => {
        if (failure !== undefined) reply(command, () => failed(failure));
        else this.#treatSettled(command, id, treatment);
      });
      return;
    }
    if (held !== undefined) {
      this.#treatHeld(command, held, treatment);
      return;
    }
    // A node may bring it back that still runs it.
    backlog.whenKnown(() => this.#treatStored(command, id, treatment));
  }

  #treatStored(command: Command, id: string, treatment: Treatment): void {
    const { life, tasks } = this.#parts;
    if (tasks.get(id) !== undefined) {
      this.#treat(command, id, treatment);
      return;
    }
    life.take([id], ([known], failure) => {
      const taken = tasks.get(id);
      // It may have been submitted again meanwhile, though it has an outcome; or have been run meanwhile.
      if (taken?.isArriving === true || taken?.settled !== undefined) this.#treat(command, id, treatment);
      else if (taken !== undefined) this.#treatHeld(command, taken, treatment);
      else if (known !== undefined && isSettled(known.status)) this.#treatSettled(command, id, treatment);
      else reply(command, () => (failure === undefined ? unknownTask(id).error : failed(failure)));
    });
  }

  /** Nobody is asked for the same twice in one turn. */
  #treatAgain(command: Command, id: string, before: Task, treatment: Treatment): void {
    const held = this.#parts.tasks.get(id);
    if (held === before && held.isArriving && held.settled === undefined)
      this.#treatHeld(command, held, treatment);
    else this.#treat(command, id, treatment);
  }

  #treatHeld(command: Command, task: Task, treatment: Treatment): void {
    reply(command, () => {
      this.#views.visible(viewOfHeld(task), command.session);
      treatment.held(task);
      return undefined;
    });
  }

  /** Its record has to be looked up, with all that it holds. */
  #treatSettled(command: Command, id: string, treatment: Treatment): void {
    this.#parts.storages.find(id, (stored, level, failure) => {
      if (failure !== undefined) reply(command, () => failed(failure));
      else if (stored === undefined) reply(command, () => unknownTask(id).error);
      else if (isSettled(stored.status)) treatment.settled(stored, level);
      else this.#treat(command, id, treatment);
    });
  }

  #whenStored(command: Owed, { level }: Task, answer: () => Outcome): void {
    if (level === undefined) reply(command, answer);
    else {
      this.#parts.storages.for(level).whenStored((failure) => {
        reply(command, failure === undefined ? answer : () => failed(failure));
      });
    }
  }
}

/** Names what a client asks for, and the connection that it came on. Strangers have no other one. */
function beginningOf({ session, requestId, peer }: Command, taskId: string): Beginning {
  const name = requestId === null ? undefined : JSON.stringify([session?.id ?? peer, requestId, taskId]);
  return { name, peer };
}

function readGrace(read: ParamReader): number {
  if (!read.has("grace_ms")) return defaultGraceMs;
  const graceMs = read.count("grace_ms");
  if (graceMs <= mostGraceMs) return graceMs;
  const expected = `Expected \`grace_ms\` to be at most ${mostGraceMs}`;
  throw new Refusal(ErrorCode.InvalidParams, `${expected}, got ${describe(graceMs)}`);
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
  if (task.settled === undefined) return { result: true };
  return {
    error: errorObject(ErrorCode.TaskStopped, `The task was settled before it was made anew: ${task.status}`),
  };
}
