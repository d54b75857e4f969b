// What clients ask of the broker for themselves: sessions, submissions and calls.
import {
  BrokerMethod,
  describe,
  ErrorCode,
  isBrokerTask,
  isReservedMethod,
  type Outcome,
  wireOptionsFromWire,
} from "zerotask-core";
import type { BrokerConfig } from "../config.ts";
import { ClientSession } from "../peers/client-session.ts";
import { clientOf, readProtocol, readToken, wireLimits } from "../peers/introduction.ts";
import type { Sessions } from "../peers/sessions.ts";
import { schedulePrefix } from "../schedules/schedule.ts";
import type { Storages } from "../storage/storages.ts";
import type { Calls } from "../tasks/calls.ts";
import { localPrefix } from "../tasks/locals.ts";
import { keyPrefix, type Submissions } from "../tasks/submissions.ts";
import type { TaskLife } from "../tasks/task-life.ts";
import type { TaskTable } from "../tasks/task-table.ts";
import type { Waiters } from "../tasks/waiters.ts";
import type { Turn } from "../turn.ts";
import {
  busy,
  type Command,
  type CommandHandler,
  checkId,
  type ParamReader,
  Refusal,
  readTaskId,
} from "./command.ts";

export interface ClientCommandParts {
  readonly turn: Turn;
  readonly config: BrokerConfig;
  readonly sessions: Sessions;
  readonly tasks: TaskTable;
  readonly life: TaskLife;
  readonly storages: Storages;
  readonly waiters: Waiters;
  readonly calls: Calls;
  readonly submissions: Submissions;
}

export class ClientCommands {
  readonly #parts: ClientCommandParts;

  constructor(parts: ClientCommandParts) {
    this.#parts = parts;
  }

  /** Each command with the names of its params, in order. */
  table(): [string, readonly string[], CommandHandler][] {
    return [
      [BrokerMethod.ClientConnect, ["client_id", "protocol", "token"], (...a) => this.#connect(...a)],
      [BrokerMethod.ClientDisconnect, ["client_id"], (...a) => this.#disconnect(...a)],
      [BrokerMethod.ClientAck, ["received"], (...a) => this.#acknowledge(...a)],
      [
        BrokerMethod.ClientNewTask,
        ["client_id", "method", "params", "task_id", "options"],
        (...a) => this.#newTask(...a),
      ],
      [BrokerMethod.ClientCall, ["method", "params", "options"], (...a) => this.#call(...a)],
    ];
  }

  /** The client leaves for good: nobody waits for its calls any more; what it submitted goes on. */
  forget(client: ClientSession): void {
    const { sessions, storages, life, tasks, waiters } = this.#parts;
    sessions.remove(client);
    waiters.forget(client.addressee);
    if (client.isSaved) storages.best.change({ type: "remove-session", id: client.id });
    for (const task of client.dropAnswers()) tasks.remove(task);
    for (const task of client.calls.toArray()) life.stop(task);
  }

  #connect(command: Command, read: ParamReader): Outcome {
    const protocol = readProtocol(command, read, this.#parts);
    const { config, sessions, storages, turn, waiters } = this.#parts;
    const id = read.has("client_id") ? checkClientId(read.string("client_id")) : config.newId();
    const token =
      protocol === undefined ? undefined : read.has("token") ? readToken(read) : config.newToken();
    const known = sessions.clients.get(id);
    if (known !== undefined && known.token !== token) {
      throw new Refusal(ErrorCode.InvalidClientId, `The client id ${id} belongs to another session`);
    }
    const client = known ?? this.#newClient(id, token);
    client.lastSeen = turn.now;
    if (protocol === undefined) return { result: id };
    // What waited on an earlier connection is asked for again on this one.
    waiters.forget(client.addressee);
    sessions.attach(client, command.peer);
    const { limits, epoch } = config;
    return {
      result: {
        client_id: id,
        token,
        epoch,
        announce: config.announce(),
        durability: storages.best.level,
        limits: wireLimits(limits),
      },
    };
  }

  #newClient(id: string, token: string | undefined): ClientSession {
    const { config, sessions, turn } = this.#parts;
    if (sessions.count >= config.maxSessions || id === sessions.anonymous.id)
      throw busy("sessions", config.maxSessions);
    const client = new ClientSession(id, token, turn);
    sessions.addClient(client);
    return client;
  }

  #disconnect(command: Command, read: ParamReader): Outcome {
    this.forget(clientOf(command, read, this.#parts));
    return { result: true };
  }

  #acknowledge({ session }: Command, read: ParamReader): Outcome {
    if (session?.kind !== "client")
      throw new Refusal(ErrorCode.NotAllowed, "Expected a client with a session");
    for (const task of session.acknowledge(read.count("received"))) this.#parts.tasks.remove(task);
    return { result: true };
  }

  #newTask(command: Command, read: ParamReader): undefined {
    const { submissions, config } = this.#parts;
    const owner = clientOf(command, read, this.#parts);
    const method = readMethod(read);
    const options = read.options("options", wireOptionsFromWire);
    if (options.stream !== undefined) {
      throw new Refusal(ErrorCode.InvalidParams, "Expected a task without streams: only calls have some");
    }
    const params = read.taskParams("params");
    const own = read.has("task_id")
      ? checkId(readTaskId(read), ErrorCode.InvalidTaskId, "a task id")
      : config.newId();
    const { idempotencyKey, batch } = options;
    if (idempotencyKey !== undefined && batch !== undefined) {
      const message = "Expected a task with an idempotency key or of a batch, got both";
      throw new Refusal(ErrorCode.InvalidParams, message);
    }
    const id = idempotencyKey === undefined ? `${owner.id}-${own}` : `${keyPrefix}${idempotencyKey}`;
    const { addressee, requestId } = command;
    submissions.submit({ id, owner, method, params, options, addressee, requestId });
    return undefined;
  }

  /** A call with options; its response is the outcome. */
  #call({ session, requestId, bytes }: Command, read: ParamReader): undefined {
    if (session?.kind !== "client" || requestId === null)
      throw new Refusal(ErrorCode.NotAllowed, "Expected a request of a client with a session");
    const method = readMethod(read);
    const options = read.options("options", wireOptionsFromWire);
    const { durability, idempotencyKey, batch } = options;
    if (durability === "disk" || idempotencyKey !== undefined || batch !== undefined) {
      throw new Refusal(
        ErrorCode.InvalidParams,
        "A call is in memory only: what is to be stored, has an idempotency key or joins a batch has to be submitted",
      );
    }
    if (options.stream !== undefined && isBrokerTask(method)) {
      throw new Refusal(ErrorCode.NotAllowed, "A task of the broker itself can't have streams");
    }
    const params = read.taskParams("params");
    this.#parts.calls.ofSession({ method, params, requestId, options, bytes }, session);
    return undefined;
  }
}

function readMethod(read: ParamReader): string {
  const method = read.string("method");
  if (!isReservedMethod(method)) return method;
  throw new Refusal(
    ErrorCode.MethodNotFound,
    `Expected a method outside of rpc.* and zerotask.*, got ${method}`,
  );
}

/** Ids of tasks begin with their client's id, or with what marks a key, a schedule or a node. */
function checkClientId(id: string): string {
  const reserved = [keyPrefix, schedulePrefix, localPrefix].find((prefix) => id.startsWith(prefix));
  if (reserved === undefined) return checkId(id, ErrorCode.InvalidClientId, "a client id");
  throw new Refusal(
    ErrorCode.InvalidClientId,
    `Expected a client id that does not begin with "${reserved}", got ${describe(id)}`,
  );
}
