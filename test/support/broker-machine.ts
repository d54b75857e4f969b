// The broker's state machine without a shell: messages in, effects out, on a clock that the test turns.
import { type Decoded, decode, defaultLimits, type Message } from "zerotask-core";
import { BrokerState } from "../../packages/broker/src/state/broker-state.ts";
import type { BrokerConfig } from "../../packages/broker/src/state/config.ts";
import type { Effect } from "../../packages/broker/src/state/effect.ts";

export interface Machine {
  /** What `peer` sends, and the effects of it. */
  from(peer: string, message: unknown, shape?: "dealer" | "req"): Effect[];
  /** Turns the clock forward and ticks. */
  after(ms: number): Effect[];
  lost(peer: string): Effect[];
  slow(peer: string): Effect[];
  disconnect(): Effect[];
  /** Introduces a client or node on a connection of its name. */
  client(name: string): void;
  node(name: string, methods: readonly string[], slots: number, more?: object): Effect[];
  readonly counts: BrokerState["counts"];
}

export function machine(config: Partial<BrokerConfig> = {}): Machine {
  let now = 1_000;
  let ids = 0;
  const state = new BrokerState({
    epoch: "epoch",
    version: "1.2.3",
    limits: defaultLimits,
    graceMs: 5_000,
    heartbeatMs: 1_000,
    leaseMs: 30_000,
    stalledMs: 1_000_000,
    sessionTtlMs: 60_000,
    resultTtlMs: 3_600_000,
    maxResults: 100,
    maxResultBytes: 1_000_000,
    replayMs: 60_000,
    maxReplay: 100,
    maxReplayBytes: 1_000_000,
    redeliveries: 3,
    maxTasks: 1_000,
    maxSessions: 100,
    announce: () => "tcp://announce",
    brokerTasks: () => [{ name: "broker.hot" }, { name: "add" }],
    newId: () => `id${++ids}`,
    newToken: () => "token",
    ...config,
  });
  state.handle({ type: "tick" }, now);
  const from: Machine["from"] = (peer, message, shape = "dealer") => {
    const bytes = Buffer.from(JSON.stringify(message));
    const decoded: Decoded = decode(bytes, defaultLimits);
    return state.handle(
      {
        type: "message",
        peer,
        shape,
        mayHaveSession: shape === "dealer",
        message: decoded,
        bytes: bytes.byteLength,
      },
      now,
    );
  };
  const introduce = (peer: string, method: string, params: object): Effect[] =>
    from(peer, {
      jsonrpc: "2.0",
      method: `zerotask.broker.${method}`,
      params: { protocol: 2, ...params },
      id: "hi",
    });
  return {
    from,
    after: (ms) => {
      now += ms;
      return state.handle({ type: "tick" }, now);
    },
    lost: (peer) => state.handle({ type: "peer-lost", peer }, now),
    slow: (peer) => state.handle({ type: "peer-slow", peer }, now),
    disconnect: () => state.handle({ type: "disconnect" }, now),
    client: (name) => void introduce(name, "client_connect", { client_id: name, token: `${name}'s` }),
    node: (name, methods, slots, more = {}) =>
      introduce(name, "node_connect", { node_id: name, token: `${name}'s`, methods, slots, ...more }),
    get counts() {
      return state.counts;
    },
  };
}

/** Shorthand for what is compared most. */
export const send = (peer: string, message: object): Effect => ({
  type: "send",
  peer,
  message: { jsonrpc: "2.0", ...message } as Message,
});

export const call = (method: string, id: unknown, params?: unknown): object => ({
  jsonrpc: "2.0",
  method,
  ...(params !== undefined && { params }),
  id,
});

export const answer = (id: string, result: unknown): object => ({ jsonrpc: "2.0", id, result });

/** Only the effects that send something to somebody. */
export const sends = (effects: readonly Effect[]): Effect[] =>
  effects.filter(({ type }) => type === "send" || type === "reply");
