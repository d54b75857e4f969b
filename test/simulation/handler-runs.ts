// When each run of a handler began and ended, on which node: no two of a task overlap, where its broker can know that.
//
// Left out is what can't be known: a run counts no more from when the broker has lost the connection of its node (or the
// node was silent for so long that it counts as lost, or has left), was restarted itself, or told the node to give the
// run up without waiting for that (of calls, shared runs and singletons); and counts again once the node has brought it
// back and may go on with it. A run that its task's outcome did not wait for (it took too long and can't be stopped or
// is not run again, or a stop was not to be confirmed) may be met by one of a task that somebody begins once more.
import { BrokerMethod, Push } from "zerotask-core";
import type { StoredTask } from "../../packages/broker/src/state/storage/stored-task.ts";
import type { Message } from "./assignments.ts";
import type { SimulatedProcess } from "./simulator.ts";

export interface HandlerRun {
  readonly taskId: string;
  readonly attempt: number;
  readonly node: SimulatedProcess;
  readonly began: number;
  readonly params: readonly unknown[];
}

export interface HandlerRunParts {
  /** Milliseconds since the simulation began. */
  now(): number;
  fail(message: string): void;
  /** Something is known to be wrong with runs that begin now. */
  onBegin(run: HandlerRun): void;
  stored(id: string): StoredTask | undefined;
  /** After this time without a word, the broker takes a node for lost. */
  readonly stalledMs: number;
}

interface Introduction {
  readonly nodeId: string;
  readonly running: readonly string[];
}

export class HandlerRuns {
  readonly #parts: HandlerRunParts;
  /** Those that go on, by task. */
  readonly #live = new Map<string, Set<HandlerRun>>();
  /** Until when the last run of a task that has ended went on. */
  readonly #lastEnd = new Map<string, number>();
  readonly #lastBegin = new Map<string, number>();
  /** What was assigned on each connection that the broker may still hold for open, by attempt. */
  #assigned = new Map<number, Set<string>>();
  /** What does not count, by node and attempt. */
  readonly #excused = new Set<string>();
  readonly #forgotten = new Set<HandlerRun>();
  /** What its node was told to give up, which it may hear only after it has begun it. */
  readonly #aborted = new Set<string>();
  /** Runs that went on when their tasks had outcomes, and that nobody waited for. */
  readonly #outlived = new Set<HandlerRun>();
  #heard = new Map<number, number>();
  readonly #nodes = new Map<number, SimulatedProcess>();
  #introductions = new Map<string, Introduction>();
  #connections = new Map<string, number>();
  count = 0;

  constructor(parts: HandlerRunParts) {
    this.#parts = parts;
  }

  begin(taskId: string, attempt: number, node: SimulatedProcess, params: readonly unknown[]): HandlerRun {
    const run = { taskId, attempt, node, began: this.#parts.now(), params };
    this.count++;
    const live = this.#live.get(taskId) ?? new Set();
    this.#live.set(taskId, live);
    const isAborted = this.#aborted.has(keyOf(node, `${taskId}#${attempt}`));
    if (isAborted) this.#outlived.add(run);
    if (!isAborted && this.isCounted(run)) {
      for (const other of this.counted(taskId)) {
        if (this.#outlived.has(other)) continue;
        this.#parts.fail(`${nameOf(run)} began while ${nameOf(other)} was running since ${other.began}`);
      }
    }
    live.add(run);
    this.#lastBegin.set(taskId, run.began);
    if (!isAborted) this.#parts.onBegin(run);
    return run;
  }

  end(run: HandlerRun): void {
    const live = this.#live.get(run.taskId);
    live?.delete(run);
    if (live?.size === 0) this.#live.delete(run.taskId);
    this.#lastEnd.set(run.taskId, this.#parts.now());
  }

  /** The runs of a task that go on, and that the broker has to know of. */
  counted(taskId: string): HandlerRun[] {
    return [...(this.#live.get(taskId) ?? [])].filter((run) => run.node.isAlive && this.isCounted(run));
  }

  /** Whether the broker has to know of a run that goes on. */
  isCounted(run: HandlerRun): boolean {
    const { taskId, attempt, node } = run;
    const attemptId = `${taskId}#${attempt}`;
    // What a node runs for itself it knows of without any broker.
    if (taskId.startsWith("local:")) return true;
    this.#noteSilence();
    return !this.#forgotten.has(run) && !this.#excused.has(keyOf(node, attemptId));
  }

  /** Whether any run of the task went on at this time or later, counted or not. */
  ranSince(taskId: string, time: number): boolean {
    const live = [...(this.#live.get(taskId) ?? [])];
    if (live.length > 0) return true;
    return (this.#lastEnd.get(taskId) ?? -1) >= time;
  }

  /** Whether a run of the task began at this time or later. */
  beganSince(taskId: string, time: number): boolean {
    return (this.#lastBegin.get(taskId) ?? -1) >= time;
  }

  /** The task has an outcome. */
  onSettled(taskId: string): void {
    for (const run of this.#live.get(taskId) ?? []) this.#outlived.add(run);
  }

  onConnected(connection: number, node: SimulatedProcess): void {
    this.#nodes.set(connection, node);
  }

  onBrokerStarted(): void {
    for (const connection of [...this.#assigned.keys()]) this.onLost(connection);
    this.#assigned = new Map();
    this.#heard = new Map();
    this.#introductions = new Map();
    this.#connections = new Map();
  }

  onSent(connection: number, message: Message): void {
    const { method, id, params } = message;
    if (method === undefined) this.#onWelcome(connection, message);
    else if (method === Push.TaskAbort) this.#onAbort(connection, (params as { id: string }).id);
    else if (typeof id === "string" && !method.startsWith("zerotask.")) {
      this.#forget(connection, id);
      this.#assign(connection, id);
    }
  }

  onReceived(connection: number, { method, id, params }: Message): void {
    this.#noteSilence(connection);
    this.#heard.set(connection, this.#parts.now());
    if (method === BrokerMethod.NodeDisconnect) this.onLost(connection);
    else if (method === BrokerMethod.NodeConnect) {
      const { node_id: nodeId, running } = params as { node_id: string; running: string[] };
      this.#introductions.set(`${connection} ${id}`, { nodeId, running });
      this.onLost(this.#connections.get(nodeId) ?? -1);
    }
  }

  /** What is on disk has an outcome then, unless there is to be one of its kind, and two run. */
  #onAbort(connection: number, attemptId: string): void {
    const stored = this.#parts.stored(attemptId.slice(0, attemptId.lastIndexOf("#")));
    const isOneOfAKind = stored?.instance !== undefined || /single|inTurn/.test(stored?.method ?? "");
    if (stored === undefined || isOneOfAKind) this.#excuse(connection, attemptId);
    const node = this.#nodes.get(connection);
    if (node !== undefined) this.#aborted.add(keyOf(node, attemptId));
  }

  /** The broker may know that a connection is gone. */
  onLost(connection: number): void {
    for (const attemptId of this.#assigned.get(connection) ?? []) this.#excuse(connection, attemptId);
    this.#assigned.delete(connection);
  }

  #noteSilence(only?: number): void {
    const silentSince = this.#parts.now() - this.#parts.stalledMs + 1;
    for (const connection of only === undefined ? this.#assigned.keys() : [only]) {
      if ((this.#heard.get(connection) ?? 0) < silentSince) this.onLost(connection);
    }
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
    for (const attemptId of running) if (!abort.includes(attemptId)) this.#assign(connection, attemptId);
  }

  /** A broker that was restarted numbers the attempts of calls anew: what still runs here is another one. */
  #forget(connection: number, attemptId: string): void {
    const node = this.#nodes.get(connection);
    for (const run of this.#live.get(attemptId.slice(0, attemptId.lastIndexOf("#"))) ?? [])
      if (run.node === node && `${run.taskId}#${run.attempt}` === attemptId) this.#forgotten.add(run);
  }

  #assign(connection: number, attemptId: string): void {
    const node = this.#nodes.get(connection);
    if (node === undefined) return;
    this.#excused.delete(keyOf(node, attemptId));
    const assigned = this.#assigned.get(connection);
    if (assigned === undefined) this.#assigned.set(connection, new Set([attemptId]));
    else assigned.add(attemptId);
  }

  #excuse(connection: number, attemptId: string): void {
    const node = this.#nodes.get(connection);
    if (node !== undefined) this.#excused.add(keyOf(node, attemptId));
  }
}

export function nameOf({ taskId, attempt, node }: HandlerRun): string {
  return `the run ${taskId}#${attempt} on ${node.name}`;
}

function keyOf(node: SimulatedProcess, attemptId: string): string {
  return `${node.name} ${attemptId}`;
}
