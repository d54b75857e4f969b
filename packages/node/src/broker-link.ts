// The node's side of one connection: introduces it, passes on what is assigned, and keeps answers for a lost broker.
import {
  BrokerMethod,
  type Dial,
  defaultLimits,
  type Entry,
  ErrorCode,
  errorObject,
  errorToWire,
  every,
  failure,
  isLongerThan,
  Link,
  type Logger,
  type MethodDescription,
  MethodNotFoundError,
  notification,
  type Params,
  PROTOCOL_VERSION,
  Push,
  type Request,
  type Response,
  type Runtime,
  success,
  TaskStatus,
  type Timer,
  traitsToWire,
} from "zerotask-core";

import type { LocalRequest } from "./local-tasks.ts";

interface Welcome {
  readonly limits: { readonly message_bytes: number };
  readonly heartbeat_ms: number;
  readonly abort: readonly string[];
}

export interface BrokerLinkOptions {
  readonly endpoint: string;
  readonly slots: number;
  readonly dial: Dial;
  readonly logger: Logger;
  readonly runtime: Runtime;
  readonly methods: () => readonly MethodDescription[];
}

export interface BrokerLinkHandlers {
  /** The attempts that run now. */
  running(): readonly string[];
  /** @param id `<task_id>#<attempt>` */
  onAssigned(id: string, request: Request): void;
  onAborted(id: string): void;
  /** The broker does not know this attempt, or has it elsewhere by now. */
  onForgotten(id: string): void;
  /** The attempt is to end within `graceMs`, and its answer to say how it did. */
  onStop(id: string, graceMs: number): void;
  /** Which instance of a singleton is meant. May throw. */
  nameInstance(method: string, params: Params | undefined): string;
  onWelcome(): void;
  onLost(): void;
}

function describeMethod({ name, params, ...options }: MethodDescription): object {
  return { name, ...(params !== undefined && { params }), ...traitsToWire(options) };
}

/** How many reports wait for a broker that is away. */
const maxUntold = 1_000;

export class BrokerLink {
  readonly #options: BrokerLinkOptions;
  readonly #handlers: BrokerLinkHandlers;
  readonly #link: Link<Welcome>;
  readonly #id: string;
  readonly #token: string;
  /** Answers that came when there was no broker to take them. */
  readonly #unsent = new Map<string, string>();
  /** Reports that came meanwhile. */
  #untold: string[] = [];
  #heartbeat: Timer | undefined;
  /** An outage is told of once, not at every attempt to end it. */
  #isDown = false;
  #maxMessageBytes = defaultLimits.maxMessageBytes;

  constructor(options: BrokerLinkOptions, handlers: BrokerLinkHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    const { endpoint, dial, runtime } = options;
    this.#id = runtime.id();
    this.#token = runtime.token();
    this.#link = new Link<Welcome>(
      { endpoint, dial, runtime },
      {
        introduction: () => this.#introduction(),
        onReady: (welcome) => this.#onReady(welcome),
        onEntries: (entries) => this.#onEntries(entries),
        onDown: (reason) => this.#onDown(reason),
      },
    );
  }

  get endpoint(): string {
    return this.#options.endpoint;
  }

  open(): void {
    this.#link.open();
  }

  /** Sends the answer to an attempt, now or when the broker is back and still wants it. */
  answer(id: string, text: string): void {
    const sendable = this.#sendable(id, text);
    if (!this.#link.send(sendable)) this.#unsent.set(id, sendable);
  }

  /** A task that this node runs for itself. */
  runLocal(request: LocalRequest): void {
    this.#notify(BrokerMethod.NodeRunLocal, { ...request });
  }

  fetch(capacity: number): void {
    this.#notify(BrokerMethod.NodeFetch, { capacity });
  }

  reportRunning(id: string): void {
    this.#notify(BrokerMethod.NodeTaskStatus, { task_id: id, status: TaskStatus.Running });
  }

  /** An attempt that is to be stopped goes on: its handler can't be ended by force. */
  reportUnstoppable(id: string): void {
    this.#notify(BrokerMethod.NodeTaskUnstoppable, { task_id: id });
  }

  handBack(id: string): void {
    this.#notify(BrokerMethod.NodeTaskStatus, { task_id: id, status: TaskStatus.Queued });
  }

  /** Leaves, so that the broker gives what is left to others at once. */
  close(): void {
    this.#heartbeat?.cancel();
    this.#notify(BrokerMethod.NodeDisconnect, {});
    this.#link.close();
  }

  #sendable(id: string, text: string): string {
    if (!isLongerThan(text, this.#maxMessageBytes)) return text;
    const expected = `Expected a result of at most ${this.#maxMessageBytes} bytes`;
    const message = `${expected}, got ${Buffer.byteLength(text)}`;
    return JSON.stringify(failure(id, errorObject(ErrorCode.TooLarge, message)));
  }

  /** Tells something of a run, now or when the broker is back. Of what can't be told for long, the latest is kept. */
  report(method: string, params: { readonly [name: string]: unknown }): void {
    const text = JSON.stringify(notification(method, params));
    if (this.#link.send(text)) return;
    this.#untold.push(text);
    if (this.#untold.length > maxUntold) this.#untold.shift();
  }

  #notify(method: string, params: { readonly [name: string]: unknown }): void {
    this.#link.send(JSON.stringify(notification(method, params)));
  }

  #introduction(): { method: string; params: { [name: string]: unknown } } {
    const { slots, methods } = this.#options;
    return {
      method: BrokerMethod.NodeConnect,
      params: {
        protocol: PROTOCOL_VERSION,
        node_id: this.#id,
        token: this.#token,
        methods: methods().map(describeMethod),
        slots,
        running: [...this.#handlers.running(), ...this.#unsent.keys()],
      },
    };
  }

  #onReady({ heartbeat_ms, abort, limits }: Welcome): void {
    this.#maxMessageBytes = limits.message_bytes;
    const { logger, endpoint, runtime } = this.#options;
    logger.info({ endpoint }, "connected");
    this.#isDown = false;
    this.#heartbeat?.cancel();
    this.#heartbeat = every(runtime, heartbeat_ms, () => this.#notify(BrokerMethod.NodeHeartbeat, {}));
    for (const id of abort) {
      this.#unsent.delete(id);
      this.#handlers.onForgotten(id);
    }
    for (const text of this.#untold) this.#link.send(text);
    this.#untold = [];
    for (const text of this.#unsent.values()) this.#link.send(text);
    this.#unsent.clear();
    this.#handlers.onWelcome();
  }

  #onDown(reason: Error | undefined): void {
    const { logger, endpoint } = this.#options;
    this.#heartbeat?.cancel();
    if (!this.#isDown) logger.warn({ endpoint, reason: reason?.message }, "not connected");
    this.#isDown = true;
    this.#handlers.onLost();
  }

  #onEntries(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.kind !== "request") continue;
      const { request } = entry;
      if (request.method === Push.NameInstance) this.#nameInstance(request);
      else if (typeof request.id === "string") {
        this.#handlers.onAssigned(request.id, request);
      } else if (request.method === Push.TaskAbort) {
        const { id } = request.params as { id: string };
        this.#handlers.onAborted(id);
      } else if (request.method === Push.TaskStop) {
        const { id, grace_ms } = request.params as { id: string; grace_ms: number };
        this.#handlers.onStop(id, grace_ms);
      }
    }
  }

  /** Answers at once. A broker that is lost meanwhile asks somebody else, or again. */
  #nameInstance({ id, params }: Request): void {
    if (typeof id !== "string") return;
    const { method, params: given } = params as { method: string; params?: Params };
    let answer: Response;
    try {
      answer = success(id, { name: this.#handlers.nameInstance(method, given) });
    } catch (error) {
      const isUnknown = error instanceof MethodNotFoundError;
      answer = failure(id, isUnknown ? errorObject(error.code, error.message) : errorToWire(error));
    }
    this.#link.send(this.#sendable(id, JSON.stringify(answer)));
  }
}
