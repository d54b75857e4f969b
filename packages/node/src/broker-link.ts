// The node's side of one connection: introduces it, passes on what is assigned, and keeps answers for a lost broker.
import {
  BrokerMethod,
  type Dial,
  defaultLimits,
  type Entry,
  ErrorCode,
  errorFromWire,
  errorObject,
  errorToWire,
  every,
  failure,
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
  request,
  success,
  TaskStatus,
  type Timer,
  traitsToWire,
  ZeroTaskError,
} from "zerotask-core";
import { answerWithin } from "./answer-size.ts";
import type { PoolRoom } from "./executors/executors.ts";
import type { LocalRequest } from "./local-tasks.ts";
import { Untold } from "./untold.ts";

interface Welcome {
  readonly limits: { readonly message_bytes: number; readonly depth?: number };
  readonly heartbeat_ms: number;
  readonly abort: readonly string[];
}

export interface BrokerLinkOptions {
  /** Its id at the broker. */
  readonly id: string;
  /** The same, where it was given: another node may have it. */
  readonly name: string | undefined;
  readonly endpoint: string;
  readonly slots: number;
  readonly dial: Dial;
  readonly logger: Logger;
  readonly runtime: Runtime;
  readonly methods: () => readonly MethodDescription[];
  /** Slots of their own that some of them have. */
  readonly rooms: () => readonly PoolRoom[];
}

export interface BrokerLinkHandlers {
  /** The attempts that run now. */
  running(): readonly string[];
  /** @param id `<task_id>#<attempt>` */
  onAssigned(id: string, request: Request): void;
  onAborted(id: string): void;
  /** The broker does not know this attempt, or has it elsewhere by now. */
  onForgotten(id: string): void;
  /** The attempt is to end within `graceMs`, and its answer to say how it did; `again`: its task goes on. */
  onStop(id: string, graceMs: number, again: boolean): void;
  /** Something of a stream was pushed. */
  onStream(method: string, params: Params | undefined): void;
  /** Which instance of a singleton is meant. May throw. */
  nameInstance(method: string, params: Params | undefined): string;
  onWelcome(): void;
  onLost(): void;
  /** Another node has had its name for longer than a lost one is noticed in. The link goes on trying. */
  onNameTaken(): void;
  /** Whether nothing is left to do at this broker; or why it can't tell. */
  onEmpty(answer: boolean | Error): void;
}

function describeMethod({ name, params, ...options }: MethodDescription): object {
  return { name, ...(params !== undefined && { params }), ...traitsToWire(options) };
}

/** No more is told to a broker of what runs while this much could not be sent to it, in UTF-16 units. */
const maxUnsent = 4 * 1024 * 1024;
/** A name's owner that was killed may be there for so long. */
const namePatienceMs = 3_000;

export class BrokerLink {
  readonly #options: BrokerLinkOptions;
  readonly #handlers: BrokerLinkHandlers;
  readonly #link: Link<Welcome>;
  readonly #token: string;
  /** Answers that came when there was no broker to take them. */
  readonly #unsent = new Map<string, string>();
  /** Reports that came meanwhile. */
  readonly #untold = new Untold();
  #heartbeat: Timer | undefined;
  /** An outage is told of once, not at every attempt to end it. */
  #isDown = false;
  /** Whether any broker has known it by its name: from then on it never gives up. */
  #wasWelcomed = false;
  #refusedSince: number | undefined;
  #emptyQuestions = 0;
  #maxMessageBytes = defaultLimits.maxMessageBytes;
  #maxDepth = defaultLimits.maxDepth;

  constructor(options: BrokerLinkOptions, handlers: BrokerLinkHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    const { endpoint, dial, runtime } = options;
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

  get isReady(): boolean {
    return this.#link.isReady;
  }

  /** The largest and deepest message that the broker takes, as far as that is known. */
  get limits(): { readonly bytes: number; readonly depth: number } {
    return { bytes: this.#maxMessageBytes, depth: this.#maxDepth };
  }

  open(): void {
    this.#link.open();
  }

  /** Sends a text now. It is lost where the broker is away. */
  send(text: string): void {
    this.#link.send(text);
  }

  /** Sends the answer to an attempt, now or when the broker is back and still wants it. */
  answer(id: string, text: string): void {
    const sendable = answerWithin(id, text, this.#maxMessageBytes);
    if (!this.#link.send(sendable)) this.#unsent.set(id, sendable);
  }

  /** A task that this node runs for itself. */
  runLocal(request: LocalRequest): void {
    this.#notify(BrokerMethod.NodeRunLocal, { ...request });
  }

  /** @param room whose slots are meant, where they are not the node's own */
  fetch(capacity: number, room?: string): void {
    this.#notify(BrokerMethod.NodeFetch, room === undefined ? { capacity } : { capacity, room });
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

  /** Asks whether nothing is left to do; only the last question's answer is passed on. */
  askEmpty(wait: boolean): void {
    const id = emptyId(++this.#emptyQuestions);
    this.#link.send(JSON.stringify(request(BrokerMethod.NodeEmpty, { wait }, id)));
  }

  /** Leaves, so that the broker gives what is left to others at once. */
  close(): void {
    this.#heartbeat?.cancel();
    this.#notify(BrokerMethod.NodeDisconnect, {});
    this.#link.close();
  }

  /** The broker takes less than there is to tell it. */
  get isBehind(): boolean {
    return this.#link.unsent > maxUnsent;
  }

  /**
   * Tells something of a run, now or when the broker is back. Of what can't be told for long, the latest is kept.
   * @returns false where it is dropped, as the broker is behind; not if it `isDue`
   */
  report(method: string, params: { readonly [name: string]: unknown }, isDue: boolean): boolean {
    if (this.isBehind && !isDue) return false;
    const text = JSON.stringify(notification(method, params));
    if (!this.#link.send(text)) this.#untold.add(text);
    return true;
  }

  #notify(method: string, params: { readonly [name: string]: unknown }): void {
    this.#link.send(JSON.stringify(notification(method, params)));
  }

  #introduction(): { method: string; params: { [name: string]: unknown } } {
    const { slots, methods } = this.#options;
    const rooms = this.#options.rooms();
    return {
      method: BrokerMethod.NodeConnect,
      params: {
        protocol: PROTOCOL_VERSION,
        node_id: this.#options.id,
        token: this.#token,
        methods: methods().map(describeMethod),
        slots,
        running: [...this.#handlers.running(), ...this.#unsent.keys()],
        ...(rooms.length > 0 && { rooms }),
      },
    };
  }

  #onReady({ heartbeat_ms, abort, limits }: Welcome): void {
    this.#maxMessageBytes = limits.message_bytes;
    this.#maxDepth = limits.depth ?? defaultLimits.maxDepth;
    const { logger, endpoint, runtime } = this.#options;
    logger.info({ endpoint }, "connected");
    this.#isDown = false;
    this.#wasWelcomed = true;
    this.#heartbeat?.cancel();
    this.#heartbeat = every(runtime, heartbeat_ms, () => this.#notify(BrokerMethod.NodeHeartbeat, {}));
    for (const id of abort) {
      this.#unsent.delete(id);
      this.#handlers.onForgotten(id);
    }
    for (const text of this.#untold.take()) this.#link.send(text);
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
    if (isRefusal(reason)) this.#onRefused();
  }

  #onRefused(): void {
    const { name, runtime } = this.#options;
    if (name === undefined || this.#wasWelcomed) return;
    this.#refusedSince ??= runtime.now();
    if (runtime.now() - this.#refusedSince >= namePatienceMs) this.#handlers.onNameTaken();
  }

  /** Of all that the node asks, only this is answered with a response that matters. */
  #onResponse(response: Response): void {
    if (response.id !== emptyId(this.#emptyQuestions)) return;
    if ("error" in response) this.#handlers.onEmpty(errorFromWire(response.error));
    else this.#handlers.onEmpty((response.result as { empty: boolean }).empty);
  }

  #onEntries(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.kind === "response") this.#onResponse(entry.response);
      if (entry.kind !== "request") continue;
      const { request: asked } = entry;
      if (asked.method === Push.NameInstance) this.#nameInstance(asked);
      else if (typeof asked.id === "string") {
        this.#handlers.onAssigned(asked.id, asked);
      } else if (asked.method === Push.TaskAbort) {
        const { id } = asked.params as { id: string };
        this.#handlers.onAborted(id);
      } else if (asked.method === Push.TaskStop) {
        const { id, grace_ms, again } = asked.params as { id: string; grace_ms: number; again?: boolean };
        this.#handlers.onStop(id, grace_ms, again === true);
      } else if (asked.method === Push.StreamGrant || asked.method === Push.StreamInput) {
        this.#handlers.onStream(asked.method, asked.params);
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
    this.#link.send(answerWithin(id, JSON.stringify(answer), this.#maxMessageBytes));
  }
}

function emptyId(question: number): string {
  return `empty:${question}`;
}

/** The id belongs to another session. */
function isRefusal(reason: Error | undefined): boolean {
  return reason instanceof ZeroTaskError && reason.code === ErrorCode.InvalidNodeId;
}
