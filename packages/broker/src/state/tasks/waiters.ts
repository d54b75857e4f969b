// Who is told when a task is settled, wherever the task is kept meanwhile.
import {
  type Deadline,
  type Deadlines,
  ErrorCode,
  type ErrorObject,
  errorObject,
  type Outcome,
  type RequestId,
  respond,
  type TaskStatus,
} from "zerotask-core";
import { busy } from "../commands/command.ts";
import type { Due } from "../due.ts";
import type { Addressee } from "../peers/addressee.ts";
import type { Durability } from "../storage/stored-task.ts";

export interface Waiter {
  readonly taskId: string;
  /** Where the task is stored; a call is not. */
  readonly level: Durability | undefined;
  readonly addressee: Addressee;
  readonly requestId: RequestId;
  deadline: Deadline<Due> | undefined;
}

/** Of a request that waits for something else than the end of a task. */
export interface Place {
  readonly addressee: Addressee;
  readonly onForgotten: () => void;
}

export interface SettledView {
  readonly id: string;
  readonly status: TaskStatus;
  readonly outcome: Outcome;
}

export class Waiters {
  readonly #ofTask = new Map<string, Set<Waiter>>();
  readonly #ofAddressee = new Map<Addressee, Set<Waiter>>();
  readonly #places = new Map<Addressee, Set<Place>>();
  readonly #deadlines: Deadlines<Due>;
  readonly #most: number;
  #count = 0;

  constructor(deadlines: Deadlines<Due>, most: number) {
    this.#deadlines = deadlines;
    this.#most = most;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Answers a request when the task is settled, or at the time `until`.
   * @throws Refusal when too many wait already
   */
  add(
    { taskId, level, addressee, requestId }: Omit<Waiter, "deadline">,
    until: number | undefined,
    isStranger: boolean,
  ): void {
    // A session that asks again under the same id gets one answer.
    for (const waiter of this.#ofTask.get(taskId) ?? []) {
      if (waiter.addressee === addressee && waiter.requestId === requestId) return;
    }
    this.#checkRoom(isStranger);
    const waiter: Waiter = { taskId, level, addressee, requestId, deadline: undefined };
    if (until !== undefined) waiter.deadline = this.#deadlines.add(until, { type: "waited", waiter });
    addTo(this.#ofTask, taskId, waiter);
    addTo(this.#ofAddressee, addressee, waiter);
    this.#count++;
  }

  /**
   * Counts a request that somebody else answers: its place has to be given back then.
   * @param onForgotten called when nobody waits for the answer any more
   * @throws Refusal when too many wait already
   */
  take(addressee: Addressee, isStranger: boolean, onForgotten: () => void): Place {
    this.#checkRoom(isStranger);
    const place: Place = { addressee, onForgotten };
    addTo(this.#places, addressee, place);
    this.#count++;
    return place;
  }

  giveBack(place: Place): void {
    if (removeFrom(this.#places, place.addressee, place)) this.#count--;
  }

  /** Tells everybody who waits for this task. */
  settle(view: SettledView): void {
    if (this.#count === 0) return;
    for (const waiter of [...(this.#ofTask.get(view.id) ?? [])]) {
      this.#remove(waiter);
      waiter.addressee.deliver(respond(waiter.requestId, { result: settledMessage(view) }));
    }
  }

  /** A waiter's own time is over: the task goes on. */
  giveUp(waiter: Waiter): void {
    this.#remove(waiter);
    const error = errorObject(ErrorCode.TaskNotComplete, `The task ${waiter.taskId} is not settled yet`);
    waiter.addressee.deliver(respond(waiter.requestId, { error }));
  }

  /** What is stored at this level will not be known to end. */
  fail(level: Durability, error: ErrorObject): void {
    for (const waiters of [...this.#ofTask.values()]) {
      for (const waiter of [...waiters]) {
        if (waiter.level !== level) continue;
        this.#remove(waiter);
        waiter.addressee.deliver(respond(waiter.requestId, { error }));
      }
    }
  }

  /** Nobody waits on behalf of this addressee any more. */
  forget(addressee: Addressee): void {
    for (const waiter of [...(this.#ofAddressee.get(addressee) ?? [])]) this.#remove(waiter);
    for (const place of [...(this.#places.get(addressee) ?? [])]) {
      this.giveBack(place);
      place.onForgotten();
    }
  }

  #checkRoom(isStranger: boolean): void {
    // Nobody knows whether strangers are still there: they can't take up all the room.
    const most = isStranger ? Math.ceil(this.#most / 2) : this.#most;
    if (this.#count >= most) throw busy("waiting requests", most);
  }

  #remove(waiter: Waiter): void {
    if (waiter.deadline !== undefined) this.#deadlines.delete(waiter.deadline);
    removeFrom(this.#ofTask, waiter.taskId, waiter);
    removeFrom(this.#ofAddressee, waiter.addressee, waiter);
    this.#count--;
  }
}

function addTo<K, V>(sets: Map<K, Set<V>>, key: K, value: V): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([value]));
  else set.add(value);
}

function removeFrom<K, V>(sets: Map<K, Set<V>>, key: K, value: V): boolean {
  const set = sets.get(key);
  const wasThere = set?.delete(value) === true;
  if (set?.size === 0) sets.delete(key);
  return wasThere;
}

/** What is told of a settled task. */
export function settledMessage({ id, status, outcome }: SettledView): {
  readonly task_id: string;
  readonly status: TaskStatus;
} {
  return { task_id: id, status, ...outcome };
}
