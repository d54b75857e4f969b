// Which instance of a singleton the params of a task name: only the node that has the method can tell.
import { ErrorCode, type ErrorObject, errorObject, Push, type Response, request } from "zerotask-core";
import type { NodeSession } from "../peers/node-session.ts";
import type { Task } from "../tasks/task.ts";
import type { Turn } from "../turn.ts";

/** Begins the ids of these requests: no attempt's id does, for those have a number after a hash. */
const prefix = "name:";

interface Asked {
  readonly task: Task;
  readonly node: NodeSession;
}

/** Gets the name, or why there is none; neither when nobody is left to ask. */
export type Named = (task: Task, name: string | undefined, error: ErrorObject | undefined) => void;

export class Naming {
  readonly #turn: Turn;
  readonly #onNamed: Named;
  readonly #asked = new Map<string, Asked>();
  #number = 0;

  constructor(turn: Turn, onNamed: Named) {
    this.#turn = turn;
    this.#onNamed = onNamed;
  }

  /** Asks a node that serves the task's method. @returns false when there is none */
  ask(task: Task): boolean {
    for (const node of task.method.nodes) {
      if (node.peer === undefined || node.peer === "") continue;
      const id = `${prefix}${++this.#number}`;
      this.#asked.set(id, { task, node });
      const params = { method: task.method.name, params: task.params ?? [] };
      this.#turn.send(node.peer, request(Push.NameInstance, params, id));
      return true;
    }
    return false;
  }

  /** @returns whether the response was a name's */
  answer(node: NodeSession, response: Response): boolean {
    const id = typeof response.id === "string" ? response.id : "";
    const asked = this.#asked.get(id);
    if (asked === undefined || asked.node !== node) return id.startsWith(prefix);
    this.#asked.delete(id);
    if ("error" in response) this.#onNamed(asked.task, undefined, response.error);
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
      if (!this.ask(asked.task)) this.#onNamed(asked.task, undefined, undefined);
    }
  }
}
