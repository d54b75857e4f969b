// The shell of the broker: turns socket traffic into events, and performs the effects of the pure state machine.
import {
  type Clock,
  type Decoded,
  decode,
  ErrorCode,
  encodeResponse,
  errorObject,
  failure,
  invalidRequest,
  type Message,
  notification,
  PublishSocket,
  type Request,
  type RequestId,
  RouterSocket,
  randomId,
  randomToken,
  refuse,
} from "zerotask-core";
import { type BrokerOptions, type ResolvedBrokerOptions, resolveBrokerOptions } from "./options.ts";
import { BrokerState } from "./state/broker-state.ts";
import type { Effect } from "./state/effect.ts";
import type { BrokerEvent } from "./state/event.ts";
import { LOCAL_PEER } from "./state/turn.ts";
import { version } from "./version.ts";

/** libzmq may tell of a lost connection a moment before a send fails: the nodes are looked after again. */
const secondLookMs = 50;

/** Hands out tasks: clients and nodes connect to its request socket. */
export class Broker {
  readonly #options: ResolvedBrokerOptions;
  readonly #clock: Clock;
  readonly #router: RouterSocket;
  readonly #publisher = new PublishSocket();
  readonly #state: BrokerState;
  readonly #events: BrokerEvent[] = [];
  #isHandling = false;
  #requestEndpoint = "";
  #publishEndpoint = "";
  #life: "new" | "started" | "stopped" = "new";
  #tick: NodeJS.Timeout | undefined;
  #look: NodeJS.Timeout | undefined;

  /** @throws OptionError for an option that is unknown or out of range */
  constructor(options: BrokerOptions = {}) {
    this.#options = resolveBrokerOptions(options);
    const { clock, dispatcher, logger } = this.#options;
    this.#clock = clock;
    const { maxMessageBytes, maxBatch, maxDepth } = this.#options;
    const limits = { maxMessageBytes, maxBatch, maxDepth };
    this.#state = new BrokerState({
      ...this.#options,
      epoch: randomId(),
      version,
      limits,
      newId: randomId,
      newToken: randomToken,
      announce: () => this.#publishEndpoint,
      brokerTasks: () => dispatcher.methods(),
    });
    this.#router = new RouterSocket(this.#options, {
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

  /** Binds both sockets and begins to serve. @throws Error when a port is taken, or it was started before */
  async start(): Promise<void> {
    if (this.#life !== "new") throw new Error("Expected a new broker, got one that was started before");
    this.#life = "started";
    const { address, requestPort, publishPort, logger } = this.#options;
    try {
      this.#publishEndpoint = await this.#publisher.bind(address, publishPort);
      this.#requestEndpoint = await this.#router.bind(address, requestPort);
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#handle({ type: "tick" });
    logger.info({ request: this.#requestEndpoint, publish: this.#publishEndpoint }, "broker is ready");
  }

  /** Sends what is on its way, and closes. Tasks live in memory: unsettled ones are gone. */
  async stop(): Promise<void> {
    if (this.#life === "stopped") return;
    this.#life = "stopped";
    clearTimeout(this.#tick);
    clearTimeout(this.#look);
    await Promise.all([this.#router.close(), this.#publisher.close()]);
    this.#options.logger.info({}, "broker is stopped");
  }

  /** Events that come up while effects are performed wait for their turn. */
  #handle(event: BrokerEvent): void {
    this.#events.push(event);
    if (this.#isHandling) return;
    this.#isHandling = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      try {
        for (const effect of this.#state.handle(next, this.#clock.now())) this.#perform(effect);
      } catch (error) {
        // One event that finds a bug must not take the others down with it.
        this.#options.logger.error({ error }, `could not handle a ${next.type} event`);
      }
    }
    this.#isHandling = false;
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "send":
        if (effect.peer === LOCAL_PEER) this.#runHere(effect.message as Request);
        else this.#router.send(effect.peer, JSON.stringify(effect.message));
        break;
      case "reply":
        this.#router.sendWhole(effect.peer, effect.shape, JSON.stringify(effect.message));
        break;
      case "announce":
        this.#announce(notification(effect.method, effect.params));
        break;
      case "wake":
        this.#wakeAt(effect.at);
        break;
    }
  }

  /** Runs a `broker.*` task. Its response comes in like that of a node. */
  #runHere(request: Message): void {
    if (!("method" in request) || request.id === undefined) return;
    this.#options.dispatcher.dispatch(request, (response) => {
      if (response === undefined || this.#life === "stopped") return;
      const bytes = Buffer.from(encodeResponse(response));
      const { maxMessageBytes: most } = this.#options;
      const message =
        bytes.byteLength <= most
          ? decode(bytes, this.#options)
          : tooLarge(response.id, most, bytes.byteLength);
      const from = { peer: LOCAL_PEER, shape: "dealer", mayHaveSession: true } as const;
      this.#handle({ type: "message", ...from, message, bytes: bytes.byteLength });
    });
  }

  #announce(message: Request): void {
    const prefix = `{"jsonrpc":"2.0","method":"${message.method}"`;
    if (this.#publisher.hasListeners(prefix)) this.#publisher.publish(JSON.stringify(message));
  }

  #wakeAt(at: number): void {
    clearTimeout(this.#tick);
    const tick = (): void => this.#handle({ type: "tick" });
    this.#tick = setTimeout(tick, Math.max(0, Math.ceil(at - this.#clock.now())));
  }

  /** Many connections may end at once: they are looked after once. */
  #lookAfterPeers(): void {
    if (this.#look !== undefined || this.#life !== "started") return;
    this.#handle({ type: "disconnect" });
    this.#look = setTimeout(() => {
      this.#look = undefined;
      this.#handle({ type: "disconnect" });
    }, secondLookMs);
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
