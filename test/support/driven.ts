// A broker whose client is `cli` and whose node is `worker`: what the client asks, and what the node is given.
import type { Effect } from "../../packages/broker/src/state/effect.ts";
import { answer, call, type Machine } from "./broker-machine.ts";

export interface Driven {
  readonly broker: Machine;
  /** Sends a command, and gives its result or error, if it was answered at once. */
  ask(method: string, params: object): unknown;
  node(slots?: number, methods?: readonly (string | object)[]): void;
  after(ms: number): readonly Effect[];
  /** The attempts that were given to the node since this was asked last. */
  started(): string[];
  finish(attempt: string): readonly Effect[];
  fail(attempt: string, message?: string): readonly Effect[];
}

export function drive(broker: Machine): Driven {
  const given: string[] = [];
  let requests = 0;
  broker.client("cli");
  const see = (effects: readonly Effect[]): readonly Effect[] => {
    for (const effect of effects) {
      if (effect.type !== "send" || effect.peer !== "worker" || !("method" in effect.message)) continue;
      if (typeof effect.message.id === "string") given.push(effect.message.id);
    }
    return effects;
  };
  return {
    broker,
    ask: (method, params) => {
      const id = ++requests;
      for (const effect of see(broker.from("cli", call(`zerotask.broker.${method}`, id, params)))) {
        if (effect.type !== "send" || effect.peer !== "cli" || !("id" in effect.message)) continue;
        const { message } = effect;
        if (message.id !== id) continue;
        return "error" in message ? message.error : (message as { result: unknown }).result;
      }
      return undefined;
    },
    node: (slots = 100, methods = ["add"]) => void see(broker.node("worker", methods, slots)),
    after: (ms) => see(broker.after(ms)),
    started: () => given.splice(0),
    finish: (attempt) => see(broker.from("worker", answer(attempt, 3))),
    fail: (attempt, message = "no") =>
      see(broker.from("worker", { jsonrpc: "2.0", id: attempt, error: { code: -32000, message } })),
  };
}
