// The broker as a pure state machine: `handle(event, now)` returns what is to be done.
import {
  BrokerMethod,
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
  respond,
} from "zerotask-core";
import { ClientCommands } from "./commands/client-commands.ts";
import { type Command, type CommandHandler, ParamReader, Refusal } from "./commands/command.ts";
import { EventCommands } from "./commands/event-commands.ts";
import { FailedCommands } from "./commands/failed-commands.ts";
import { LimitCommands } from "./commands/limit-commands.ts";
import { NodeCommands } from "./commands/node-commands.ts";
import { RunCommands } from "./commands/run-commands.ts";
import { ScheduleCommands } from "./commands/schedule-commands.ts";
import { StreamCommands } from "./commands/stream-commands.ts";
import { TaskCommands } from "./commands/task-commands.ts";
import type { BrokerConfig } from "./config.ts";
import type { Effect } from "./effect.ts";
import type { BrokerEvent } from "./event.ts";
import { messageAllowance } from "./events/journal.ts";
import { assemble, type BrokerParts } from "./parts.ts";
import { type Addressee, nobody, ReplyGroup } from "./peers/addressee.ts";
import { ClientSession } from "./peers/client-session.ts";
import type { Session } from "./peers/sessions.ts";
import type { Storage } from "./storage/storage.ts";
import type { Durability } from "./storage/stored-task.ts";
import { noOptions } from "./tasks/task-record.ts";
import { LOCAL_PEER } from "./turn.ts";

/** How long a client of the original's protocol is known that says nothing. */
const strangerTtlMs = 3_600_000;

type MessageEvent = Extract<BrokerEvent, { type: "message" }>;

interface RegisteredCommand {
  readonly names: readonly string[];
  readonly handler: CommandHandler;
}

/** How much the broker holds, for tests and monitoring. */
export interface BrokerCounts {
  /** Tasks in memory, settled calls that may have to be answered again among them. */
  readonly tasks: number;
  /** Unsettled tasks, wherever they are. */
  readonly unsettled: number;
  readonly sessions: number;
  /** Requests that wait for a task to be settled. */
  readonly waiters: number;
  /** Methods of which a task waits while a node that serves it has room: none, between two events. */
  readonly assignable: number;
  /** Late answers of attempts that were not current any more. */
  readonly refusedAnswers: number;
}

export class BrokerState {
  readonly #config: BrokerConfig;
  readonly #parts: BrokerParts;
  readonly #nodeCommands: NodeCommands;
  readonly #clientCommands: ClientCommands;
  readonly #limitCommands: LimitCommands;
  readonly #commands = new Map<string, RegisteredCommand>();
  #nextSweep = 0;
  #wakeAt = Number.POSITIVE_INFINITY;

  constructor(config: BrokerConfig) {
    this.#config = config;
    this.#parts = assemble(config);
    this.#clientCommands = new ClientCommands(this.#parts);
    this.#nodeCommands = new NodeCommands(this.#parts);
    this.#limitCommands = new LimitCommands(this.#parts);
    const tables = [
      this.#clientCommands,
      new TaskCommands(this.#parts),
      new RunCommands(this.#parts),
      this.#nodeCommands,
      new ScheduleCommands(this.#parts),
      new FailedCommands(this.#parts),
      this.#limitCommands,
      new EventCommands(this.#parts),
      new StreamCommands(this.#parts),
    ];
    for (const commands of tables) {
      for (const [method, names, handler] of commands.table()) this.#commands.set(method, { names, handler });
    }
    this.#commands.set(BrokerMethod.Discover, { names: [], handler: () => this.#discover() });
  }

  get counts(): BrokerCounts {
    return {
      tasks: this.#parts.tasks.size,
      unsettled: this.#parts.load.unsettled,
      sessions: this.#parts.sessions.count,
      waiters: this.#parts.waiters.count,
      assignable: this.#parts.scheduler.assignable,
      refusedAnswers: this.#nodeCommands.refusedAnswers,
    };
  }

  /**
   * Takes one event at the time `now` (milliseconds; it must not go backwards), and returns the effects
   * to be performed in order.
   */
  handle(event: BrokerEvent, now: number): Effect[] {
    this.#parts.turn.begin(now);
    this.#perform(event);
    this.#doDue();
    this.#parts.scheduler.fillRoom();
    this.#parts.storages.flush();
    this.#parts.backlog.flush();
    this.#parts.emptiness.flush();
    this.#wake();
    return this.#parts.turn.end();
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
      case "opened":
        this.#onOpened(event);
        break;
      case "persisted":
        this.#parts.storages.for(event.level).onPersisted(event.batch, event.result);
        if (event.result.expireMore) this.#expire(this.#parts.storages.for(event.level));
        break;
      case "told":
        this.#parts.storages.for(event.level).onTold(event.request, event.answer);
        break;
      case "store-failed":
        this.#parts.storages.for(event.level).onFailed(event.reason);
        this.#onStoreFailed(event.level);
        break;
      case "drain":
        this.#parts.calls.drain();
        this.#parts.submissions.drain();
        this.#parts.scheduler.drain();
        this.#parts.schedules.drain();
        break;
      case "subscribed":
        this.#parts.events.hello();
        break;
      case "tick":
        this.#wakeAt = Number.POSITIVE_INFINITY;
        break;
    }
  }

  #onMessage(event: MessageEvent): void {
    const { peer, shape, mayHaveSession, message, bytes } = event;
    const session = mayHaveSession ? this.#parts.sessions.on(peer) : undefined;
    if (session === undefined && this.#refusedAsRetired(event)) return;
    const group =
      session === undefined ? new ReplyGroup(this.#parts.turn, peer, shape, message.batch) : undefined;
    if (session !== undefined) session.lastSeen = this.#parts.turn.now;
    const each = Math.ceil(bytes / message.entries.length);
    const from = { peer, session, mayHaveSession, bytes: each, allowance: messageAllowance() };
    for (const entry of message.entries) {
      if (entry.kind === "response" && session !== undefined) {
        if (session.kind === "node") this.#nodeCommands.answer(session, entry.response, each);
      } else if (entry.kind === "request") {
        const { request } = entry;
        const isNotification = request.id === undefined;
        if (!isNotification) group?.expect();
        const addressee = isNotification ? nobody : (group ?? addresseeOf(session));
        this.#onRequest(request, addressee, from);
      } else if (!this.#settledByInvalid(entry, session, each)) {
        group?.expect();
        (group ?? addresseeOf(session)).deliver(refusalOf(entry));
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
    from: Pick<Command, "peer" | "session" | "mayHaveSession" | "bytes" | "allowance">,
  ): void {
    const id = request.id ?? null;
    if (isReservedMethod(request.method)) {
      const { peer, session, mayHaveSession, bytes, allowance } = from;
      const { params } = request;
      const command = { peer, session, mayHaveSession, bytes, allowance, addressee, requestId: id, params };
      const outcome = this.#command(request, command);
      if (outcome !== undefined) addressee.deliver(respond(id, outcome));
      return;
    }
    const { session, bytes } = from;
    const { method, params } = request;
    const call = { method, params, requestId: id, options: noOptions, bytes };
    if (session?.kind === "client" && id !== null) this.#parts.calls.ofSession(call, session);
    else this.#parts.calls.ofStranger(call, addressee);
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

  #onStoreFailed(level: Durability): void {
    const { failure } = this.#parts.storages.for(level);
    this.#parts.life.abandon(level);
    if (failure !== undefined) this.#parts.waiters.fail(level, failure);
  }

  /** What an earlier run of the broker left. */
  #onOpened({ level, summary }: Extract<BrokerEvent, { type: "opened" }>): void {
    const known = this.#parts.turn.now + this.#config.adoptMs;
    this.#parts.backlog.load(level, summary, known);
    if (summary.unsettled > 0) this.#parts.methods.holdLimited(known);
    this.#limitCommands.load(this.#parts.storages.for(level), summary);
    this.#parts.schedules.load(this.#parts.storages.for(level), summary);
    this.#parts.load.add(undefined, level, summary.unsettledBytes, summary.unsettled);
    for (const { id, token } of summary.sessions) {
      const client = new ClientSession(id, token, this.#parts.turn);
      client.isSaved = true;
      client.levels.add(level);
      this.#parts.sessions.addClient(client);
    }
  }

  #discover(): Outcome {
    const methods = new Map<string, MethodDescription>();
    for (const description of this.#config.brokerTasks()) {
      if (isBrokerTask(description.name)) methods.set(description.name, description);
    }
    for (const node of this.#parts.sessions.nodes.values()) {
      for (const description of node.descriptions) methods.set(description.name, description);
    }
    return { result: openRpcDocument(methods.values(), this.#config.version) };
  }

  #onPeerLost(peer: string): void {
    const session = this.#parts.sessions.on(peer);
    if (session?.kind === "node" && peer !== LOCAL_PEER) this.#nodeCommands.lose(session);
    else if (session?.kind === "client") this.#parts.sessions.detach(session, this.#parts.turn.now);
    else this.#nodeCommands.forget(peer);
  }

  /** A ROUTER can't hang up on one peer: its session is forgotten, and its next message answered with an error. */
  #onPeerSlow(peer: string): void {
    const session = this.#parts.sessions.on(peer);
    if (session?.kind === "client") this.#clientCommands.forget(session);
    else if (session?.kind === "node") this.#nodeCommands.lose(session);
    const isNode = session?.kind === "node";
    this.#parts.sessions.retire(peer, isNode ? ErrorCode.InvalidNodeId : ErrorCode.InvalidClientId);
  }

  #refusedAsRetired({ peer, shape, message }: MessageEvent): boolean {
    const code = this.#parts.sessions.retiredCode(peer);
    if (code === undefined || message.entries.some(isIntroduction)) return false;
    // What a node that was given up still answers comes too late.
    if (code === ErrorCode.InvalidNodeId) this.#nodeCommands.refuse(message.entries);
    const error = errorObject(
      code,
      "This connection's session is over. Connect again, and introduce yourself",
    );
    this.#parts.turn.emit({ type: "reply", peer, shape, message: failure(null, error) });
    return true;
  }

  #doDue(): void {
    const { now } = this.#parts.turn;
    for (
      let due = this.#parts.deadlines.take(now);
      due !== undefined;
      due = this.#parts.deadlines.take(now)
    ) {
      switch (due.type) {
        case "task":
          this.#parts.life.onDue(due.task);
          break;
        case "stopping":
          this.#parts.stops.onUnstoppable(due.task);
          break;
        case "waited":
          this.#parts.waiters.giveUp(due.waiter);
          break;
        case "schedule":
          this.#parts.schedules.onDue(due.schedule);
          break;
        case "gate":
          this.#parts.scheduler.onGateDue(due.method, due.lane);
          break;
      }
    }
    this.#parts.backlog.doDue();
    if (this.#nextSweep <= now) this.#sweep(now);
  }

  /** What is looked after at intervals: nodes, sessions and records. */
  #sweep(now: number): void {
    const { heartbeatMs, leaseMs, stalledMs, sessionTtlMs, resultTtlMs, replayMs } = this.#config;
    this.#nextSweep = now + heartbeatMs;
    this.#pingNodes();
    this.#parts.schedules.look();
    this.#parts.admission.naming.sweep();
    for (const node of this.#parts.sessions.nodes.values()) {
      const patience = node.token === undefined ? leaseMs : stalledMs;
      if (node.lastSeen + patience <= now) this.#nodeCommands.lose(node);
    }
    for (const client of this.#parts.sessions.clients.values()) {
      this.#parts.settlement.expireAnswers(client, now - replayMs);
      const ttl = client.token === undefined ? Math.min(resultTtlMs, strangerTtlMs) : sessionTtlMs;
      if (client.lastSeen + ttl > now) continue;
      if (client.peer === undefined) {
        this.#clientCommands.forget(client);
      } else {
        // Once each `sessionTtlMs` of silence.
        client.lastSeen = now;
        this.#parts.turn.send(client.peer, notification(Push.Ping));
      }
    }
    for (const storage of this.#parts.storages) this.#expire(storage);
    this.#parts.events.look();
  }

  #expire(storage: Storage): void {
    const { maxResults: maxRecords, maxResultBytes: maxRecordBytes } = this.#config;
    storage.expire({ maxRecords, maxRecordBytes });
  }

  /** Sending is how a ROUTER learns that a peer is gone. */
  #pingNodes(): void {
    for (const { peer } of this.#parts.sessions.nodes.values()) {
      if (peer !== undefined) this.#parts.turn.send(peer, notification(Push.Ping));
    }
  }

  #wake(): void {
    const at = Math.min(
      this.#parts.deadlines.next ?? Number.POSITIVE_INFINITY,
      this.#nextSweep,
      this.#parts.backlog.next,
    );
    if (at >= this.#wakeAt) return;
    this.#wakeAt = at;
    this.#parts.turn.emit({ type: "wake", at });
  }
}

function addresseeOf(session: Session | undefined): Addressee {
  if (session === undefined) return nobody;
  return session.kind === "client" ? session.addressee : session;
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
