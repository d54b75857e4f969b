// What clients ask of the broker itself: sessions, submitted tasks and their outcomes.
import {
  BrokerMethod,
  type Deadlines,
  describe,
  ErrorCode,
  isReservedMethod,
  type MessageLimits,
  type Outcome,
  PROTOCOL_VERSION,
} from "zerotask-core";
import { ClientSession } from "./client-session.ts";
import { type Command, type CommandHandler, checkId, type ParamReader, Refusal } from "./command.ts";
import type { BrokerConfig } from "./config.ts";
import type { Due } from "./due.ts";
import type { Session, Sessions } from "./sessions.ts";
import type { Task, Waiter } from "./task.ts";
import type { TaskLife } from "./task-life.ts";
import type { TaskTable } from "./task-table.ts";
import type { Turn } from "./turn.ts";

export interface ClientCommandParts {
  readonly turn: Turn;
  readonly config: BrokerConfig;
  readonly sessions: Sessions;
  readonly tasks: TaskTable;
  readonly life: TaskLife;
  readonly deadlines: Deadlines<Due>;
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
      [BrokerMethod.ClientTaskStatus, ["client_id", "task_id"], (...a) => this.#status(...a)],
      [BrokerMethod.ClientTaskResult, ["client_id", "task_id"], (...a) => this.#result(...a)],
      [BrokerMethod.ClientTaskWait, ["task_id", "timeout_ms"], (...a) => this.#wait(...a)],
      [BrokerMethod.ClientTaskGet, ["task_id"], (...a) => this.#get(...a)],
      [BrokerMethod.ClientTaskStop, ["task_id"], (...a) => this.#stop(...a)],
    ];
  }

  /** The client leaves for good: nobody waits for its calls any more; what it submitted goes on. */
  forget(client: ClientSession): void {
    const { sessions, life, tasks } = this.#parts;
    sessions.remove(client);
    for (const task of client.dropAnswers()) tasks.remove(task);
    for (const task of client.calls.toArray()) life.stop(task);
  }

  #connect(command: Command, read: ParamReader): Outcome {
    const protocol = readProtocol(command, read);
    const { config, sessions, turn } = this.#parts;
    const id = read.has("client_id")
      ? checkId(read.string("client_id"), ErrorCode.InvalidClientId, "a client id")
      : config.newId();
    const token =
      protocol === undefined ? undefined : read.has("token") ? read.string("token") : config.newToken();
    const known = sessions.clients.get(id);
    if (known !== undefined && known.token !== token) {
      throw new Refusal(ErrorCode.InvalidClientId, `The client id ${id} belongs to another session`);
    }
    const client = known ?? this.#newClient(id, token);
    client.lastSeen = turn.now;
    if (protocol === undefined) return { result: id };
    sessions.attach(client, command.peer);
    const { limits, epoch } = config;
    return {
      result: {
        client_id: id,
        token,
        epoch,
        announce: config.announce(),
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
    this.forget(this.#client(command, read));
    return { result: true };
  }

  #acknowledge({ session }: Command, read: ParamReader): Outcome {
    if (session?.kind !== "client")
      throw new Refusal(ErrorCode.NotAllowed, "Expected a client with a session");
    for (const task of session.acknowledge(read.count("received"))) this.#parts.tasks.remove(task);
    return { result: true };
  }

  #newTask(command: Command, read: ParamReader): Outcome {
    const { life, tasks, config } = this.#parts;
    const owner = this.#client(command, read);
    const method = read.string("method");
    if (isReservedMethod(method)) {
      throw new Refusal(
        ErrorCode.MethodNotFound,
        `Expected a method outside of rpc.* and zerotask.*, got ${method}`,
      );
    }
    const { notify, discard } = readOptions(read);
    const params = read.taskParams("params");
    const own = read.has("task_id")
      ? checkId(readTaskId(read), ErrorCode.InvalidTaskId, "a task id")
      : config.newId();
    const id = `${owner.id}-${own}`;
    const known = tasks.get(id);
    if (known !== undefined) return this.#submittedAgain(known, owner, notify);
    if (life.unsettled >= config.maxTasks) throw busy("tasks", config.maxTasks);
    life.submit(
      {
        id,
        owner,
        params,
        notify,
        retention: discard ? "none" : "record",
        addressee: undefined,
        requestId: null,
        isSubmitted: true,
      },
      method,
    );
    return { result: id };
  }

  #submittedAgain(task: Task, owner: ClientSession, notify: boolean): Outcome {
    const isBack = task.owner.isGone && task.owner.id === owner.id && task.owner.token === owner.token;
    if (isBack) task.owner = owner;
    if (task.owner !== owner)
      throw new Refusal(ErrorCode.InvalidTaskId, `The task ${task.id} belongs to another client`);
    task.notify ||= notify;
    this.#parts.life.notifyOwner(task);
    return { result: task.id };
  }

  #status(command: Command, read: ParamReader): Outcome {
    return { result: this.#taskOf(command, read).status };
  }

  #result(command: Command, read: ParamReader): Outcome {
    const task = this.#taskOf(command, read);
    if (task.settled === undefined) {
      throw new Refusal(ErrorCode.TaskNotComplete, `The task is ${task.status}`, { status: task.status });
    }
    const { outcome } = task.settled;
    // Somebody else's task can be looked at by its id; only its owner takes the result away.
    if (task.owner === this.#client(command, read)) this.#parts.tasks.remove(task);
    return outcome;
  }

  #wait(command: Command, read: ParamReader): undefined {
    const { deadlines, life, turn } = this.#parts;
    const task = this.#visibleTask(command, read);
    const { addressee, requestId } = command;
    const waiter: Waiter = { addressee, requestId, done: false };
    if (read.has("timeout_ms") && task.settled === undefined) {
      deadlines.add(turn.now + read.count("timeout_ms"), { type: "waited", task, waiter });
    }
    life.wait(task, waiter);
    return undefined;
  }

  #get(command: Command, read: ParamReader): Outcome {
    const task = this.#visibleTask(command, read);
    return {
      result: {
        task_id: task.id,
        client_id: task.owner.id,
        method: task.method.name,
        params: task.params ?? null,
        status: task.status,
        attempt: task.attempt,
        node_id: task.node?.id ?? null,
        created_at: Math.round(task.createdAt),
        ...(task.settled && { settled_at: Math.round(task.settled.at), ...task.settled.outcome }),
      },
    };
  }

  #stop(command: Command, read: ParamReader): Outcome {
    const task = this.#visibleTask(command, read);
    this.#parts.life.stop(task);
    return { result: task.status };
  }

  /** The client that a command is about: the session's own, or one without a token, that its id is enough for. */
  #client({ session }: Command, read: ParamReader): ClientSession {
    const { sessions, turn } = this.#parts;
    if (session?.kind === "client" && (!read.has("client_id") || read.string("client_id") === session.id)) {
      return session;
    }
    const id = read.string("client_id");
    const client = sessions.clients.get(id);
    if (client === undefined)
      throw new Refusal(ErrorCode.InvalidClientId, `No client has the id ${describe(id)}`);
    if (client.token !== undefined) {
      throw new Refusal(ErrorCode.NotAllowed, "This client can only be spoken for on its own connection");
    }
    client.lastSeen = turn.now;
    return client;
  }

  /** A task of this client, by its own or by the full id. */
  #taskOf(command: Command, read: ParamReader): Task {
    const client = this.#client(command, read);
    const id = readTaskId(read);
    return this.#parts.tasks.get(`${client.id}-${id}`) ?? this.#visible(this.#task(id), client);
  }

  /** A submitted task, whose id is enough to see it, or an own call. */
  #visibleTask({ session }: Command, read: ParamReader): Task {
    return this.#visible(this.#task(read.string("task_id")), session);
  }

  #visible(task: Task, asking: Session | undefined): Task {
    if (task.isSubmitted || task.owner === asking) return task;
    throw new Refusal(ErrorCode.NotAllowed, `The task ${task.id} is another client's call`);
  }

  #task(id: string): Task {
    const task = this.#parts.tasks.get(id);
    if (task === undefined) throw new Refusal(ErrorCode.InvalidTaskId, `No task has the id ${describe(id)}`);
    return task;
  }
}

/** What a session is told of how large its messages may be. */
export function wireLimits({ maxMessageBytes, maxBatch, maxDepth }: MessageLimits): object {
  return { message_bytes: maxMessageBytes, batch: maxBatch, depth: maxDepth };
}

/** Which protocol a peer introduces itself with; none is the original's. */
export function readProtocol(command: Command, read: ParamReader): number | undefined {
  if (!read.has("protocol")) return undefined;
  const protocol = read.value("protocol");
  if (protocol !== PROTOCOL_VERSION) {
    throw new Refusal(
      ErrorCode.InvalidParams,
      `Expected \`protocol\` to be ${PROTOCOL_VERSION}, got ${describe(protocol)}`,
    );
  }
  if (!command.mayHaveSession) {
    throw new Refusal(
      ErrorCode.NotAllowed,
      "Expected a DEALER socket without a routing id of its own, got another",
    );
  }
  if (command.session !== undefined) {
    throw new Refusal(
      ErrorCode.NotAllowed,
      `This connection has a session already, of the ${command.session.kind} ${command.session.id}`,
    );
  }
  return protocol;
}

export function busy(what: string, most: number): Refusal {
  return new Refusal(ErrorCode.Busy, `The broker holds as many ${what} as it may: ${most}`, {
    retry_after_ms: 1_000,
  });
}

function readTaskId(read: ParamReader): string {
  const id = read.value("task_id");
  return typeof id === "number" ? String(id) : read.string("task_id");
}

function readOptions(read: ParamReader): { notify: boolean; discard: boolean } {
  const options = read.object("options");
  for (const [name, value] of Object.entries(options)) {
    if (name !== "notify" && name !== "discard") {
      throw new Refusal(
        ErrorCode.InvalidParams,
        `Expected the options notify, discard, got ${describe(name)}`,
      );
    }
    if (typeof value !== "boolean") {
      throw new Refusal(
        ErrorCode.InvalidParams,
        `Expected \`options.${name}\` to be true or false, got ${describe(value)}`,
      );
    }
  }
  return { notify: options.notify === true, discard: options.discard === true };
}
