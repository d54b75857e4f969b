// A network in one process: connections that keep the order of what they carry, until they are cut.
//
// As over TCP, nothing is lost or doubled within a connection. But a connection may be cut at any moment, what was
// under way may or may not arrive, late too, after its successor's first messages; and either side may learn of it late.

import type {
  Connection,
  ConnectionHandlers,
  Dial,
  Listen,
  PublishHandlers,
  RequestSocket,
  RouterHandlers,
  Transport,
} from "zerotask-core";
import { Announcements } from "./announcements.ts";
import type { SimulatedProcess, Timeline } from "./timeline.ts";

type Side = "up" | "down";

export interface NetworkObserver {
  /** A process has connected to the broker. */
  onConnected(connection: number, process: SimulatedProcess): void;
  /** A message leaves one side of a connection: `up` to the broker, or `down` from it. */
  onMessage(connection: number, side: Side, text: string): void;
  /** The broker hands a message to its socket, in the order in which it decides; one arrives there. */
  onSent(connection: number, text: string): void;
  onReceived(connection: number, text: string): void;
  /** The broker may know that a connection is gone. */
  onLost(connection: number): void;
}

interface Listener {
  readonly process: SimulatedProcess;
  readonly handlers: RouterHandlers;
}

/** How a network behaves. */
export interface NetworkRules {
  /** How long a message takes, in milliseconds. */
  readonly latency: () => number;
  /** How many others that are due at once may come before it: chance has it which. @default none */
  readonly detours?: () => number;
  /** How long it takes until it shows that nobody is there. */
  readonly refusalMs: () => number;
  /** Told of all that passes. */
  readonly observer?: NetworkObserver;
}

export class Network {
  readonly #time: Timeline;
  readonly #rules: NetworkRules;
  readonly #announcements = new Announcements();
  readonly #connections = new Map<string, SimulatedConnection>();
  #listener: Listener | undefined;
  #count = 0;
  /** Until then no connection comes about. */
  #partitionedUntil = 0;

  constructor(time: Timeline, rules: NetworkRules) {
    this.#time = time;
    this.#rules = rules;
  }

  /** What a client or node connects with. */
  dialOf(process: SimulatedProcess): Dial {
    return (_endpoint, handlers) => this.#dial(process, handlers);
  }

  /** What a broker binds. */
  transportOf(process: SimulatedProcess): Transport {
    return {
      requests: (_options, handlers) => this.#listen({ process, handlers }),
      announcements: (handlers?: PublishHandlers) => this.#announcements.publisher(handlers),
    };
  }

  /** What a client follows announcements with. */
  listenOf(process: SimulatedProcess): Listen {
    return (_endpoint, { onAnnouncement }) =>
      this.#announcements.listener((text) =>
        this.#time.after(this.#rules.latency(), () => onAnnouncement(text), process),
      );
  }

  /** Cuts some connections. Each side learns of it within `noticeMs`. */
  cut(probability: number, noticeMs: number): void {
    for (const connection of [...this.#connections.values()]) {
      if (this.#time.random() < probability) connection.cut(noticeMs);
    }
  }

  /** Nobody can connect for a while, and those who are connected hear nothing. */
  partition(ms: number): void {
    this.#partitionedUntil = this.#time.elapsed + ms;
    this.cut(1, 2_000);
  }

  /** All connections of a process that was killed, or that answers no heartbeats. */
  cutOff(process: SimulatedProcess, noticeMs: number): void {
    if (this.#listener?.process === process && !process.isAlive) this.#listener = undefined;
    for (const connection of [...this.#connections.values()]) {
      if (connection.client === process || connection.broker === process) connection.cut(noticeMs);
    }
  }

  heal(): void {
    this.#partitionedUntil = 0;
  }

  #listen(listener: Listener): RequestSocket {
    const of = (peer: string): SimulatedConnection | undefined => this.#connections.get(peer);
    const send = (peer: string, text: string, isWhole: boolean): void => {
      const connection = of(peer);
      if (connection === undefined || connection.isKnownLostBelow) {
        this.#time.after(0, () => listener.handlers.onPeerLost(peer), listener.process);
        return;
      }
      this.#rules.observer?.onSent(connection.number, text);
      if (isWhole) connection.leave("down", text);
      else connection.push("down", text);
    };
    return {
      bind: async () => {
        this.#listener = listener;
        return "requests";
      },
      send: (peer, text) => send(peer, text, false),
      sendWhole: (peer, _shape, text) => send(peer, text, true),
      close: async () => {
        if (this.#listener === listener) this.#listener = undefined;
        for (const connection of this.#connections.values()) {
          if (connection.broker === listener.process) connection.end(10);
        }
      },
    };
  }

  #dial(process: SimulatedProcess, handlers: ConnectionHandlers): Connection {
    const listener = this.#listener;
    const isReachable = listener?.process.isAlive === true && this.#partitionedUntil <= this.#time.elapsed;
    if (listener === undefined || !isReachable) {
      const failure = this.#time.after(this.#rules.refusalMs(), () => handlers.onLost(), process);
      return { send: () => undefined, limit: () => undefined, close: () => failure.cancel() };
    }
    const number = ++this.#count;
    // Like the routing ids that a ROUTER makes up, it begins with a zero byte.
    const peer = `\0${number}`;
    const connection = new SimulatedConnection(
      this.#time,
      this.#rules,
      { number, peer, client: process, broker: listener.process },
      {
        up: (text) => {
          this.#rules.observer?.onReceived(number, text);
          listener.handlers.onMessage(peer, "dealer", Buffer.from(text));
        },
        down: (text) => handlers.onMessage(Buffer.from(text)),
        lostUp: () => handlers.onLost(),
        lostDown: () => {
          this.#connections.delete(peer);
          this.#rules.observer?.onLost(number);
          listener.handlers.onDisconnect();
        },
        leaves: (side, text) => this.#rules.observer?.onMessage(number, side, text),
      },
    );
    this.#connections.set(peer, connection);
    this.#rules.observer?.onConnected(number, process);
    return {
      send: (text) => connection.push("up", text),
      limit: () => undefined,
      close: () => connection.close(),
    };
  }
}

interface Ends {
  readonly number: number;
  readonly peer: string;
  readonly client: SimulatedProcess;
  readonly broker: SimulatedProcess;
}

interface Deliveries {
  up(text: string): void;
  down(text: string): void;
  /** The client's and the broker's side learn that it is over. */
  lostUp(): void;
  lostDown(): void;
  leaves(side: Side, text: string): void;
}

class SimulatedConnection {
  readonly number: number;
  readonly client: SimulatedProcess;
  readonly broker: SimulatedProcess;
  isKnownLostBelow = false;
  readonly #time: Timeline;
  readonly #rules: NetworkRules;
  readonly #deliveries: Deliveries;
  /** What is about to be delivered, in order. */
  readonly #arrived: { [S in Side]: (() => void)[] } = { up: [], down: [] };
  readonly #outbox: { [S in Side]: string[] } = { up: [], down: [] };
  /** When the last message of each side arrives: none overtakes another. */
  readonly #lastArrival: { [S in Side]: number } = { up: 0, down: 0 };
  #state: "open" | "cut" | "closed" = "open";
  /** What is under way when it is cut, up to this time, still arrives. */
  #arrivesUntil: { [S in Side]: number } = { up: Number.POSITIVE_INFINITY, down: Number.POSITIVE_INFINITY };

  constructor(time: Timeline, rules: NetworkRules, { number, client, broker }: Ends, deliveries: Deliveries) {
    this.number = number;
    this.client = client;
    this.broker = broker;
    this.#time = time;
    this.#rules = rules;
    this.#deliveries = deliveries;
  }

  /** What one moment sends leaves as one message. */
  push(side: Side, text: string): void {
    this.#outbox[side].push(text);
    if (this.#outbox[side].length > 1) return;
    this.#time.after(0, () => this.#flush(side), side === "up" ? this.client : this.broker);
  }

  /** The client's side hangs up, after what it has sent. */
  close(): void {
    if (this.#state !== "open") return;
    this.#flush("up");
    this.end(20);
  }

  /** It ends in order: what was sent arrives. */
  end(noticeMs: number): void {
    if (this.#state !== "open") return;
    this.#state = "closed";
    this.#tellLost(noticeMs);
  }

  cut(noticeMs: number): void {
    if (this.#state !== "open") return;
    this.#state = "cut";
    const now = this.#time.elapsed;
    this.#arrivesUntil = {
      up: now + this.#time.random() * 100 - 50,
      down: now + this.#time.random() * 100 - 50,
    };
    this.#tellLost(noticeMs);
  }

  #tellLost(noticeMs: number): void {
    const { client, broker } = this;
    this.#time.after(this.#time.random() * noticeMs, () => this.#deliveries.lostUp(), client);
    this.#time.after(
      this.#time.random() * noticeMs,
      () => {
        this.isKnownLostBelow = true;
        this.#deliveries.lostDown();
      },
      broker,
    );
  }

  #flush(side: Side): void {
    const texts = this.#outbox[side];
    if (texts.length === 0) return;
    this.#outbox[side] = [];
    this.leave(side, texts.length === 1 ? (texts[0] as string) : `[${texts.join(",")}]`);
  }

  /** Sends one message. */
  leave(side: Side, text: string): void {
    this.#deliveries.leaves(side, text);
    if (this.#state === "cut") return;
    const arrival = Math.max(this.#lastArrival[side], this.#time.elapsed + this.#rules.latency());
    this.#lastArrival[side] = arrival;
    const receiver = side === "up" ? this.broker : this.client;
    const deliver = (): void => {
      if (this.#state === "cut" && arrival > this.#arrivesUntil[side]) return;
      this.#arrived[side].push(() => this.#deliveries[side](text));
      this.#deliver(side, this.#rules.detours?.() ?? 0, receiver);
    };
    this.#time.after(arrival - this.#time.elapsed, deliver, receiver);
  }

  /** Others may be let pass; within a connection the order holds. */
  #deliver(side: Side, detours: number, receiver: SimulatedProcess): void {
    if (detours <= 0) this.#arrived[side].shift()?.();
    else this.#time.after(0, () => this.#deliver(side, detours - 1, receiver), receiver);
  }
}
