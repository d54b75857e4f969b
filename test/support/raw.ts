// Peers that know nothing of ZeroTask: bare ZeroMQ sockets.
import { onTestFinished } from "vitest";
import { Dealer, Request, Subscriber } from "zeromq";

const receiveTimeout = 5_000;

export interface RawPeer {
  send(frames: string | Buffer | (string | Buffer)[]): Promise<void>;
  /** The next message's frames as text; rejects when none comes in 5 s. */
  receive(): Promise<string[]>;
  /** Sends JSON, and parses the JSON that comes back. */
  ask(message: unknown): Promise<unknown>;
}

export function rawDealer(
  endpoint: string,
  options: { receiveHighWaterMark?: number; routingId?: string } = {},
): RawPeer {
  return wrap(new Dealer({ linger: 0, receiveTimeout, ...options }), endpoint);
}

export function rawReq(endpoint: string): RawPeer {
  return wrap(new Request({ linger: 0, receiveTimeout }), endpoint);
}

function wrap(socket: Dealer | Request, endpoint: string): RawPeer {
  socket.connect(endpoint);
  onTestFinished(() => socket.close());
  const receive = async (): Promise<string[]> => (await socket.receive()).map((frame) => frame.toString());
  return {
    send: (frames) => socket.send(frames),
    receive,
    ask: async (message) => {
      await socket.send(typeof message === "string" ? message : JSON.stringify(message));
      return JSON.parse((await receive()).at(-1) ?? "");
    },
  };
}

/** The original's clients and nodes: a REQ socket that calls broker methods by position. */
export interface OriginalPeer {
  call(method: string, ...params: unknown[]): Promise<unknown>;
}

export function originalPeer(endpoint: string): OriginalPeer {
  const peer = rawReq(endpoint);
  let id = 0;
  return {
    call: async (method, ...params) => {
      const request = { jsonrpc: "2.0", method: `zerotask.broker.${method}`, params, id: ++id };
      const response = (await peer.ask(request)) as { result?: unknown; error?: unknown };
      if (response.error !== undefined) throw response.error;
      return response.result;
    },
  };
}

export interface Announcements {
  next(): Promise<{ method: string; params: Record<string, unknown> }>;
}

/** Subscribes to announcements of one method, by the prefix of their JSON. */
export function subscribe(endpoint: string, method: string): Announcements {
  const socket = new Subscriber({ linger: 0, receiveTimeout });
  socket.connect(endpoint);
  socket.subscribe(`{"jsonrpc":"2.0","method":"${method}"`);
  onTestFinished(() => socket.close());
  return {
    next: async () => {
      const [frame] = await socket.receive();
      return JSON.parse(frame?.toString() ?? "");
    },
  };
}
