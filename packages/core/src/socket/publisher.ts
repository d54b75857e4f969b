// The publish socket. An XPUB is a PUB that hears of subscriptions: what nobody asked for is never sent.
import { XPublisher } from "zeromq";
import { bindSocket } from "./bind.ts";
import { heartbeat } from "./heartbeat.ts";

const maxSubscriptions = 10_000;

/** Sends announcements, one frame each. */
export class PublishSocket {
  readonly #socket = new XPublisher({ linger: 0, ...heartbeat });
  /** Prefixes that somebody subscribed to. */
  readonly #subscriptions = new Set<string>();
  #queue: string[] = [];
  #immediate: NodeJS.Immediate | undefined;
  #flushing: Promise<void> | undefined;
  #receiving: Promise<void> = Promise.resolve();

  /** Binds, and returns the endpoint. */
  async bind(address: string, port: number): Promise<string> {
    await bindSocket(this.#socket, address, port);
    this.#receiving = this.#receive();
    return this.#socket.lastEndpoint ?? "";
  }

  /** Whether anybody subscribed to a prefix of `text`, or to something that begins with `text`. */
  hasListeners(text: string): boolean {
    for (const prefix of this.#subscriptions) {
      if (text.startsWith(prefix) || prefix.startsWith(text)) return true;
    }
    return false;
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

  /** An XPUB receives `1` + prefix when the first subscriber of a prefix comes, `0` + prefix when the last leaves. */
  async #receive(): Promise<void> {
    while (!this.#socket.closed) {
      let frame: Buffer | undefined;
      try {
        [frame] = await this.#socket.receive();
      } catch {
        return;
      }
      const prefix = frame?.subarray(1).toString("utf8") ?? "";
      // Bytes from anybody must not fill the memory: over the bound somebody listens to everything.
      if (frame?.[0] === 1)
        this.#subscriptions.add(this.#subscriptions.size < maxSubscriptions ? prefix : "");
      else if (frame?.[0] === 0) this.#subscriptions.delete(prefix);
    }
  }
}
