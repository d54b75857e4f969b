// Calls: tasks whose answer somebody waits for. They live in memory, and end with the client that made them.
import {
  ErrorCode,
  errorObject,
  failure,
  type Params,
  type RequestId,
  respond,
  type WireOptions,
} from "zerotask-core";
import { stopping } from "../commands/command.ts";
import type { Load } from "../load.ts";
import type { MethodTable } from "../order/method-table.ts";
import { dueAtOf, expiresAtOf, priorityOf } from "../order/timing.ts";
import type { Addressee } from "../peers/addressee.ts";
import type { ClientSession } from "../peers/client-session.ts";
import type { Sessions } from "../peers/sessions.ts";
import { streamLost } from "../streams/streams.ts";
import type { Turn } from "../turn.ts";
import type { Settlement } from "./settlement.ts";
import type { NewTask } from "./task.ts";
import type { TaskLife } from "./task-life.ts";
import { noOptions } from "./task-record.ts";
import type { TaskTable } from "./task-table.ts";

export interface Call {
  readonly method: string;
  readonly params: Params | undefined;
  readonly requestId: RequestId;
  readonly options: WireOptions;
  readonly bytes: number;
}

export interface CallParts {
  readonly turn: Turn;
  readonly sessions: Sessions;
  readonly tasks: TaskTable;
  readonly life: TaskLife;
  readonly settlement: Settlement;
  readonly load: Load;
  readonly methods: MethodTable;
  /** What the clock on the wall says. */
  readonly wall: () => number;
}

export class Calls {
  readonly #parts: CallParts;
  #isDraining = false;

  constructor(parts: CallParts) {
    this.#parts = parts;
  }

  /** Takes no more. */
  drain(): void {
    this.#isDraining = true;
  }

  /** A call of a session. The same id is the same task, however often it is sent. */
  ofSession(call: Call, owner: ClientSession): void {
    const { settlement, tasks } = this.#parts;
    const { requestId } = call;
    const id = callId(owner, requestId);
    const known = tasks.get(id);
    if (known === undefined && call.options.stream?.resumed === true) {
      owner.addressee.deliver(failure(requestId, streamLost()));
    } else if (known === undefined) {
      this.#take(call, id, owner.id, owner, owner.addressee);
    } else if (known.caller === owner) {
      known.requestId = requestId;
      known.addressee = owner.addressee;
      settlement.answer(known);
    } else {
      const message = `The task ${id} is no call of this session`;
      owner.addressee.deliver(failure(requestId, errorObject(ErrorCode.InvalidTaskId, message)));
    }
  }

  /** A call of a peer without a session, whose ids mean nothing to others; or a notification. */
  ofStranger(call: Call, addressee: Addressee): void {
    const ownerId = this.#parts.sessions.anonymous.id;
    this.#take(call, `${ownerId}-${this.#parts.life.nextNumber()}`, ownerId, undefined, addressee);
  }

  #take(
    call: Call,
    id: string,
    ownerId: string,
    caller: ClientSession | undefined,
    addressee: Addressee,
  ): void {
    const { life, load, methods, turn, wall } = this.#parts;
    const { method, params, requestId, options, bytes } = call;
    const { group = "" } = options;
    const refusal = this.#isDraining
      ? stopping()
      : (load.refusal(caller, undefined, bytes) ?? methods.refusal(method, group));
    if (refusal !== undefined) {
      addressee.deliver(respond(requestId, refusal.error));
      return;
    }
    const lane = methods.lane(method, group);
    const createdAt = turn.now;
    // What most calls ask for is nothing.
    const dueAt = options === noOptions ? createdAt : dueAtOf(options, { now: createdAt, wall: wall() });
    const task: NewTask = {
      id,
      ownerId,
      caller,
      level: undefined,
      params,
      options,
      addressee,
      requestId,
      bytes,
      createdAt,
      dueAt,
      expiresAt: expiresAtOf(options, { createdAt, dueAt }),
      priority: priorityOf(options, lane.method.description),
      instance: undefined,
    };
    life.call(task, lane);
  }
}

/** The id of the task that a client's request is. */
export function callId(owner: ClientSession, requestId: RequestId): string {
  return `${owner.id}-${keyOf(requestId)}`;
}

/** The ids 1 and "1" are two requests: a string that could be a number is quoted. */
function keyOf(requestId: RequestId): string {
  const isAmbiguous =
    typeof requestId === "string" && requestId.trim() !== "" && !Number.isNaN(Number(requestId));
  return isAmbiguous ? JSON.stringify(requestId) : String(requestId);
}
