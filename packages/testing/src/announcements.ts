// Announcements within a process: who has subscribed to the beginning of a text is told.
import type { AnnouncementSocket, Listener, PublishHandlers } from "zerotask-core";

interface Subscriber {
  /** As often as each was subscribed to. */
  readonly prefixes: string[];
  readonly tell: (text: string) => void;
}

export class Announcements {
  readonly #subscribers = new Set<Subscriber>();
  #handlers: PublishHandlers | undefined;

  publisher(handlers: PublishHandlers | undefined): AnnouncementSocket {
    return {
      bind: async () => {
        this.#handlers = handlers;
        return "tcp://in-process:5556";
      },
      hasListeners: (text) => this.#hears(text),
      publish: (text) => {
        for (const { prefixes, tell } of this.#subscribers) {
          if (prefixes.some((prefix) => text.startsWith(prefix))) tell(text);
        }
      },
      close: async () => {
        if (this.#handlers === handlers) this.#handlers = undefined;
      },
    };
  }

  listener(tell: (text: string) => void): Listener {
    const subscriber: Subscriber = { prefixes: [], tell };
    this.#subscribers.add(subscriber);
    return {
      subscribe: (prefix) => {
        subscriber.prefixes.push(prefix);
        this.#handlers?.onSubscriptions?.();
      },
      unsubscribe: (prefix) => {
        const index = subscriber.prefixes.indexOf(prefix);
        if (index >= 0) subscriber.prefixes.splice(index, 1);
      },
      close: () => void this.#subscribers.delete(subscriber),
    };
  }

  #hears(text: string): boolean {
    for (const { prefixes } of this.#subscribers) {
      if (prefixes.some((prefix) => text.startsWith(prefix) || prefix.startsWith(text))) return true;
    }
    return false;
  }
}
