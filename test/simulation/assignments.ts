// What the broker has assigned and not given up, by what it has told its nodes and has heard of them.
//
// Where it can't be seen when the broker learnt that a run is over, the earliest moment counts: so what is here is
// assigned for certain.
import { BrokerMethod, Push } from "zerotask-core";

export interface Assigned {
  readonly taskId: string;
  readonly method: string;
  readonly params: readonly unknown[];
  /** The connection of the node that has it. */
  readonly connection: number;
}

export interface AssignmentObserver {
  /** A node was given a task, or it brought back one that it was running (`isAdopted`). */
  onAssigned(assigned: Assigned, isAdopted: boolean): void;
}

export interface Message {
  readonly method?: string;
  readonly id?: string | number | null;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: unknown;
}

interface Introduction {
  readonly nodeId: string;
  readonly running: readonly string[];
}

export class Assignments {
  readonly #observer: AssignmentObserver;
  readonly #now: () => number;
  readonly #stalledMs: number;
  /** By attempt id. */
  readonly #current = new Map<string, Assigned>();
  /** What was ever assigned, by task: nodes bring it back to later runs of the broker. */
  readonly #known = new Map<string, Pick<Assigned, "method" | "params">>();
  /** Introductions of nodes that were not answered yet, by connection and request. */
  readonly #introductions = new Map<string, Introduction>();
  /** The connection that each node was welcomed on. */
  readonly #connections = new Map<string, number>();
  /** Connections of nodes that have left: what the same message answers before may still be followed by a task. */
  readonly #left = new Set<number>();
  readonly #lastHeard = new Map<number, number>();

  /** @param stalledMs after which silence the broker takes a node for lost */
  constructor(observer: AssignmentObserver, now: () => number, stalledMs: number) {
    this.#observer = observer;
    this.#now = now;
    this.#stalledMs = stalledMs;
  }

  /** A new run of the broker has assigned nothing. */
  clear(): void {
    this.#current.clear();
    this.#introductions.clear();
    this.#connections.clear();
    this.#lastHeard.clear();
  }

  /** What is assigned now of a method. */
  of(method: string): Assigned[] {
    const silentSince = this.#now() - this.#stalledMs + 1;
    const found: Assigned[] = [];
    for (const [id, assigned] of this.#current) {
      if ((this.#lastHeard.get(assigned.connection) ?? 0) < silentSince) this.#current.delete(id);
      else if (assigned.method === method) found.push(assigned);
    }
    return found;
  }

  /** The broker hands a message to its socket. */
  onSent(connection: number, message: Message): void {
    const { method, id, params } = message;
    if (method === undefined) this.#onWelcome(connection, message);
    else if (method === Push.TaskAbort) this.#current.delete((params as { id: string }).id);
    else if (method === Push.TaskStop) this.#onStop((params as { id: string }).id);
    else if (typeof id === "string" && !method.startsWith("zerotask.")) {
      const taskId = id.slice(0, id.lastIndexOf("#"));
      const assigned = { taskId, method, params: (params ?? []) as readonly unknown[], connection };
      this.#known.set(taskId, assigned);
      this.#add(id, assigned, false);
    }
  }

  /** A message arrives at the broker. */
  onReceived(connection: number, { method, id, params }: Message): void {
    this.#lastHeard.set(connection, this.#now());
    const told = params as { readonly [name: string]: unknown } | undefined;
    if (method === undefined && typeof id === "string") this.#current.delete(id);
    else if (method === BrokerMethod.NodeDisconnect) {
      this.#left.add(connection);
      this.onLost(connection);
    } else if (method === BrokerMethod.NodeTaskStatus && told?.status === "QUEUED") {
      this.#current.delete(told.task_id as string);
    } else if (method === BrokerMethod.NodeConnect) {
      const { node_id: nodeId, running } = told as { node_id: string; running: string[] };
      this.#introductions.set(`${connection} ${id}`, { nodeId, running });
      this.onLost(this.#connections.get(nodeId) ?? -1);
    }
  }

  /** The broker may know that a connection is gone. */
  onLost(connection: number): void {
    for (const [id, assigned] of this.#current) {
      if (assigned.connection === connection) this.#current.delete(id);
    }
  }

  /** Of a shared run that is about to end nobody takes part who comes now: they have another one. */
  #onStop(attemptId: string): void {
    if (attemptId.startsWith("run:")) this.#current.delete(attemptId);
  }

  #onWelcome(connection: number, { id, result }: Message): void {
    const key = `${connection} ${id}`;
    const introduction = this.#introductions.get(key);
    this.#introductions.delete(key);
    if (introduction === undefined || result === undefined) return;
    const { nodeId, running } = introduction;
    this.onLost(this.#connections.get(nodeId) ?? -1);
    this.#connections.set(nodeId, connection);
    const { abort } = result as { readonly abort: readonly string[] };
    for (const attemptId of running) {
      if (abort.includes(attemptId)) continue;
      const taskId = attemptId.slice(0, attemptId.lastIndexOf("#"));
      const known = this.#known.get(taskId);
      if (known !== undefined) this.#add(attemptId, { ...known, taskId, connection }, true);
    }
  }

  #add(attemptId: string, assigned: Assigned, isAdopted: boolean): void {
    if (!this.#left.has(assigned.connection)) this.#current.set(attemptId, assigned);
    this.#observer.onAssigned(assigned, isAdopted);
  }
}
