// Which instance of a singleton the params of a task name: only the node that has the method can tell.
import {
  ErrorCode,
  type ErrorObject,
  errorObject,
  errorToWire,
  type Params,
  Push,
  type Response,
  request,
} from "zerotask-core";
import type { NodeSession } from "../peers/node-session.ts";
import type { Task } from "../tasks/task.ts";
import { LOCAL_PEER, type Turn } from "../turn.ts";

/** Begins the ids of these requests: no attempt's id does, for those have a number after a hash. */
const prefix = "name:";

interface Asked {
  readonly task: Task;
  /** Those that are to be named: the task may have got others since. */
  readonly params: Task["params"];
  readonly node: NodeSession;
  readonly at: number;
  /** How often somebody was asked before. */
  readonly times: number;
}

/** How long a node may take to answer, and how often it is asked again. */
const patienceMs = 10_000;
const maxTimes = 3;

/** Names an instance of a method that the broker itself serves. @throws Error */
export type NameHere = (method: string, params: Params) => string;

/** Gets the name, or why there is none; neither when nobody is left to ask. */
export type Named = (task: Task, name: string | undefined, error: ErrorObject | undefined) => void;

export class Naming {
  readonly #turn: Turn;
  readonly #nameHere: NameHere;
  readonly #onNamed: Named;
  readonly #asked = new Map<string, Asked>();
  #number = 0;

  constructor(turn: Turn, nameHere: NameHere, onNamed: Named) {
    this.#turn = turn;
    this.#nameHere = nameHere;
    this.#onNamed = onNamed;
  }

  /** Asks a node that serves the task's method. @returns false when there is none */
  ask(task: Task, times = 0): boolean {
    const { name: method, nodes } = task.method;
    const params = task.params ?? [];
    // Another one than before, if there is.
    const all = [...nodes].filter(({ peer }) => peer !== undefined);
    const node = all[times % all.length];
    if (node?.peer === undefined) return false;
    if (node.peer === LOCAL_PEER) {
      this.#askHere(task, method, params);
      return true;
    }
    const id = `${prefix}${++this.#number}`;
    this.#asked.set(id, { task, params: task.params, node, at: this.#turn.now, times });
    this.#turn.send(node.peer, request(Push.NameInstance, { method, params }, id));
    return true;
  }

  /** Asks others where no answer came in time, and gives up in the end. */
  sweep(): void {
    for (const [id, { task, at, times }] of [...this.#asked]) {
      if (at + patienceMs > this.#turn.now) continue;
      this.#asked.delete(id);
      if (task.settled !== undefined) this.#onNamed(task, undefined, undefined);
      else if (times + 1 >= maxTimes) {
        const message = `No node told in time which instance of ${task.method.name} the task is`;
        this.#onNamed(task, undefined, errorObject(ErrorCode.InternalError, message));
      } else if (!this.ask(task, times + 1)) this.#onNamed(task, undefined, undefined);
    }
  }

  /** @returns whether the response was a name's */
  answer(node: NodeSession, response: Response): boolean {
    const id = typeof response.id === "string" ? response.id : "";
    const asked = this.#asked.get(id);
    if (asked === undefined || asked.node !== node) return id.startsWith(prefix);
    this.#asked.delete(id);
    if (asked.task.params !== asked.params) this.#onNamed(asked.task, undefined, undefined);
    else if ("error" in response) this.#onNamed(asked.task, undefined, response.error);
    else {
      const { name } = (response.result ?? {}) as { readonly name?: unknown };
      if (typeof name === "string") this.#onNamed(asked.task, name, undefined);
      else
        this.#onNamed(asked.task, undefined, errorObject(ErrorCode.InternalError, "The node gave no name"));
    }
    return true;
  }

  /** The node is gone, and will not answer. */
  lose(node: NodeSession): void {
    for (const [id, asked] of [...this.#asked]) {
      if (asked.node !== node) continue;
      this.#asked.delete(id);
      if (!this.ask(asked.task, asked.times)) this.#onNamed(asked.task, undefined, undefined);
    }
  }

  #askHere(task: Task, method: string, params: Params): void {
    let name: string;
    try {
      name = this.#nameHere(method, params);
    } catch (error) {
      this.#onNamed(task, undefined, errorToWire(error));
      return;
    }
    this.#onNamed(task, name, undefined);
  }
}
