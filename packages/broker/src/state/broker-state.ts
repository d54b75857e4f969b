// The broker as a pure state machine: `handle(event, now)` returns what is to be done.
import {
  Announcement,
  BrokerMethod,
  Deadlines,
  type Entry,
  ErrorCode,
  errorObject,
  failure,
  invalidRequest,
  isBrokerTask,
  isReservedMethod,
  type MethodDescription,
  notification,
  type Outcome,
  openRpcDocument,
  Push,
  type Request,
  type RequestId,
  respond,
  TaskStatus,
} from "zerotask-core";
import { type Addressee, nobody, ReplyGroup } from "./addressee.ts";
import { ClientCommands } from "./client-commands.ts";
import { type Command, type CommandHandler, ParamReader, Refusal } from "./command.ts";
import type { BrokerConfig } from "./config.ts";
import type { Due } from "./due.ts";
import type { Effect } from "./effect.ts";
import type { BrokerEvent } from "./event.ts";
import { NodeCommands } from "./node-commands.ts";
import { Scheduler } from "./scheduler.ts";
import { type Session, Sessions } from "./sessions.ts";
import { TaskLife } from "./task-life.ts";
import { TaskTable } from "./task-table.ts";
import { LOCAL_PEER, Turn } from "./turn.ts";

type MessageEvent = Extract<BrokerEvent, { type: "message" }>;

interface RegisteredCommand {
  readonly names: readonly string[];
  readonly handler: CommandHandler;
}

/** Subscribers that connected late, or lost a message, learn of this broker within this time. */
const helloMs = 5_000;

export class BrokerState {
  readonly #config: BrokerConfig;
  readonly #turn = new Turn();
  readonly #deadlines = new Deadlines<Due>();
  readonly #sessions: Sessions;
  readonly #tasks: TaskTable;
  readonly #scheduler: Scheduler;
  readonly #life: TaskLife;
  readonly #clientCommands: ClientCommands;
  readonly #nodeCommands: NodeCommands;
  readonly #commands = new Map<string, RegisteredCommand>();
  #nextSweep = 0;
  #nextHello = 0;
  #hellos = 0;
  #wakeAt = Number.POSITIVE_INFINITY;

  constructor(config: BrokerConfig) {
    this.#config = config;
    this.#sessions = new Sessions(this.#turn, config.newId, config.newToken);
    this.#tasks = new TaskTable(config);
    this.#scheduler = new Scheduler(this.#turn, this.#deadlines, {
      graceMs: config.graceMs,
      local: this.#sessions.local,
    });
    this.#life = new TaskLife(this.#turn, this.#tasks, this.#scheduler, config);
    const parts = {
      turn: this.#turn,
      config,
      sessions: this.#sessions,
      tasks: this.#tasks,
      life: this.#life,
      deadlines: this.#deadlines,
      scheduler: this.#scheduler,
    };
    this.#clientCommands = new ClientCommands(parts);
    this.#nodeCommands = new NodeCommands(parts);
    for (const [method, names, handler] of [...this.#clientCommands.table(), ...this.#nodeCommands.table()]) {
      this.#commands.set(method, { names, handler });
    }
    this.#commands.set(BrokerMethod.Discover, { names: [], handler: () => this.#discover() });
  }

  /** How much the broker holds, for tests and monitoring. */
  get counts(): { readonly tasks: number; readonly unsettled: number; readonly sessions: number } {
    return { tasks: this.#tasks.size, unsettled: this.#life.unsettled, sessions: this.#sessions.count };
  }

  /**
   * Takes one event at the time `now` (milliseconds; it must not go backwards), and returns the effects
   * to be performed in order.
   */
  handle(event: BrokerEvent, now: number): Effect[] {
    this.#turn.begin(now);
    this.#perform(event);
    this.#doDue();
    this.#scheduler.fillRoom();
    this.#wake();
    return this.#turn.end();
  }

  #perform(event: BrokerEvent): void {
    switch (event.type) {
      case "message":
        this.#onMessage(event);
        break;
      case "peer-lost":
        this.#onPeerLost(event.peer);
        break;
      case "peer-slow":
        this.#onPeerSlow(event.peer);
        break;
      case "disconnect":
        this.#pingNodes();
        break;
      case "tick":
        this.#wakeAt = Number.POSITIVE_INFINITY;
        break;
    }
  }

  #onMessage(event: MessageEvent): void {
    const { peer, shape, mayHaveSession, message, bytes } = event;
    const session = mayHaveSession ? this.#sessions.on(peer) : undefined;
    if (session === undefined && this.#refusedAsRetired(event)) return;
    const group = session === undefined ? new ReplyGroup(this.#turn, peer, shape, message.batch) : undefined;
    if (session !== undefined) session.lastSeen = this.#turn.now;
    const each = Math.ceil(bytes / message.entries.length);
    const from = { peer, session, mayHaveSession, bytes: each };
    for (const entry of message.entries) {
      if (entry.kind === "response" && session !== undefined) {
        if (session.kind === "node") this.#nodeCommands.answer(session, entry.response, each);
      } else if (entry.kind === "request") {
        const { request } = entry;
        const isNotification = request.id === undefined;
        if (!isNotification) group?.expect();
        const addressee = isNotification ? nobody : (group ?? session ?? nobody);
        this.#onRequest(request, addressee, from);
      } else if (!this.#settledByInvalid(entry, session, each)) {
        group?.expect();
        (group ?? session)?.deliver(refusalOf(entry));
      }
    }
    group?.seal();
  }

  /** An answer to a task that is no valid response still ends the task: nobody is left waiting. */
  #settledByInvalid(entry: Entry, session: Session | undefined, bytes: number): boolean {
    if (entry.kind !== "invalid" || session?.kind !== "node") return false;
    return this.#nodeCommands.answer(session, entry.answer, bytes);
  }

  #onRequest(
    request: Request,
    addressee: Addressee,
    from: Pick<Command, "peer" | "session" | "mayHaveSession" | "bytes">,
  ): void {
    const id = request.id ?? null;
    if (isReservedMethod(request.method)) {
      const outcome = this.#command(request, { ...from, addressee, requestId: id, params: request.params });
      if (outcome !== undefined) addressee.deliver(respond(id, outcome));
      return;
    }
    if (from.session?.kind === "client" && id !== null) this.#call(request, id, from.session);
    else this.#anonymousCall(request, id, addressee);
  }

  /** The broker's own methods. `undefined` when the response comes later. */
  #command(request: Request, command: Command): Outcome | undefined {
    const known = this.#commands.get(request.method);
    if (known === undefined) return methodNotFound(request.method);
    try {
      return known.handler(command, new ParamReader(command.params, known.names));
    } catch (error) {
      if (error instanceof Refusal) return error.error;
      return { error: errorObject(ErrorCode.InternalError, `Internal error: ${String(error)}`) };
    }
  }

  /** A call of a session. The same id is the same task, however often it is sent. */
  #call(request: Request, requestId: RequestId, owner: Extract<Session, { kind: "client" }>): void {
    const id = `${owner.id}-${keyOf(requestId)}`;
    const known = this.#tasks.getFor(owner, id);
    if (known !== undefined) {
      if (known.owner !== owner || known.retention !== "replay") {
        owner.deliver(
          failure(
            requestId,
            errorObject(ErrorCode.InvalidTaskId, `The task ${id} is no call of this session`),
          ),
        );
        return;
      }
      known.requestId = requestId;
      this.#life.answer(known);
      return;
    }
    if (this.#isBusy(owner, requestId)) return;
    const { method, params } = request;
    this.#life.submit(
      {
        id,
        owner,
        params,
        retention: "replay",
        addressee: owner,
        requestId,
        notify: false,
        isSubmitted: false,
      },
      method,
    );
  }

  /** A call of a peer without a session, whose ids mean nothing to others; or a notification. */
  #anonymousCall(request: Request, requestId: RequestId, addressee: Addressee): void {
    if (this.#isBusy(addressee, requestId)) return;
    const owner = this.#sessions.anonymous;
    const id = `${owner.id}-${this.#life.nextNumber()}`;
    const { method, params } = request;
    this.#life.submit(
      { id, owner, params, retention: "none", addressee, requestId, notify: false, isSubmitted: false },
      method,
    );
  }

  #isBusy(addressee: Addressee, requestId: RequestId): boolean {
    const { maxTasks } = this.#config;
    if (this.#life.unsettled < maxTasks) return false;
    const message = `The broker holds as many tasks as it may: ${maxTasks}`;
    addressee.deliver(failure(requestId, errorObject(ErrorCode.Busy, message, { retry_after_ms: 1_000 })));
    return true;
  }

  #discover(): Outcome {
    const methods = new Map<string, MethodDescription>();
    for (const description of this.#config.brokerTasks()) {
      if (isBrokerTask(description.name)) methods.set(description.name, description);
    }
    for (const node of this.#sessions.nodes.values()) {
      for (const description of node.descriptions) methods.set(description.name, description);
    }
    return { result: openRpcDocument(methods.values(), this.#config.version) };
  }

  #onPeerLost(peer: string): void {
    const session = this.#sessions.on(peer);
    if (session?.kind === "node" && peer !== LOCAL_PEER) this.#nodeCommands.lose(session);
    else if (session?.kind === "client") this.#sessions.detach(session, this.#turn.now);
  }

  /** A ROUTER can't hang up on one peer: its session is forgotten, and its next message answered with an error. */
  #onPeerSlow(peer: string): void {
    const session = this.#sessions.on(peer);
    if (session?.kind === "client") this.#clientCommands.forget(session);
    else if (session?.kind === "node") this.#nodeCommands.lose(session);
    const isNode = session?.kind === "node";
    this.#sessions.retire(peer, isNode ? ErrorCode.InvalidNodeId : ErrorCode.InvalidClientId);
  }

  #refusedAsRetired({ peer, shape, message }: MessageEvent): boolean {
    const code = this.#sessions.retiredCode(peer);
    if (code === undefined || message.entries.some(isIntroduction)) return false;
    const error = errorObject(
      code,
      "This connection's session is over. Connect again, and introduce yourself",
    );
    this.#turn.emit({ type: "reply", peer, shape, message: failure(null, error) });
    return true;
  }

  #doDue(): void {
    const { now } = this.#turn;
    for (let due = this.#deadlines.take(now); due !== undefined; due = this.#deadlines.take(now)) {
      if (due.type === "waited") this.#life.giveUp(due.task, due.waiter);
      else this.#onUnserved(due);
    }
    if (this.#nextSweep <= now) this.#sweep(now);
  }

  #onUnserved({ task }: Extract<Due, { type: "unserved" }>): void {
    if (task.status !== TaskStatus.Queued || !this.#scheduler.endGrace(task)) return;
    this.#life.settle(task, TaskStatus.Failed, methodNotFound(task.method.name), 0);
  }

  /** What is looked after at intervals: nodes, sessions and records. */
  #sweep(now: number): void {
    const { heartbeatMs, leaseMs, stalledMs, sessionTtlMs, resultTtlMs, replayMs } = this.#config;
    this.#nextSweep = now + heartbeatMs;
    this.#pingNodes();
    for (const node of this.#sessions.nodes.values()) {
      const patience = node.token === undefined ? leaseMs : stalledMs;
      if (node.lastSeen + patience <= now) this.#nodeCommands.lose(node);
    }
    for (const client of this.#sessions.clients.values()) {
      this.#life.expireAnswers(client, now - replayMs);
      const ttl = client.token === undefined ? resultTtlMs : sessionTtlMs;
      if (client.lastSeen + ttl > now) continue;
      if (client.peer === undefined) {
        this.#clientCommands.forget(client);
      } else {
        // Once each `sessionTtlMs` of silence.
        client.lastSeen = now;
        this.#turn.send(client.peer, notification(Push.Ping));
      }
    }
    this.#tasks.expire(now);
    if (this.#nextHello > now) return;
    this.#nextHello = now + helloMs;
    this.#turn.announce(Announcement.Hello, { epoch: this.#config.epoch, seq: ++this.#hellos });
  }

  /** Sending is how a ROUTER learns that a peer is gone. */
  #pingNodes(): void {
    for (const { peer } of this.#sessions.nodes.values()) {
      if (peer !== undefined) this.#turn.send(peer, notification(Push.Ping));
    }
  }

  #wake(): void {
    const at = Math.min(this.#deadlines.next ?? Number.POSITIVE_INFINITY, this.#nextSweep);
    if (at >= this.#wakeAt) return;
    this.#wakeAt = at;
    this.#turn.emit({ type: "wake", at });
  }
}

/** The ids 1 and "1" are two requests: a string that could be a number is quoted. */
function keyOf(requestId: RequestId): string {
  const isAmbiguous =
    typeof requestId === "string" && requestId.trim() !== "" && !Number.isNaN(Number(requestId));
  return isAmbiguous ? JSON.stringify(requestId) : String(requestId);
}

function isIntroduction(entry: Entry): boolean {
  if (entry.kind !== "request") return false;
  const { method } = entry.request;
  return method === BrokerMethod.ClientConnect || method === BrokerMethod.NodeConnect;
}

function methodNotFound(method: string): Outcome {
  return { error: errorObject(ErrorCode.MethodNotFound, `Method not found: ${method}`, { method }) };
}

/** A response from a peer that was asked nothing is no valid request either. */
function refusalOf(entry: Exclude<Entry, { kind: "request" }>): ReturnType<typeof failure> {
  return entry.kind === "invalid"
    ? entry.answer
    : failure(null, invalidRequest('Expected a member "method"'));
}
