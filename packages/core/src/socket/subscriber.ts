// A SUB socket: libzmq connects it again by itself and tells the new connection what it subscribed to.
import { Subscriber } from "zeromq";
import { checkSockets } from "./forbidden.ts";
import { heartbeat } from "./heartbeat.ts";
import type { Listen, Listener, ListenerHandlers } from "./listener.ts";

const minReconnectMs = 50;
const maxReconnectMs = 1_000;

/** Listens at the publish socket of a broker. */
export const listenSubscriber: Listen = (endpoint, handlers) => new SubscriberSocket(endpoint, handlers);

class SubscriberSocket implements Listener {
  readonly #socket: Subscriber;
  readonly #handlers: ListenerHandlers;

  constructor(endpoint: string, handlers: ListenerHandlers) {
    checkSockets();
    this.#handlers = handlers;
    this.#socket = new Subscriber({
      linger: 0,
      reconnectInterval: minReconnectMs,
      reconnectMaxInterval: maxReconnectMs,
      ...heartbeat,
    });
    if (endpoint.includes("[")) this.#socket.ipv6 = true;
    this.#socket.connect(endpoint);
    void this.#receive();
  }

  subscribe(prefix: string): void {
    if (!this.#socket.closed) this.#socket.subscribe(prefix);
  }

  unsubscribe(prefix: string): void {
    if (!this.#socket.closed) this.#socket.unsubscribe(prefix);
  }

  close(): void {
    this.#socket.close();
  }

  async #receive(): Promise<void> {
    while (!this.#socket.closed) {
      let frame: Buffer | undefined;
      try {
        [frame] = await this.#socket.receive();
      } catch {
        return;
      }
      if (frame !== undefined && !this.#socket.closed) this.#handlers.onAnnouncement(frame.toString("utf8"));
    }
  }
}
