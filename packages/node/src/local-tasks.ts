// Tasks that a node runs for itself, from when it starts until they are done: its broker knows of them as of any other.
import {
  isAsyncIterable,
  type MethodDescription,
  OptionError,
  type Params,
  type Response,
} from "zerotask-core";
import type { Run } from "./run.ts";
import type { Answer } from "./state/node-state.ts";

interface LocalTask {
  readonly name: string;
  readonly method: string;
  params: Params;
  /** The attempt that runs now. */
  run: Run | undefined;
  /** It has ended as it should, or was stopped. */
  isDone: boolean;
  /** Its run is being stopped, and another one is to follow. */
  isToGoOn: boolean;
}

/** What a broker is asked for. */
export interface LocalRequest {
  readonly name: string;
  readonly method: string;
  readonly params: Params;
  readonly attempt?: number;
}

/** Begins the ids of such tasks. */
const prefix = "local:";

export class LocalTasks {
  readonly #nodeId: string;
  readonly #tasks: LocalTask[] = [];

  constructor(nodeId: string) {
    this.#nodeId = nodeId;
  }

  /** @throws OptionError for params that are none */
  add(method: string, params: Params): LocalRequest {
    if (typeof method !== "string" || method === "")
      throw new OptionError("method", "a method's name", method);
    const task = {
      name: `${this.#tasks.length + 1}`,
      method,
      params: paramsOption(params),
      run: undefined,
      isDone: false,
      isToGoOn: false,
    };
    this.#tasks.push(task);
    return requestFor(task);
  }

  /** The id of the task that was asked for by this request. */
  idOf({ name }: LocalRequest): string {
    return `${prefix}${this.#nodeId}-${name}`;
  }

  /** @throws OptionError when the node does not serve what it is to run */
  check(served: readonly MethodDescription[]): void {
    for (const { method } of this.#tasks) checkServed(method, served);
  }

  /** What a broker that has just welcomed the node is to know. */
  wanted(): LocalRequest[] {
    return this.#tasks.filter(({ isDone }) => !isDone).map(requestFor);
  }

  onStarted(run: Run): void {
    const task = this.#of(run);
    if (task === undefined) return;
    task.run = run;
    // It may have been made anew with others.
    task.params = run.request.params ?? [];
    // What was stopped may be made anew.
    task.isDone = false;
    task.isToGoOn = false;
  }

  /** An attempt is to be stopped; `again`: its task goes on. */
  onStop(attemptId: string, again: boolean): void {
    const task = this.#tasks.find(({ run }) => run?.id === attemptId);
    if (task !== undefined) task.isToGoOn = again;
  }

  /** One that failed the broker will have run again. */
  onEnded(run: Run, answer: Answer): void {
    const task = this.#of(run);
    if (task === undefined) return;
    task.run = undefined;
    const response = typeof answer === "string" ? (JSON.parse(answer) as Response) : answer;
    task.isDone = !task.isToGoOn && (!("error" in response) || run.isAborted);
  }

  #of({ id, isLocal }: Run): LocalTask | undefined {
    if (!isLocal) return undefined;
    const name = id.slice(id.lastIndexOf("-") + 1, id.lastIndexOf("#"));
    return this.#tasks.find((task) => task.name === name);
  }
}

/** Whether this attempt is one of a task that a node runs for itself. */
export function isLocalAttempt(id: string): boolean {
  return id.startsWith(prefix);
}

/** @throws OptionError when the node does not serve it */
export function checkServed(method: string, served: readonly MethodDescription[]): void {
  if (served.some(({ name }) => name === method)) return;
  throw new OptionError("runLocal", "a method that the node serves", method);
}

/** A copy, as a broker will get it: later would be too late to refuse what can't be sent. @throws OptionError */
function paramsOption(params: unknown): Params {
  const expected = "an array, or an object of params by name, with what JSON can hold";
  const isParams = typeof params === "object" && params !== null && !isAsyncIterable(params);
  if (!isParams || Object.values(params).some(isAsyncIterable)) {
    throw new OptionError("params", expected, params);
  }
  try {
    return JSON.parse(JSON.stringify(params));
  } catch {
    throw new OptionError("params", expected, params);
  }
}

function requestFor({ name, method, params, run }: LocalTask): LocalRequest {
  const attempt = run === undefined ? undefined : Number(run.id.slice(run.id.lastIndexOf("#") + 1));
  return { name, method, params, ...(attempt !== undefined && { attempt }) };
}
