// Batches: of what was submitted under one name, one task waits, and one more may run meanwhile.
import { canonicalJson, ErrorCode, type ErrorObject, errorObject } from "zerotask-core";
import { busy } from "../commands/command.ts";
import type { Backlog } from "../storage/backlog.ts";
import type { StoredTask } from "../storage/stored-task.ts";
import type { Submission } from "../tasks/submissions.ts";
import type { Task } from "../tasks/task.ts";
import type { TaskLife } from "../tasks/task-life.ts";
import type { TaskTable } from "../tasks/task-table.ts";
import type { Turn } from "../turn.ts";

export interface BatchParts {
  readonly turn: Turn;
  readonly tasks: TaskTable;
  readonly life: TaskLife;
  readonly backlog: Backlog;
}

/** What became of a submission: another task, none yet, or an error. */
export type Joined =
  | { readonly type: "same"; readonly task: Task }
  | { readonly type: "new" }
  | { readonly type: "known"; readonly stored: StoredTask }
  | { readonly type: "error"; readonly error: ErrorObject };

/** Submissions of all batches of which it is not known yet what becomes of them. */
const maxWaiting = 100_000;
/** Names made of params are no longer than about this. */
const maxNameLength = 200;

export class Batches {
  readonly #parts: BatchParts;
  /** Submissions of a batch that wait until it is known what became of the one before. */
  readonly #queues = new Map<string, (() => void)[]>();
  #waiting = 0;

  constructor(parts: BatchParts) {
    this.#parts = parts;
  }

  /**
   * Finds out whether a submission is a task of its own. One after the other for each batch, and not before it is
   * known what nodes were running before a restart.
   * @param then has to make the new task at once, if that is what is to be done
   * @throws Refusal when too many wait to be found out about
   */
  join(submission: Submission, instance: string, wanted: Wanted, then: (joined: Joined) => void): void {
    if (this.#waiting >= maxWaiting) throw busy("submissions to batches", maxWaiting);
    this.#waiting++;
    const queue = this.#queues.get(instance);
    const ask = (): void => this.#ask(submission, instance, wanted, then);
    if (queue !== undefined) {
      queue.push(ask);
      return;
    }
    this.#queues.set(instance, []);
    this.#parts.backlog.whenKnown(ask);
  }

  #ask(submission: Submission, instance: string, wanted: Wanted, then: (joined: Joined) => void): void {
    this.#parts.life.takeInstance(instance, (known, failure) => {
      try {
        then(
          failure === undefined ? this.#decide(submission, known, wanted) : { type: "error", error: failure },
        );
      } finally {
        this.#waiting--;
        this.#goOn(instance);
      }
    });
  }

  #goOn(instance: string): void {
    const next = this.#queues.get(instance)?.shift();
    if (next === undefined) this.#queues.delete(instance);
    else next();
  }

  #decide(submission: Submission, known: readonly StoredTask[], wanted: Wanted): Joined {
    const open: Task[] = [];
    for (const stored of known) {
      if (stored.id === submission.id) return { type: "known", stored };
      const task = this.#parts.tasks.submitted(stored.id);
      if (task !== undefined && task.settled === undefined) open.push(task);
    }
    const { method, params } = submission;
    const text = canonicalJson(params ?? []);
    const other = open.find(
      (task) => task.method.name !== method || canonicalJson(task.params ?? []) !== text,
    );
    if (other !== undefined) {
      const message = `The batch is already one of ${other.method.name}, or with other params`;
      return { type: "error", error: errorObject(ErrorCode.Conflict, message) };
    }
    const waiting = open.find((task) => (task.shared ?? task).node === undefined);
    if (waiting === undefined) return { type: "new" };
    const dueAt = Math.min(waiting.dueAt, wanted.dueAt);
    const priority = Math.max(waiting.priority, wanted.priority);
    // A run that an earlier run of the broker may have begun is none after this submission: it counts no more.
    const mayHaveBegun = waiting.mayRunElsewhere && waiting.dueAt <= this.#parts.turn.now;
    if (mayHaveBegun || dueAt < waiting.dueAt || priority > waiting.priority) {
      if (mayHaveBegun) waiting.attempt++;
      waiting.mayRunElsewhere &&= !mayHaveBegun;
      waiting.priority = priority;
      this.#parts.life.reschedule(waiting, dueAt);
    }
    return { type: "same", task: waiting };
  }
}

/** When, and how urgently, a submission wants to be run. */
export interface Wanted {
  readonly dueAt: number;
  readonly priority: number;
}

/** The name of the batch that a submission joins. */
export function batchOf({ method, params, options }: Submission): string | undefined {
  const { batch } = options;
  if (batch === undefined) return undefined;
  if (typeof batch === "string") return `batch:${batch}`;
  const text = `${method}:${canonicalJson(params ?? [])}`;
  if (text.length <= maxNameLength) return `batches:${text}`;
  // Should two of these be the same, their params tell that they are not, and the second is refused.
  return `batches:${text.slice(0, maxNameLength)}:${text.length}:${hashOf(text)}`;
}

/** FNV-1a, 64 bits (draft-eastlake-fnv). */
function hashOf(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (let i = 0; i < text.length; i++) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(i))) * 0x100000001b3n);
  }
  return hash.toString(16);
}
