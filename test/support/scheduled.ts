// What tests of order and time ask of a broker's state machine, and what they look at.
import { isReservedMethod } from "zerotask-core";
import type { Effect } from "../../packages/broker/src/state/effect.ts";
import { answer, call, type Machine, type MachineOptions, machine } from "./broker-machine.ts";

interface Asked {
  readonly method?: string;
  readonly params?: unknown;
  readonly [option: string]: unknown;
}

/** A submission by the client of this connection: its task is `<peer>-<id>`, where the peer is the client. */
export function submit(id: string, { method = "add", params = [1], ...options }: Asked = {}): object {
  return call("zerotask.broker.client_new_task", `s${id}`, { method, params, task_id: id, options });
}

/** A call with options: its task is `<peer>-q<id>`. */
export function ask(id: string, { method = "add", params = [1], ...options }: Asked = {}): object {
  return call("zerotask.broker.client_call", `q${id}`, { method, params, options });
}

/** The attempts that nodes were given, in order: `c-1#1`. */
export function begun(effects: readonly Effect[], node?: string): string[] {
  return effects.flatMap((effect) => {
    if (effect.type !== "send" || (node !== undefined && effect.peer !== node)) return [];
    const { message } = effect;
    if (!("method" in message) || !("id" in message)) return [];
    return isReservedMethod(message.method) ? [] : [String(message.id)];
  });
}

/** The responses that a peer got to requests, and what it was told, by id. */
export function answers(effects: readonly Effect[], peer = "c"): Map<unknown, object> {
  const found = new Map<unknown, object>();
  for (const effect of effects) {
    if (effect.type !== "send" || effect.peer !== peer) continue;
    const { message } = effect as { message: { id?: unknown; params?: { task_id?: string } } };
    if ("method" in message) {
      if (message.params?.task_id !== undefined) found.set(message.params.task_id, message.params);
    } else found.set(message.id, message);
  }
  return found;
}

export function statusOf(broker: Machine, id: string, peer = "c"): unknown {
  const effects = broker.from(peer, call("zerotask.broker.client_task_status", "st", [peer, id]));
  const { result, error } = (answers(effects, peer).get("st") ?? {}) as { result?: unknown; error?: object };
  return result ?? error;
}

export function stop(id: string): object {
  return call("zerotask.broker.client_task_stop", `x${id}`, [id]);
}

/** The whole record of a task. */
export function recordOf(broker: Machine, id: string): unknown {
  const effects = broker.from("c", call("zerotask.broker.client_task_get", "get", [id]));
  return (answers(effects).get("get") as { result?: unknown } | undefined)?.result;
}

export const failed = (id: string, code = -32000, data?: unknown): object => ({
  jsonrpc: "2.0",
  id,
  error: { code, message: "no", ...(data !== undefined && { data }) },
});

/** A broker with a disk and a client. */
export function brokerOf(options: MachineOptions = {}): Machine {
  const broker = machine({ hasDisk: true, ...options });
  broker.client("c");
  return broker;
}

/** The same data, another run of the broker. */
export function restarted(before: Machine, options: MachineOptions = {}): Machine {
  const broker = machine({ hasDisk: true, stores: before.stores, startAt: 100_000, ...options });
  broker.client("c");
  return broker;
}

/** Has a node finish what it was given, and all that it is given for that. @returns the attempts, in order */
export function finishAll(broker: Machine, effects: readonly Effect[], node = "n"): string[] {
  const todo = begun(effects, node);
  for (let i = 0; i < todo.length; i++) {
    todo.push(...begun(broker.from(node, answer(todo[i] as string, 0)), node));
  }
  return todo;
}

/** Ids of tasks in the order in which a node with one slot runs them. */
export function orderOf(attempts: readonly string[]): string[] {
  return attempts.map((attempt) => attempt.replace(/^c-(.*)#\d+$/, "$1"));
}
