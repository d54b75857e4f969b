// The broker's state machine without a shell: messages in, effects out, on a clock that the test turns.
import { type Decoded, decode, defaultLimits, type Message } from "zerotask-core";
import { nextSlot } from "../../packages/broker/src/cron.ts";
import { BrokerState } from "../../packages/broker/src/state/broker-state.ts";
import type { BrokerConfig } from "../../packages/broker/src/state/config.ts";
import type { Effect } from "../../packages/broker/src/state/effect.ts";
import type { BrokerEvent } from "../../packages/broker/src/state/event.ts";
import type { StoreAnswer, StoreQuery } from "../../packages/broker/src/state/storage/storage.ts";
import { MemoryTasks } from "../../packages/broker/src/store/memory-tasks.ts";

export interface Machine {
  /** What `peer` sends, and the effects of it. */
  from(peer: string, message: unknown, shape?: "dealer" | "req"): Effect[];
  /** Turns the clock forward and ticks. */
  after(ms: number): Effect[];
  /** What `peer` sends later, without a tick in between. */
  late(ms: number, peer: string, message: unknown): Effect[];
  lost(peer: string): Effect[];
  slow(peer: string): Effect[];
  disconnect(): Effect[];
  /** Introduces a client or node on a connection of its name. */
  client(name: string): void;
  node(name: string, methods: readonly (string | object)[], slots: number, more?: object): Effect[];
  readonly counts: BrokerState["counts"];
  /** What was told of tasks since this was asked last: kept apart from the other effects. */
  told(): TellingEffect[];
  /** What is stored, by level. */
  readonly stores: { readonly memory: MemoryTasks; readonly disk: MemoryTasks };
  /** Any other event. */
  handle(event: BrokerEvent): Effect[];
  /** From now on the store's work waits until `storeAll`. */
  holdStores(): void;
  /** Does what the stores were told to do, one step after the other. */
  storeAll(): Effect[];
  /** Does the next of it. */
  storeNext(): Effect[];
}

type TellingEffect = Extract<Effect, { type: "happened" | "logged" }>;
type StoreEffect = Extract<Effect, { type: "persist" | "ask" }>;

export interface MachineOptions extends Partial<BrokerConfig> {
  /** What an earlier machine left. */
  readonly stores?: Machine["stores"];
  /** When it begins. */
  readonly startAt?: number;
}

function query(store: MemoryTasks, asked: StoreQuery): StoreAnswer {
  switch (asked.type) {
    case "claim":
      return store.claim(asked.claim);
    case "claim-due":
      return store.claimDue(asked.now, asked.limit);
    case "claim-expired":
      return store.claimExpired(asked.now, asked.limit);
    case "take":
      return store.take(asked.ids);
    case "take-instance":
      return store.takeInstance(asked.instance);
    case "count-before":
      return store.countBefore(asked.id);
    case "failed":
      return store.failed(asked.filter);
    case "get":
      return store.get(asked.ids);
  }
}

export function machine(config: MachineOptions = {}): Machine {
  let now = config.startAt ?? 1_000;
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
    maxTaskBytes: 1_000_000,
    maxStoredTasks: 1_000,
    maxStoredBytes: 1_000_000,
    maxClientTasks: 1_000,
    maxClientBytes: 1_000_000,
    maxWaiters: 100,
    adoptMs: 1_500,
    hasDisk: false,
    failedTtlMs: 3_600_000,
    maxGroups: 100,
    wall: () => now,
    maxSchedules: 10,
    nextSlot,
    instanceOf: (_method, params) => String(Object.values(params)[0]),
    random: () => 0.5,
    maxSessions: 100,
    announce: () => "tcp://announce",
    isHeard: () => false,
    eventsKept: 1_000,
    eventsPerTask: 100,
    maxEventBytes: 1_000_000,
    logsKept: 1_000,
    logLinesPerTask: 100,
    maxLogBytes: 1_000_000,
    brokerTasks: () => [{ name: "broker.hot" }, { name: "add" }],
    newId: () => `id${++ids}`,
    newToken: () => "token",
    ...config,
  });
  const stores = config.stores ?? { memory: new MemoryTasks(), disk: new MemoryTasks() };
  const todo: StoreEffect[] = [];
  const told: TellingEffect[] = [];
  let isHolding = false;
  /** Performs the effects that are the stores', and returns all others. */
  const handle: Machine["handle"] = (event) => {
    const effects: Effect[] = [];
    for (const effect of state.handle(event, now)) {
      if (effect.type === "persist" || effect.type === "ask") todo.push(effect);
      else if (effect.type === "happened" || effect.type === "logged") told.push(effect);
      else effects.push(effect);
    }
    return isHolding ? effects : [...effects, ...storeAll()];
  };
  const storeAll = (): Effect[] => (todo.length === 0 ? [] : [...storeNext(), ...storeAll()]);
  const storeNext = (): Effect[] => {
    const effect = todo.shift();
    if (effect === undefined) return [];
    const { level } = effect;
    const event: BrokerEvent =
      effect.type === "persist"
        ? { type: "persisted", level, batch: effect.batch, result: stores[level].commit(effect.changes) }
        : { type: "told", level, request: effect.request, answer: query(stores[level], effect.query) };
    return handle(event);
  };
  handle({ type: "opened", level: "memory", summary: stores.memory.open() });
  if (config.hasDisk === true) handle({ type: "opened", level: "disk", summary: stores.disk.open() });
  handle({ type: "tick" });
  const from: Machine["from"] = (peer, message, shape = "dealer") => {
    const bytes = Buffer.from(JSON.stringify(message));
    const decoded: Decoded = decode(bytes, defaultLimits);
    return handle({
      type: "message",
      peer,
      shape,
      mayHaveSession: shape === "dealer",
      message: decoded,
      bytes: bytes.byteLength,
    });
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
      return handle({ type: "tick" });
    },
    late: (ms, peer, message) => {
      now += ms;
      return from(peer, message);
    },
    lost: (peer) => handle({ type: "peer-lost", peer }),
    slow: (peer) => handle({ type: "peer-slow", peer }),
    disconnect: () => handle({ type: "disconnect" }),
    client: (name) => void introduce(name, "client_connect", { client_id: name, token: `${name}'s` }),
    node: (name, methods, slots, more = {}) =>
      introduce(name, "node_connect", { node_id: name, token: `${name}'s`, methods, slots, ...more }),
    handle,
    told: () => told.splice(0),
    stores,
    storeNext,
    holdStores: () => {
      isHolding = true;
    },
    storeAll: () => {
      isHolding = false;
      return storeAll();
    },
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
