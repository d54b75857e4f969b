// The publish socket. An XPUB is a PUB that hears of subscriptions: what nobody asked for is never sent.
import { XPublisher } from "zeromq";
import { bindSocket } from "./bind.ts";
import { heartbeat } from "./heartbeat.ts";
import { Subscriptions } from "./subscriptions.ts";

const maxSubscriptions = 10_000;

export interface PublishHandlers {
  /** Somebody subscribed, or the last one left: at most once in a tick. */
  onSubscriptions?(): void;
}

/** Sends announcements, one frame each. */
export class PublishSocket {
  readonly #socket = new XPublisher({ linger: 0, ...heartbeat });
  readonly #handlers: PublishHandlers;
  readonly #subscriptions = new Subscriptions(maxSubscriptions);
  #telling: NodeJS.Immediate | undefined;
  #queue: string[] = [];
  #immediate: NodeJS.Immediate | undefined;
  #flushing: Promise<void> | undefined;
  #receiving: Promise<void> = Promise.resolve();

  constructor(handlers: PublishHandlers = {}) {
    this.#handlers = handlers;
    // Also a second subscriber to a prefix is heard of: it wants to know what it has missed.
    this.#socket.verbosity = "allSubs";
  }

  /** Binds, and returns the endpoint. */
  async bind(address: string, port: number): Promise<string> {
    await bindSocket(this.#socket, address, port);
    this.#receiving = this.#receive();
    return this.#socket.lastEndpoint ?? "";
  }

  /** Whether anybody subscribed to a prefix of `text`, or to something that begins with `text`. */
  hasListeners(text: string): boolean {
    return this.#subscriptions.hears(text);
  }

  publish(text: string): void {
    this.#queue.push(text);
    this.#immediate ??= setImmediate(() => {
      this.#immediate = undefined;
      void this.#flush();
    });
  }

  async close(): Promise<void> {
    if (this.#socket.closed) return;
    await this.#flushing;
    await this.#flush();
    clearImmediate(this.#immediate);
    clearImmediate(this.#telling);
    this.#socket.close();
    await this.#receiving;
  }

  /** One at a time: a ZeroMQ socket takes one send at a time. */
  #flush(): Promise<void> {
    this.#flushing ??= this.#sendQueue().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #sendQueue(): Promise<void> {
    while (this.#queue.length > 0 && !this.#socket.closed) {
      const queue = this.#queue;
      this.#queue = [];
      for (const text of queue) {
        // An announcement that can't be sent is lost, as announcements may be.
        await this.#socket.send(text).catch(() => undefined);
      }
    }
  }

  /** An XPUB receives `1` + prefix for each subscriber of a prefix that comes, `0` + prefix when the last leaves. */
  async #receive(): Promise<void> {
    while (!this.#socket.closed) {
      let frame: Buffer | undefined;
      try {
        [frame] = await this.#socket.receive();
      } catch {
        return;
      }
      const prefix = frame?.subarray(1).toString("utf8") ?? "";
      if (frame?.[0] === 1) this.#subscriptions.add(prefix);
      else if (frame?.[0] === 0) this.#subscriptions.delete(prefix);
      this.#telling ??= setImmediate(() => {
        this.#telling = undefined;
        if (!this.#socket.closed) this.#handlers.onSubscriptions?.();
      });
    }
  }
}
