// The request socket: one ROUTER, an outbox for each peer, and what a failed send says about a peer.
import { Router } from "zeromq";
import { bindSocket } from "./bind.ts";
import { checkSockets } from "./forbidden.ts";
import { heartbeat, lingerMs } from "./heartbeat.ts";
import { Outbox } from "./outbox.ts";

/** How a peer frames its messages, and gets its answers: a REQ socket puts an empty frame in front. */
export type Shape = "dealer" | "req";

export interface RouterHandlers {
  /** `body` is `undefined` where the frames are not `[json]` or `[empty, json]`. */
  onMessage(peer: string, shape: Shape, body: Uint8Array | undefined): void;
  /** A send found nobody behind this routing id. */
  onPeerLost(peer: string): void;
  /** A peer doesn't read what it is sent; its outbox was dropped at the bound. */
  onPeerSlow(peer: string): void;
  /** Some connection ended. Which one shows when something is sent to it. */
  onDisconnect(): void;
}

export interface RouterSocketOptions {
  readonly maxMessageBytes: number;
  /** How much may wait for one peer. */
  readonly maxOutboxBytes: number;
}

interface Channel {
  readonly peer: string;
  readonly routingId: Buffer;
  /** Whole messages in the peer's own shape; they leave before what can be joined. */
  readonly whole: Buffer[][];
  readonly outbox: Outbox;
  wholeBytes: number;
  /** When its pipe last took something. */
  lastProgress: number;
  /** Blocked: its pipe was full, and it is tried again in a moment. */
  state: "idle" | "ready" | "blocked";
}

// The pipe in libzmq counts messages, not bytes: it stays short, and the rest waits where it is counted.
const pipeMessages = 64;
const retryMs = 2;
const stalledMs = 1_000;
/** Above this many times the bound, a peer isn't given time to catch up. */
const hardFactor = 8;
const empty = Buffer.alloc(0);

/** One ROUTER socket. Peers are named by their routing id as a latin1 string. */
export class RouterSocket {
  readonly #socket: Router;
  readonly #handlers: RouterHandlers;
  readonly #options: RouterSocketOptions;
  readonly #channels = new Map<string, Channel>();
  #ready: Channel[] = [];
  #blocked: Channel[] = [];
  #immediate: NodeJS.Immediate | undefined;
  #flushing: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #receiving: Promise<void> = Promise.resolve();

  constructor(options: RouterSocketOptions, handlers: RouterHandlers) {
    checkSockets();
    this.#options = options;
    this.#handlers = handlers;
    this.#socket = new Router({
      mandatory: true,
      sendTimeout: 0,
      sendHighWaterMark: pipeMessages,
      linger: lingerMs,
      // A little over the bound, so that a message just over it gets an error instead of a hangup.
      maxMessageSize: options.maxMessageBytes * 2,
      ...heartbeat,
    });
    this.#socket.events.on("disconnect", () => handlers.onDisconnect());
  }

  /** Binds, and begins to receive. Returns the endpoint, with the port that was free when `port` is 0. */
  async bind(address: string, port: number): Promise<string> {
    await bindSocket(this.#socket, address, port);
    this.#receiving = this.#receive();
    return this.#socket.lastEndpoint ?? "";
  }

  /** Queues `text` to be sent together with whatever else this tick has for the peer. */
  send(peer: string, text: string): void {
    const channel = this.#channel(peer);
    channel.outbox.push(text);
    this.#schedule(channel);
    if (channel.outbox.isFull && channel.state === "ready") void this.#flush();
  }

  /** Queues `text` as a message of its own, in the peer's shape. */
  sendWhole(peer: string, shape: Shape, text: string): void {
    const channel = this.#channel(peer);
    const body = Buffer.from(text);
    channel.wholeBytes += body.byteLength;
    channel.whole.push(shape === "req" ? [channel.routingId, empty, body] : [channel.routingId, body]);
    this.#schedule(channel);
  }

  /** Sends what can be sent at once, and closes. */
  async close(): Promise<void> {
    if (this.#socket.closed) return;
    await this.#flushing;
    await this.#flush();
    clearImmediate(this.#immediate);
    clearTimeout(this.#retry);
    this.#socket.close();
    await this.#receiving;
  }

  #channel(peer: string): Channel {
    let channel = this.#channels.get(peer);
    if (channel === undefined) {
      const routingId = Buffer.from(peer, "latin1");
      const lastProgress = performance.now();
      channel = {
        peer,
        routingId,
        whole: [],
        outbox: new Outbox(),
        wholeBytes: 0,
        lastProgress,
        state: "idle",
      };
      this.#channels.set(peer, channel);
    }
    return channel;
  }

  #schedule(channel: Channel): void {
    if (channel.state !== "idle") return;
    channel.state = "ready";
    this.#ready.push(channel);
    this.#immediate ??= setImmediate(() => {
      this.#immediate = undefined;
      void this.#flush();
    });
  }

  /** One at a time: a ZeroMQ socket takes one send at a time. */
  #flush(): Promise<void> {
    this.#flushing ??= this.#sendReady().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #sendReady(): Promise<void> {
    while (this.#ready.length > 0) {
      const ready = this.#ready;
      this.#ready = [];
      for (const channel of ready) {
        if (this.#channels.get(channel.peer) === channel) await this.#flushChannel(channel);
      }
    }
  }

  async #flushChannel(channel: Channel): Promise<void> {
    try {
      while (channel.whole.length > 0 || !channel.outbox.isEmpty) {
        await this.#sendNext(channel);
        channel.lastProgress = performance.now();
      }
      this.#channels.delete(channel.peer);
    } catch (error) {
      this.#onSendError(channel, (error as NodeJS.ErrnoException).code);
    }
  }

  async #sendNext(channel: Channel): Promise<void> {
    const { whole, outbox, routingId } = channel;
    const [frames] = whole;
    if (frames !== undefined) {
      await this.#socket.send(frames);
      whole.shift();
      channel.wholeBytes -= frames.at(-1)?.byteLength ?? 0;
      return;
    }
    const { text, count } = outbox.peek();
    await this.#socket.send([routingId, text]);
    outbox.drop(count);
  }

  #onSendError(channel: Channel, code: string | undefined): void {
    if (this.#socket.closed) return;
    if (code === "EAGAIN") {
      if (this.#isTooSlow(channel)) {
        this.#channels.delete(channel.peer);
        this.#handlers.onPeerSlow(channel.peer);
        return;
      }
      channel.state = "blocked";
      this.#blocked.push(channel);
      this.#retry ??= setTimeout(() => this.#unblock(), retryMs);
      return;
    }
    this.#channels.delete(channel.peer);
    this.#handlers.onPeerLost(channel.peer);
  }

  #isTooSlow(channel: Channel): boolean {
    const waiting = channel.wholeBytes + channel.outbox.length;
    if (waiting <= this.#options.maxOutboxBytes) return false;
    if (waiting > this.#options.maxOutboxBytes * hardFactor) return true;
    return performance.now() - channel.lastProgress > stalledMs;
  }

  #unblock(): void {
    this.#retry = undefined;
    const blocked = this.#blocked;
    this.#blocked = [];
    for (const channel of blocked) {
      channel.state = "ready";
      this.#ready.push(channel);
    }
    void this.#flush();
  }

  async #receive(): Promise<void> {
    while (!this.#socket.closed) {
      let frames: Buffer[];
      try {
        frames = await this.#socket.receive();
      } catch (error) {
        if (this.#socket.closed) return;
        throw error;
      }
      this.#onFrames(frames);
    }
  }

  #onFrames(frames: Buffer[]): void {
    const [routingId, first, second] = frames;
    if (routingId === undefined || first === undefined) return;
    const peer = routingId.toString("latin1");
    const isReq = frames.length > 2 && first.byteLength === 0;
    const body = isReq ? second : first;
    this.#handlers.onMessage(
      peer,
      isReq ? "req" : "dealer",
      frames.length === (isReq ? 3 : 2) ? body : undefined,
    );
  }
}
