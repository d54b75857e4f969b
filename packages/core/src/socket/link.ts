// Keeps one introduced connection to a broker: dials, introduces itself first, and dials again when it is lost.
import { errorFromWire } from "../errors.ts";
import { decode, type Entry } from "../protocol/decode.ts";
import { ErrorCode } from "../protocol/error-codes.ts";
import { trustingLimits } from "../protocol/limits.ts";
import { type Request, type Response, request } from "../protocol/messages.ts";
import type { Runtime, Timer } from "../runtime.ts";
import type { Connection, ConnectionHandlers, Dial } from "./connection.ts";
import { SocketsForbiddenError } from "./forbidden.ts";

export interface LinkOptions {
  readonly endpoint: string;
  readonly dial: Dial;
  readonly runtime: Runtime;
}

export interface LinkHandlers<Welcome> {
  /** The first message on every connection. Nothing else is sent before it is answered. */
  introduction(): Pick<Request, "method" | "params">;
  /** The broker answered the introduction: `send` works from here on, until `onDown`. */
  onReady(welcome: Welcome): void;
  /** What came in one message of `bytes`. */
  onEntries(entries: readonly Entry[], bytes: number): void;
  /** Not connected any more, or the attempt failed. The link goes on trying. */
  onDown(reason: Error | undefined): void;
}

const introductionId = "introduction";
const introductionTimeoutMs = 3_000;
const minBackoffMs = 20;
const maxBackoffMs = 1_000;

export class Link<Welcome> {
  readonly #options: LinkOptions;
  readonly #handlers: LinkHandlers<Welcome>;
  #connection: Connection | undefined;
  #ready = false;
  #closed = false;
  #failures = 0;
  #timer: Timer | undefined;

  constructor(options: LinkOptions, handlers: LinkHandlers<Welcome>) {
    this.#options = options;
    this.#handlers = handlers;
  }

  get isReady(): boolean {
    return this.#ready;
  }

  /** How much could not be sent yet, in UTF-16 units. */
  get unsent(): number {
    return this.#connection?.unsent ?? 0;
  }

  /** Dials now. @throws SocketsForbiddenError where there may be no sockets */
  open(): void {
    if (this.#closed || this.#connection !== undefined) return;
    const connection: Connection | undefined = this.#tryToDial({
      onMessage: (bytes) => {
        if (this.#connection === connection) this.#onMessage(bytes);
      },
      onLost: () => {
        if (this.#connection === connection) this.#redial(undefined);
      },
    });
    if (connection === undefined) return;
    this.#connection = connection;
    const { method, params } = this.#handlers.introduction();
    connection.send(JSON.stringify(request(method, params, introductionId)));
    this.#timer = this.#options.runtime.after(introductionTimeoutMs, () => this.#redial(undefined));
  }

  /** What ZeroMQ itself refuses, such as a host that is no host, is an outage like any other. */
  #tryToDial(handlers: ConnectionHandlers): Connection | undefined {
    const { endpoint, dial } = this.#options;
    try {
      return dial(endpoint, handlers);
    } catch (error) {
      if (error instanceof SocketsForbiddenError) throw error;
      this.#redial(error as Error);
      return undefined;
    }
  }

  /** Sends one JSON text. @returns false when there is no introduced connection: nothing was sent */
  send(text: string): boolean {
    if (!this.#ready || this.#connection === undefined) return false;
    this.#connection.send(text);
    return true;
  }

  close(): void {
    this.#closed = true;
    this.#ready = false;
    this.#timer?.cancel();
    this.#connection?.close();
    this.#connection = undefined;
  }

  #onMessage(bytes: Uint8Array): void {
    const { entries } = decode(bytes, trustingLimits);
    if (this.#ready) {
      if (entries.some(isSessionGone)) this.#redial(undefined);
      else this.#handlers.onEntries(entries, bytes.byteLength);
      return;
    }
    const index = entries.findIndex(isWelcome);
    const welcome = entries[index];
    if (welcome?.kind !== "response") return;
    this.#onWelcome(welcome.response);
    // What came with it is of the new session already.
    const rest = entries.slice(index + 1);
    if (this.#ready && rest.length > 0) this.#handlers.onEntries(rest, bytes.byteLength);
  }

  #onWelcome(response: Response): void {
    if ("error" in response) {
      this.#redial(errorFromWire(response.error));
      return;
    }
    this.#timer?.cancel();
    this.#ready = true;
    this.#failures = 0;
    const { limits } = response.result as { limits?: { batch: number; message_bytes: number } };
    if (limits !== undefined) this.#connection?.limit({ entries: limits.batch, bytes: limits.message_bytes });
    this.#handlers.onReady(response.result as Welcome);
  }

  #redial(reason: Error | undefined): void {
    this.#timer?.cancel();
    this.#connection?.close();
    this.#connection = undefined;
    this.#ready = false;
    if (this.#closed) return;
    const ceiling = Math.min(maxBackoffMs, minBackoffMs * 2 ** this.#failures++);
    // Full jitter: peers that lost the same broker must not come back in step.
    const { runtime } = this.#options;
    this.#timer = runtime.after(minBackoffMs + runtime.random() * ceiling, () => this.open());
    this.#handlers.onDown(reason);
  }
}

function isWelcome(entry: Entry): boolean {
  return entry.kind === "response" && entry.response.id === introductionId;
}

/** The broker forgot this session, for being too slow or gone too long. */
function isSessionGone(entry: Entry): boolean {
  if (entry.kind !== "response" || entry.response.id !== null || !("error" in entry.response)) return false;
  const { code } = entry.response.error;
  return code === ErrorCode.InvalidClientId || code === ErrorCode.InvalidNodeId;
}
