// A client's subscriptions to announcements: one connection for all of them, and only while there are any.
import { Announcement, announcementPrefix, type Listen, type Listener, type Runtime } from "zerotask-core";

/** What is subscribed to: one kind of announcements, or those whose first member has this value. */
export interface Topic {
  readonly announcement: string;
  readonly member?: "task_id" | "method";
  readonly value?: string;
}

export interface TopicHandlers {
  onAnnouncement(params: unknown): void;
  /** The broker told the last number that it gave out. */
  onHello(seq: number): void;
}

/** Brokers say hello every 5 s. */
const quietMs = 7_000;

const helloPrefix = announcementPrefix(Announcement.Hello);

export class Announcements {
  readonly #listen: Listen;
  readonly #runtime: Runtime;
  readonly #topics = new Map<string, Set<TopicHandlers>>();
  #endpoint: string | undefined;
  #listener: Listener | undefined;
  #heardAt = Number.NEGATIVE_INFINITY;

  constructor(listen: Listen, runtime: Runtime) {
    this.#listen = listen;
    this.#runtime = runtime;
  }

  /** Whether announcements arrive at all. */
  get isAlive(): boolean {
    return this.#runtime.now() - this.#heardAt < quietMs;
  }

  /** Where the broker announces, as far as it says so. */
  connect(endpoint: string | undefined): void {
    if (endpoint === this.#endpoint) return;
    this.#endpoint = endpoint;
    this.close();
    this.#open();
  }

  /** @returns what ends the subscription */
  subscribe(topic: Topic, handlers: TopicHandlers): () => void {
    const prefix = prefixOf(topic);
    const others = this.#topics.get(prefix);
    const all = others ?? new Set();
    all.add(handlers);
    this.#topics.set(prefix, all);
    if (this.#listener === undefined) this.#open();
    // Also one that is there already is added: the broker says hello to it.
    else this.#listener.subscribe(prefix);
    return () => {
      if (!all.delete(handlers)) return;
      this.#listener?.unsubscribe(prefix);
      if (all.size > 0) return;
      this.#topics.delete(prefix);
      if (this.#topics.size === 0) this.close();
    };
  }

  /** Hears nothing until the next subscription. */
  close(): void {
    this.#listener?.close();
    this.#listener = undefined;
    this.#heardAt = Number.NEGATIVE_INFINITY;
  }

  #open(): void {
    if (this.#endpoint === undefined || this.#topics.size === 0) return;
    this.#listener = this.#tryToListen(this.#endpoint);
    this.#listener?.subscribe(helloPrefix);
    for (const [prefix, handlers] of this.#topics) {
      for (const _ of handlers) this.#listener?.subscribe(prefix);
    }
  }

  /** An endpoint that is none is like one that is out of reach. */
  #tryToListen(endpoint: string): Listener | undefined {
    try {
      return this.#listen(endpoint, { onAnnouncement: (text) => this.#onAnnouncement(text) });
    } catch {
      return undefined;
    }
  }

  #onAnnouncement(text: string): void {
    const { method, params } = parse(text);
    if (method === undefined) return;
    this.#heardAt = this.#runtime.now();
    if (method === Announcement.Hello) {
      const { seq } = params as { readonly seq?: unknown };
      if (typeof seq !== "number") return;
      for (const all of this.#topics.values()) for (const handlers of all) handlers.onHello(seq);
      return;
    }
    // The value that it was subscribed by is that of the first member.
    const [member, value] = Object.entries(params)[0] ?? [];
    const topics = [announcementPrefix(method)];
    if (member !== undefined && typeof value === "string") {
      topics.push(announcementPrefix(method, member, value));
    }
    for (const topic of topics) {
      for (const handlers of this.#topics.get(topic) ?? []) handlers.onAnnouncement(params);
    }
  }
}

function prefixOf({ announcement, member, value }: Topic): string {
  return announcementPrefix(announcement, member, value);
}

function parse(text: string): { readonly method?: string; readonly params: object } {
  try {
    const { method, params } = JSON.parse(text);
    if (typeof method === "string" && typeof params === "object" && params !== null)
      return { method, params };
  } catch {
    // Nothing that a broker announces.
  }
  return { params: {} };
}

const endpointParts = /^(tcp:\/\/)(.+)(:\d+)$/;

/**
 * Where a client reaches the publish socket: at the host where it reaches the request socket, for the broker itself
 * may only know that it is bound to all of its addresses.
 */
export function publishEndpoint(announce: string | undefined, requestEndpoint: string): string | undefined {
  const [, , , port] = endpointParts.exec(announce ?? "") ?? [];
  const [, scheme, host] = endpointParts.exec(requestEndpoint) ?? [];
  if (port === undefined || scheme === undefined) return announce;
  return `${scheme}${host}${port}`;
}
