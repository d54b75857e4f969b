// What clients and nodes say where tasks are stopped, started and made anew, and a broker that hears it.
import type { Effect } from "../../packages/broker/src/state/effect.ts";
import { call, type Machine, machine, send, sends } from "./broker-machine.ts";

export const submit = (task_id: string, options: object = {}): object =>
  call("zerotask.broker.client_new_task", `s${task_id}`, { method: "add", params: [1], task_id, options });
export const stop = (id: string, more: object = {}): object =>
  call("zerotask.broker.client_task_stop", "x", { task_id: id, confirm: true, ...more });
export const start = (id: string): object => call("zerotask.broker.client_task_start", "go", [id]);
export const reload = (id: string, more: object = {}): object =>
  call("zerotask.broker.client_task_reload", "re", { task_id: id, ...more });
export const stopPush = (id: string, grace_ms = 5_000): Effect =>
  send("n", { method: "zerotask.node.task_stop", params: { id, grace_ms } });
export const told = (how: string, status = "STOPPED"): Effect =>
  send("c", { id: "x", result: { how, status } });
export const assigned = (id: string, params: unknown = [1]): Effect =>
  send("n", { method: "add", params, id });
/** What a node answers for an attempt that it was told to end. */
export const ended = (id: string, how: string): object => ({
  jsonrpc: "2.0",
  id,
  error: { code: -32040, message: "The task was stopped", data: { how } },
});
export const failure = (id: string): object => ({
  jsonrpc: "2.0",
  id,
  error: { code: -32000, message: "no" },
});
export const statusOf = (broker: Machine, id: string): unknown => {
  const [effect] = sends(broker.from("c", call("zerotask.broker.client_task_get", "g", [id])));
  return (effect as unknown as { message: { result: { status: string } } }).message.result.status;
};

export function cluster(options: Parameters<typeof machine>[0] = {}, slots = 1): Machine {
  const broker = machine({ hasDisk: true, ...options });
  broker.client("c");
  broker.node("n", ["add"], slots);
  return broker;
}
