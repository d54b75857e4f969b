// A node whose handlers are the test: it is given tasks, tells of them as the test says, and comes back when it is lost.
import { onTestFinished } from "vitest";
import { Deque, dialDealer, Link, type Params, systemRuntime } from "zerotask-core";
import { until } from "./wait.ts";

export interface Given {
  /** `<task_id>#<attempt>` */
  readonly id: string;
  readonly method: string;
  readonly params: Params | undefined;
}

export interface TellingNode {
  /** The next task that it is given. */
  next(): Promise<Given>;
  emit(id: string, event: string, data?: unknown): void;
  log(id: string, ...messages: string[]): void;
  finish(id: string, result?: unknown): void;
  fail(id: string, message: string): void;
}

export async function tellingNode(endpoint: string, ...methods: string[]): Promise<TellingNode> {
  const given = new Deque<Given>();
  const running = new Set<string>();
  const [nodeId, token] = [systemRuntime.id(), systemRuntime.token()];
  let isReady = false;
  const link = new Link<unknown>(
    { endpoint, dial: dialDealer, runtime: systemRuntime },
    {
      introduction: () => ({
        method: "zerotask.broker.node_connect",
        params: { protocol: 2, node_id: nodeId, token, methods, slots: 1_000, running: [...running] },
      }),
      onReady: () => {
        isReady = true;
      },
      onEntries: (entries) => {
        for (const entry of entries) {
          if (entry.kind !== "request" || typeof entry.request.id !== "string") continue;
          const { id, method, params } = entry.request;
          running.add(id);
          given.push({ id, method, params });
        }
      },
      onDown: () => {
        isReady = false;
      },
    },
  );
  link.open();
  onTestFinished(() => link.close());
  await until("the node to be connected", () => isReady);
  const notify = (method: string, params: object): void => {
    link.send(JSON.stringify({ jsonrpc: "2.0", method: `zerotask.broker.${method}`, params }));
  };
  const answer = (id: string, outcome: object): void => {
    running.delete(id);
    link.send(JSON.stringify({ jsonrpc: "2.0", id, ...outcome }));
  };
  return {
    next: async () => {
      await until("a task to be given to the node", () => given.size > 0);
      return given.shift() as Given;
    },
    emit: (id, event, data) => notify("node_task_event", { task_id: id, event, data }),
    log: (id, ...messages) => {
      const lines = messages.map((message) => ({ at: Date.now(), level: "info", message }));
      notify("node_task_log", { task_id: id, lines });
    },
    finish: (id, result = null) => answer(id, { result }),
    fail: (id, message) => answer(id, { error: { code: -32000, message } }),
  };
}

/** The first `count` of them; then the loop is left. */
export async function take<Item>(source: AsyncIterable<Item>, count: number): Promise<Item[]> {
  const taken: Item[] = [];
  if (count === 0) return taken;
  for await (const item of source) {
    taken.push(item);
    if (taken.length === count) break;
  }
  return taken;
}

/** All of them, once the loop has ended by itself. */
export async function all<Item>(source: AsyncIterable<Item>): Promise<Item[]> {
  const taken: Item[] = [];
  for await (const item of source) taken.push(item);
  return taken;
}
