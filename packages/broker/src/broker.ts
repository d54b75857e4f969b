// The shell of the broker: turns socket traffic into events, and performs the effects of the pure state machine.
import {
  type AnnouncementSocket,
  type Decoded,
  decode,
  ErrorCode,
  encodeMessage,
  encodeResponse,
  errorObject,
  failure,
  invalidRequest,
  type Message,
  type Request,
  type RequestId,
  type RequestSocket,
  refuse,
  type Timer,
} from "zerotask-core";
import { Announcer } from "./announcer.ts";
import { nextSlot } from "./cron.ts";
import { type BrokerOptions, type ResolvedBrokerOptions, resolveBrokerOptions } from "./options.ts";
import { type BrokerCounts, BrokerState } from "./state/broker-state.ts";
import type { Effect } from "./state/effect.ts";
import type { BrokerEvent } from "./state/event.ts";
import type { Durability } from "./state/storage/stored-task.ts";
import { LOCAL_PEER } from "./state/turn.ts";
import { memoryStore } from "./store/memory-store.ts";
import type { Store } from "./store/store.ts";
import { StorePort } from "./store/store-port.ts";
import { version } from "./version.ts";

/** libzmq may tell of a lost connection a moment before a send fails: the nodes are looked after again. */
const secondLookMs = 50;

const idleTimeoutMs = 1_000;

/** Hands out tasks: clients and nodes connect to its request socket. */
export class Broker {
  readonly #options: ResolvedBrokerOptions;
  readonly #router: RequestSocket;
  readonly #publisher: AnnouncementSocket;
  readonly #announcer: Announcer;
  readonly #state: BrokerState;
  readonly #stores: { readonly memory: StorePort; readonly disk?: StorePort };
  readonly #events: BrokerEvent[] = [];
  #isHandling = false;
  /** How far the clock is set forward, so as not to go back behind what is stored. */
  #clockOffset = 0;
  /** Whether the stores can be used. */
  #isOpen = false;
  #requestEndpoint = "";
  #publishEndpoint = "";
  #life: "new" | "started" | "stopped" = "new";
  #tick: Timer | undefined;
  #look: Timer | undefined;
  #stopping: Promise<void> | undefined;

  /** @throws OptionError for an option that is unknown or out of range */
  constructor(options: BrokerOptions = {}) {
    this.#options = resolveBrokerOptions(options);
    const { dispatcher, logger, runtime, store, transport } = this.#options;
    const port = (of: Store): StorePort => new StorePort(of, (event) => this.#onStoreEvent(event));
    this.#stores =
      store.durability === "memory"
        ? { memory: port(store) }
        : { memory: port(memoryStore()), disk: port(store) };
    const { maxMessageBytes, maxBatch, maxDepth } = this.#options;
    const limits = { maxMessageBytes, maxBatch, maxDepth };
    this.#state = new BrokerState({
      ...this.#options,
      epoch: runtime.id(),
      version,
      limits,
      hasDisk: store.durability === "disk",
      wall: runtime.wall,
      nextSlot,
      instanceOf: (method, params) => dispatcher.instanceOf(method, params),
      random: runtime.random,
      newId: runtime.id,
      newToken: runtime.token,
      announce: () => this.#publishEndpoint,
      isHeard: (method) => this.#announcer.isHeard(method),
      brokerTasks: () => dispatcher.methods(),
    });
    // Subscribers are told then how far it has come, so that they ask for what they missed.
    const onNews = (): void => {
      if (this.#life === "started" && this.#isOpen) this.#handle({ type: "subscribed" });
    };
    this.#publisher = transport.announcements({
      onSubscriptions: () => {
        this.#announcer.onSubscriptions();
        onNews();
      },
      onDropped: onNews,
    });
    this.#announcer = new Announcer(this.#publisher);
    this.#router = transport.requests(this.#options, {
      onMessage: (peer, shape, body) => {
        const message = body === undefined ? wrongFrames() : decode(body, limits);
        const mayHaveSession = shape === "dealer" && isGenerated(peer);
        const bytes = body?.byteLength ?? 0;
        this.#handle({ type: "message", peer, shape, mayHaveSession, message, bytes });
      },
      onPeerLost: (peer) => {
        logger.debug({ peer }, "peer lost");
        this.#handle({ type: "peer-lost", peer });
      },
      onPeerSlow: (peer) => {
        logger.warn({ peer }, "cut off a peer that does not read what it is sent");
        this.#handle({ type: "peer-slow", peer });
      },
      onDisconnect: () => this.#lookAfterPeers(),
    });
  }

  /** Where clients and nodes connect to, such as `tcp://127.0.0.1:5555`. Empty before `start`. */
  get requestEndpoint(): string {
    return this.#requestEndpoint;
  }

  /** Where announcements are published. Empty before `start`. */
  get publishEndpoint(): string {
    return this.#publishEndpoint;
  }

  /** Whether submitted tasks are safe on disk, or only in memory. */
  get durability(): Durability {
    return this.#options.store.durability;
  }

  /** How much it holds. */
  get counts(): BrokerCounts {
    return this.#state.counts;
  }

  /**
   * Opens the store, binds both sockets and begins to serve.
   * @throws StoreError when the store can't be used, or another broker uses it; Error when a port is taken, or the
   * broker was started before
   */
  async start(): Promise<void> {
    if (this.#life !== "new") throw new Error("Expected a new broker, got one that was started before");
    this.#life = "started";
    const { address, requestPort, publishPort, logger } = this.#options;
    try {
      await this.#openStores();
      this.#publishEndpoint = await this.#publisher.bind(address, publishPort);
      this.#requestEndpoint = await this.#router.bind(address, requestPort);
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#handle({ type: "tick" });
    logger.info({ request: this.#requestEndpoint, publish: this.#publishEndpoint }, "broker is ready");
  }

  /**
   * Takes nothing more, stores and sends what is on its way, and closes. What is in memory only is gone then; what
   * is on disk goes on when a broker is started there again.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const ports = Object.values(this.#stores);
    if (this.#isOpen) {
      this.#options.dispatcher.flush();
      this.#handle({ type: "drain" });
      await this.#storesIdle(ports);
    }
    this.#life = "stopped";
    this.#tick?.cancel();
    this.#look?.cancel();
    await Promise.all([this.#router.close(), this.#publisher.close()]);
    // What came in at the last moment is stored, too, though nobody can be told any more.
    if (this.#isOpen) await this.#storesIdle(ports);
    for (const port of ports) await port.close().catch((error: unknown) => this.#onCloseFailed(error));
    this.#options.logger.info({}, "broker is stopped");
  }

  /** A disk that does not answer must not keep a broker from ending. */
  async #storesIdle(ports: readonly StorePort[]): Promise<void> {
    const { runtime, logger } = this.#options;
    await new Promise<void>((resolve) => {
      const timer = runtime.after(idleTimeoutMs, () => {
        logger.error({}, "a store did not end its work in time");
        resolve();
      });
      void Promise.all(ports.map((port) => port.idle())).then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  #onCloseFailed(error: unknown): void {
    this.#options.logger.error({ err: error }, "could not close the store");
  }

  async #openStores(): Promise<void> {
    const opened = await Promise.all(
      Object.values(this.#stores).map(async (port) => [port.level, await port.open()] as const),
    );
    const { runtime } = this.#options;
    const latest = Math.max(...opened.map(([, { time }]) => time));
    this.#clockOffset = Math.max(0, latest - runtime.now());
    this.#isOpen = true;
    for (const [level, summary] of opened) this.#handle({ type: "opened", level, summary });
  }

  #onStoreEvent(event: BrokerEvent): void {
    if (event.type === "store-failed") {
      const { level, reason } = event;
      this.#options.logger.error({ level, reason }, "the store failed: nothing is stored any more");
    }
    this.#handle(event);
  }

  #now(): number {
    return this.#options.runtime.now() + this.#clockOffset;
  }

  /** Events that come up while effects are performed wait for their turn. */
  #handle(event: BrokerEvent): void {
    this.#events.push(event);
    if (this.#isHandling) return;
    this.#isHandling = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      try {
        for (const effect of this.#state.handle(next, this.#now())) this.#tryToPerform(effect);
      } catch (error) {
        // One event that finds a bug must not take the others down with it.
        this.#options.logger.error({ err: error }, `could not handle a ${next.type} event`);
      }
    }
    this.#isHandling = false;
  }

  /** What depends on one that fails is lost with it, such as what was too long to be sent; the others are not. */
  #tryToPerform(effect: Effect): void {
    try {
      this.#perform(effect);
    } catch (error) {
      this.#options.logger.error({ err: error }, `could not perform ${effect.type}`);
    }
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "send":
        if (effect.peer === LOCAL_PEER) this.#runHere(effect.message as Request);
        else this.#router.send(effect.peer, encodeMessage(effect.message));
        break;
      case "reply":
        this.#router.sendWhole(effect.peer, effect.shape, JSON.stringify(effect.message));
        break;
      case "announce":
        this.#announcer.announce(effect.method, effect.params);
        break;
      case "happened":
        this.#announcer.event(effect.entry);
        break;
      case "logged":
        this.#announcer.log(effect.entry);
        break;
      case "persist":
        this.#stores[effect.level]?.persist(effect.batch, effect.changes);
        break;
      case "ask":
        this.#stores[effect.level]?.ask(effect.request, effect.query);
        break;
      case "wake":
        this.#wakeAt(effect.at);
        break;
    }
  }

  /** Runs a `broker.*` task. Its response comes in like that of a node. */
  #runHere(request: Message): void {
    if (!("method" in request) || request.id === undefined) return;
    const { dispatcher, runtime } = this.#options;
    dispatcher.dispatch(
      request,
      (response) => {
        if (response === undefined || this.#life === "stopped") return;
        const bytes = Buffer.from(encodeResponse(response));
        const { maxMessageBytes: most } = this.#options;
        const message =
          bytes.byteLength <= most
            ? decode(bytes, this.#options)
            : tooLarge(response.id, most, bytes.byteLength);
        const from = { peer: LOCAL_PEER, shape: "dealer", mayHaveSession: true } as const;
        this.#handle({ type: "message", ...from, message, bytes: bytes.byteLength });
      },
      undefined,
      runtime,
    );
  }

  #wakeAt(at: number): void {
    this.#tick?.cancel();
    const tick = (): void => this.#handle({ type: "tick" });
    this.#tick = this.#options.runtime.after(Math.max(0, Math.ceil(at - this.#now())), tick);
  }

  /** Many connections may end at once: they are looked after once. */
  #lookAfterPeers(): void {
    if (this.#look !== undefined || this.#life !== "started") return;
    this.#handle({ type: "disconnect" });
    this.#look = this.#options.runtime.after(secondLookMs, () => {
      this.#look = undefined;
      this.#handle({ type: "disconnect" });
    });
  }
}

function tooLarge(id: RequestId, most: number, got: number): Decoded {
  const error = errorObject(ErrorCode.TooLarge, `Expected a result of at most ${most} bytes, got ${got}`);
  return { batch: false, entries: [{ kind: "response", response: failure(id, error) }] };
}

/** Routing ids that a ROUTER makes up begin with a zero byte; no peer can choose such a one. */
function isGenerated(peer: string): boolean {
  return peer.charCodeAt(0) === 0;
}

function wrongFrames(): Decoded {
  return refuse(invalidRequest("Expected the frames [json] or [empty, json]"));
}
