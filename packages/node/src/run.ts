// One run of a task, as its handler sees it.
import type { TaskContext } from "zerotask-core";
import type { Assignment } from "./state/node-state.ts";

export class Run implements TaskContext {
  readonly id: string;
  readonly attempt: number;
  readonly method: string;
  #controller: AbortController | undefined;
  #isAborted = false;

  constructor({ id, request }: Assignment) {
    const mark = id.lastIndexOf("#");
    this.id = id.slice(0, mark);
    this.attempt = Number(id.slice(mark + 1));
    this.method = request.method;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#isAborted) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  abort(): void {
    this.#isAborted = true;
    this.#controller?.abort();
  }
}
