// The publish socket. An XPUB is a PUB that hears of subscriptions: what nobody asked for is never sent.
import { XPublisher } from "zeromq";
import { Deque } from "../collections/deque.ts";
import { bindSocket } from "./bind.ts";
import { checkSockets } from "./forbidden.ts";
import { heartbeat } from "./heartbeat.ts";
import { Subscriptions } from "./subscriptions.ts";

const maxSubscriptions = 10_000;
/** Most bytes of one subscription: who sends more is cut off. libzmq keeps what is subscribed to. */
const maxSubscriptionBytes = 4 * 1024;
/** Most that waits to be sent, in UTF-16 units. */
const maxQueued = 16 * 1024 * 1024;
/** So many leave in one turn of the event loop: libzmq drops what it can't pass on, from a thousand for a subscriber on. */
const maxBurst = 500;

export interface PublishHandlers {
  /** Somebody subscribed, or the last one left: at most once in a tick. */
  onSubscriptions?(): void;
  /** Announcements were dropped, as more were published than can be sent; all that were not are on their way. */
  onDropped?(): void;
}

/** Sends announcements, one frame each. */
export class PublishSocket {
  readonly #socket: XPublisher;
  readonly #handlers: PublishHandlers;
  readonly #subscriptions = new Subscriptions(maxSubscriptions);
  #telling: NodeJS.Immediate | undefined;
  readonly #queue = new Deque<string>();
  #queued = 0;
  #hasDropped = false;
  #immediate: NodeJS.Immediate | undefined;
  #flushing: Promise<void> | undefined;
  #receiving: Promise<void> = Promise.resolve();

  constructor(handlers: PublishHandlers = {}) {
    checkSockets();
    this.#handlers = handlers;
    // Nothing waits for a subscriber, so each message is sent at once, or dropped.
    this.#socket = new XPublisher({
      linger: 0,
      sendTimeout: 0,
      maxMessageSize: maxSubscriptionBytes,
      ...heartbeat,
    });
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

  /** What is over the bound is dropped: announcements may get lost. */
  publish(text: string): void {
    if (this.#queued + text.length > maxQueued) {
      this.#hasDropped = true;
      return;
    }
    this.#queue.push(text);
    this.#queued += text.length;
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

  #flush(): Promise<void> {
    this.#flushing ??= this.#sendQueue().finally(() => {
      this.#flushing = undefined;
      if (!this.#hasDropped || this.#socket.closed) return;
      this.#hasDropped = false;
      this.#handlers.onDropped?.();
    });
    return this.#flushing;
  }

  async #sendQueue(): Promise<void> {
    while (!this.#socket.closed) {
      for (let sent = 0; sent < maxBurst; sent++) {
        const text = this.#queue.shift();
        if (text === undefined) return;
        this.#queued -= text.length;
        // An announcement that can't be sent is lost, too.
        this.#socket.send(text).catch(() => undefined);
      }
      await new Promise((resolve) => setImmediate(resolve));
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
