// One DEALER for each connection: libzmq's own reconnection would deliver what was queued for the dead
// connection before the introduction of the new one.
import { Dealer } from "zeromq";
import type { Connection, ConnectionHandlers, Dial } from "./connection.ts";
import { checkSockets } from "./forbidden.ts";
import { heartbeat, lingerMs } from "./heartbeat.ts";
import { Outbox } from "./outbox.ts";

const connectTimeoutMs = 2_000;

/** Connects to the request socket of a broker. */
export const dialDealer: Dial = (endpoint, handlers) => new DealerConnection(endpoint, handlers);

class DealerConnection implements Connection {
  readonly #socket: Dealer;
  readonly #handlers: ConnectionHandlers;
  readonly #outbox = new Outbox();
  #isScheduled = false;
  #sending: Promise<void> | undefined;
  #closed = false;

  constructor(endpoint: string, handlers: ConnectionHandlers) {
    checkSockets();
    this.#handlers = handlers;
    this.#socket = new Dealer({
      reconnectInterval: -1,
      connectTimeout: connectTimeoutMs,
      linger: lingerMs,
      ...heartbeat,
    });
    if (endpoint.includes("[")) this.#socket.ipv6 = true;
    const lost = (): void => this.#lose();
    this.#socket.events.on("disconnect", lost);
    this.#socket.events.on("close", lost);
    this.#socket.events.on("handshake:error:protocol", lost);
    this.#socket.events.on("handshake:error:auth", lost);
    this.#socket.events.on("handshake:error:other", lost);
    this.#socket.connect(endpoint);
    void this.#receive();
  }

  get unsent(): number {
    return this.#outbox.length;
  }

  send(text: string): void {
    this.#outbox.push(text);
    if (this.#sending !== undefined) return;
    if (this.#outbox.isFull) {
      void this.#flush();
    } else if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(() => void this.#flush());
    }
  }

  limit(limits: { readonly entries: number; readonly bytes: number }): void {
    this.#outbox.limit(limits);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // What is queued leaves first, if that can be done soon.
    const close = (): void => this.#socket.close();
    if (this.#outbox.isEmpty) {
      close();
      return;
    }
    const timer = setTimeout(close, lingerMs);
    void this.#flush().finally(() => {
      clearTimeout(timer);
      close();
    });
  }

  #lose(): void {
    if (this.#closed) return;
    this.close();
    this.#handlers.onLost();
  }

  /** One at a time: a ZeroMQ socket takes one send at a time. */
  #flush(): Promise<void> {
    this.#isScheduled = false;
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
    return this.#sending;
  }

  async #sendAll(): Promise<void> {
    try {
      while (!this.#outbox.isEmpty) {
        const { text, count } = this.#outbox.peek();
        await this.#socket.send(text);
        this.#outbox.drop(count);
      }
    } catch {
      // The socket was closed: what was not sent is sent again on the next connection by who owns it.
    }
  }

  async #receive(): Promise<void> {
    while (!this.#closed) {
      let frames: Buffer[];
      try {
        frames = await this.#socket.receive();
      } catch {
        this.#lose();
        return;
      }
      const [body] = frames;
      if (body !== undefined && !this.#closed) this.#handlers.onMessage(body);
    }
  }
}
