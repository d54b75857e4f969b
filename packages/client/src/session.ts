// A client's session with a broker: requests that survive a lost connection under their ids, and their answers.
import {
  BrokerMethod,
  BrokerUnavailableError,
  BusyError,
  ClientClosedError,
  defaultLimits,
  type Entry,
  ErrorCode,
  errorFromWire,
  every,
  GenerationalMap,
  isLongerThan,
  Link,
  notification,
  type Params,
  PROTOCOL_VERSION,
  type Request,
  type Response,
  type Runtime,
  request,
  type Timer,
  TooLargeError,
} from "zerotask-core";
import { remaining, withDelay } from "./delayed-text.ts";
import { publishEndpoint } from "./events/announcements.ts";
import type { ResolvedClientOptions } from "./options.ts";

interface Welcome {
  readonly limits: { readonly message_bytes: number; readonly depth?: number };
  readonly durability?: Durability;
  readonly epoch?: string;
  readonly announce?: string;
}

/** How safe an accepted task is: gone with the broker's process, or on its disk. */
export type Durability = "memory" | "disk";

export interface RequestOptions {
  /** @default a new one */
  readonly id?: number;
  /** Whether it also waits while no broker is there, however long. @default false */
  readonly isPatient?: boolean;
  /** Whether it is made again while the broker is too busy to take it. @default false */
  readonly waitsWhenBusy?: boolean;
  /** The `delay_ms` among the options of a submission: it counts from now, whenever the request is sent. */
  readonly delayMs?: number | undefined;
  /** Makes the text that it is sent again with of the one that it was first sent with. @default the same */
  readonly again?: (text: string) => string;
}

/** A request that has no answer yet. */
interface Pending {
  /** As it was when it was made. */
  readonly text: string;
  readonly delayMs: number | undefined;
  readonly again: ((text: string) => string) | undefined;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  /** When it was made. */
  readonly since: number;
  readonly isPatient: boolean;
  readonly waitsWhenBusy: boolean;
}

/** Takes the params of a notification that the broker pushed. */
export type PushHandler = (params: Params | undefined) => void;

/** So many answers, or so many bytes of them, are acknowledged at once, or those of this time: until then the broker keeps them. */
const ackCount = 500;
const ackBytes = 1024 * 1024;
const ackMs = 1_000;

export class Session {
  readonly clientId: string;
  readonly #options: ResolvedClientOptions;
  readonly #pushHandlers = new Map<string, PushHandler>();
  readonly #readyHandlers: (() => void)[] = [];
  readonly #link: Link<Welcome>;
  readonly #token: string;
  readonly #pending = new GenerationalMap<number, Pending>();
  #lastId = 0;
  #isOpen = false;
  #isClosed = false;
  #closing: Promise<void> | undefined;
  #downSince = 0;
  #downReason: Error | undefined;
  #patience: Timer | undefined;
  #maxMessageBytes = defaultLimits.maxMessageBytes;
  #maxDepth = defaultLimits.maxDepth;
  #received = 0;
  #acknowledged = 0;
  #unacknowledgedBytes = 0;
  #ack: Timer | undefined;
  #keepAlive: Timer | undefined;
  #onDrained: (() => void) | undefined;
  readonly #retries = new Set<Timer>();
  #durability: Durability = "memory";
  #epoch: string | undefined;
  #announce: string | undefined;

  constructor(options: ResolvedClientOptions) {
    this.#options = options;
    const { endpoint, dial, runtime } = options;
    this.clientId = runtime.id();
    this.#token = runtime.token();
    this.#link = new Link<Welcome>(
      { endpoint, dial, runtime },
      {
        introduction: () => ({
          method: BrokerMethod.ClientConnect,
          params: { protocol: PROTOCOL_VERSION, client_id: this.clientId, token: this.#token },
        }),
        onReady: (welcome) => this.#onReady(welcome),
        onEntries: (entries, bytes) => this.#onEntries(entries, bytes),
        onDown: (reason) => this.#onDown(reason),
      },
    );
  }

  get runtime(): Runtime {
    return this.#options.runtime;
  }

  get isConnected(): boolean {
    return this.#link.isReady;
  }

  /** How safe the broker can keep what is submitted; known once it has answered anything. */
  get durability(): Durability {
    return this.#durability;
  }

  /** Which run of the broker it is that answers; known once it has. */
  get epoch(): string | undefined {
    return this.#epoch;
  }

  /** Where the broker announces, reached by the way that it is reached itself; known once it has answered. */
  get publishEndpoint(): string | undefined {
    return publishEndpoint(this.#announce, this.#options.endpoint);
  }

  /** The largest and deepest message that the broker takes, as far as that is known. */
  get limits(): { readonly bytes: number; readonly depth: number } {
    return { bytes: this.#maxMessageBytes, depth: this.#maxDepth };
  }

  /** Calls `handler` with what is pushed under this method. */
  onPush(method: string, handler: PushHandler): void {
    this.#pushHandlers.set(method, handler);
  }

  /** Calls `handler` whenever it is connected (again), before everything unanswered is sent again. */
  onReady(handler: () => void): void {
    this.#readyHandlers.push(handler);
  }

  /** Sends a notification now. It is lost where nobody is connected. */
  notify(text: string): void {
    this.#link.send(text);
  }

  /** A number that no other request or task of this session has. */
  nextId(): number {
    return ++this.#lastId;
  }

  /**
   * Sends a request, and again after each reconnection until it is answered.
   * @returns its result, or rejects with the error that was answered, or of a socket that there may not be
   */
  request(method: string, params: Params, options: RequestOptions = {}): Promise<unknown> {
    const { id = this.nextId(), isPatient = false, waitsWhenBusy = false, delayMs, again } = options;
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw new ClientClosedError("The client is closed", ErrorCode.InternalError);
      const text = this.#encode(request(method, params, id));
      this.#open();
      const since = this.runtime.now();
      this.#pending.add(id, { text, delayMs, again, resolve, reject, since, isPatient, waitsWhenBusy });
      if (!this.#link.send(text)) this.#armPatience();
    });
  }

  /** Gives up on a request: its answer will be ignored. */
  abandon(id: number): void {
    this.#pending.delete(id);
  }

  /** Leaves the broker. What is pending rejects, after up to `flushMs` for it to be answered. */
  close(flushMs: number): Promise<void> {
    this.#closing ??= this.#leave(flushMs);
    return this.#closing;
  }

  async #leave(flushMs: number): Promise<void> {
    this.#isClosed = true;
    if (flushMs > 0 && this.#hasImpatient()) await this.#drained(flushMs);
    this.#patience?.cancel();
    this.#ack?.cancel();
    this.#keepAlive?.cancel();
    this.#cancelRetries();
    this.#link.send(JSON.stringify(notification(BrokerMethod.ClientDisconnect, {})));
    this.#link.close();
    this.#rejectAll(() => new ClientClosedError("The client was closed", ErrorCode.InternalError));
  }

  #drained(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.runtime.after(timeoutMs, resolve);
      this.#onDrained = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  /** Whether anything is pending that is answered at once, rather than when a task is settled. */
  #hasImpatient(): boolean {
    for (const [, { isPatient }] of this.#pending) if (!isPatient) return true;
    return false;
  }

  #open(): void {
    if (this.#isOpen) return;
    this.#downSince = this.runtime.now();
    this.#link.open();
    this.#isOpen = true;
  }

  #encode(message: Request): string {
    let text: string;
    try {
      text = JSON.stringify(message);
    } catch (error) {
      const { message: reason } = error as Error;
      throw new TypeError(`Expected params that JSON can hold, got some that it can't: ${reason}`, {
        cause: error,
      });
    }
    const most = this.#maxMessageBytes;
    if (isLongerThan(text, most)) {
      const got = Buffer.byteLength(text);
      throw new TooLargeError(`Expected a request of at most ${most} bytes, got ${got}`, ErrorCode.TooLarge);
    }
    return text;
  }

  #onReady({ limits, durability = "memory", epoch, announce }: Welcome): void {
    this.#durability = durability;
    this.#epoch = epoch;
    this.#announce = announce;
    this.#options.logger.info({ endpoint: this.#options.endpoint }, "connected");
    this.#maxMessageBytes = limits.message_bytes;
    this.#maxDepth = limits.depth ?? defaultLimits.maxDepth;
    this.#received = 0;
    this.#acknowledged = 0;
    this.#patience?.cancel();
    this.#patience = undefined;
    this.#keepAlive?.cancel();
    this.#keepAlive = every(this.runtime, this.#options.keepAliveMs, () => this.#acknowledge());
    // All of it is sent again now.
    this.#cancelRetries();
    const unanswered = [...this.#pending];
    // Tasks that a restarted broker lost are there again before anything asks for them.
    if (!this.#isClosed) for (const onReady of this.#readyHandlers) onReady();
    for (const [, pending] of unanswered) this.#sendAgain(pending);
  }

  #sendAgain({ text, delayMs, again, since }: Pending): void {
    const isDelayed = delayMs !== undefined;
    if (again !== undefined) this.#link.send(again(text));
    else this.#link.send(isDelayed ? withDelay(text, remaining(delayMs, this.runtime.now() - since)) : text);
  }

  #onDown(reason: Error | undefined): void {
    // The first failure of several begins the outage.
    if (this.#patience === undefined) {
      this.#downSince = this.runtime.now();
      const { endpoint, logger } = this.#options;
      logger.warn({ endpoint, reason: reason?.message }, "not connected");
    }
    this.#downReason = reason;
    this.#keepAlive?.cancel();
    this.#armPatience();
  }

  #armPatience(): void {
    if (this.#patience !== undefined || this.#isClosed) return;
    const { connectTimeoutMs } = this.#options;
    const check = (): void => {
      this.#patience = undefined;
      const next = this.#rejectImpatient(this.runtime.now() - connectTimeoutMs);
      if (next !== undefined) this.#patience = this.runtime.after(Math.max(1, next), check);
    };
    this.#patience = this.runtime.after(connectTimeoutMs, check);
  }

  /** Rejects what has waited for a broker since before `time`. Returns in how many ms the next one is due. */
  #rejectImpatient(time: number): number | undefined {
    for (const [id, pending] of this.#pending) {
      if (pending.isPatient) continue;
      const since = Math.max(pending.since, this.#downSince);
      if (since > time) return since - time;
      this.#pending.delete(id);
      pending.reject(this.#unavailable());
    }
    return undefined;
  }

  #unavailable(): BrokerUnavailableError {
    const { endpoint, connectTimeoutMs } = this.#options;
    const why = this.#downReason === undefined ? "" : `: ${this.#downReason.message}`;
    return new BrokerUnavailableError(
      `No broker at ${endpoint} for ${connectTimeoutMs} ms${why}`,
      ErrorCode.InternalError,
      undefined,
      { cause: this.#downReason },
    );
  }

  #rejectAll(makeError: () => Error): void {
    const pending = [...this.#pending];
    this.#pending.clear();
    for (const [, { reject }] of pending) reject(makeError());
  }

  #onEntries(entries: readonly Entry[], bytes: number): void {
    this.#unacknowledgedBytes += bytes;
    for (const entry of entries) {
      if (entry.kind === "response") this.#onResponse(entry.response);
      else if (entry.kind === "request") {
        this.#pushHandlers.get(entry.request.method)?.(entry.request.params);
      }
    }
    const isDue = this.#received - this.#acknowledged >= ackCount || this.#unacknowledgedBytes >= ackBytes;
    if (isDue) this.#acknowledge();
    else if (this.#received > this.#acknowledged)
      this.#ack ??= this.runtime.after(ackMs, () => this.#acknowledge());
  }

  #onResponse(response: Response): void {
    this.#received++;
    const id = response.id as number;
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    if ("error" in response) {
      const error = errorFromWire(response.error);
      if (pending.waitsWhenBusy && error instanceof BusyError) {
        this.#tryLater(id, pending, error);
        return;
      }
      this.#pending.delete(id);
      pending.reject(error);
    } else {
      this.#pending.delete(id);
      pending.resolve(response.result);
    }
    if (this.#onDrained !== undefined && !this.#hasImpatient()) this.#onDrained();
  }

  #cancelRetries(): void {
    for (const retry of this.#retries) retry.cancel();
    this.#retries.clear();
  }

  /** Makes a request again that the broker had no room for. With jitter: others were told the same. */
  #tryLater(id: number, pending: Pending, { retryAfterMs }: BusyError): void {
    const wait = retryAfterMs * (0.5 + this.runtime.random());
    const retry = this.runtime.after(wait, () => {
      this.#retries.delete(retry);
      if (this.#pending.get(id) === pending) this.#sendAgain(pending);
    });
    this.#retries.add(retry);
  }

  /** The broker keeps answers until it knows that they arrived. */
  #acknowledge(): void {
    this.#ack?.cancel();
    this.#ack = undefined;
    this.#acknowledged = this.#received;
    this.#unacknowledgedBytes = 0;
    this.#link.send(JSON.stringify(notification(BrokerMethod.ClientAck, { received: this.#received })));
  }
}
