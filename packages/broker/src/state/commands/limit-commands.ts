// What clients set and ask about limits. What they set outlives the broker, and what nodes say of their methods.
import {
  BrokerMethod,
  ErrorCode,
  isReservedMethod,
  limitsTable,
  type MethodLimits,
  OptionError,
  respond,
} from "zerotask-core";
import type { MethodTable } from "../order/method-table.ts";
import type { Scheduler } from "../order/scheduler.ts";
import type { Storage } from "../storage/storage.ts";
import type { Storages } from "../storage/storages.ts";
import type { StoreSummary } from "../storage/stored-task.ts";
import { busy, type Command, type CommandHandler, type ParamReader, Refusal } from "./command.ts";

export interface LimitCommandParts {
  readonly methods: MethodTable;
  readonly scheduler: Scheduler;
  readonly storages: Storages;
}

const kind = "limits";
const maxMethodLength = 1_000;
/** Methods whose limits were set. */
const maxLimited = 10_000;

export class LimitCommands {
  readonly #parts: LimitCommandParts;

  constructor(parts: LimitCommandParts) {
    this.#parts = parts;
  }

  /** What the store had when it was opened. */
  load(storage: Storage, { items }: StoreSummary): void {
    if (storage !== this.#parts.storages.best) return;
    for (const item of items) {
      if (item.kind === kind) this.#parts.methods.setLimits(item.name, JSON.parse(item.value));
    }
  }

  /** Each command with the names of its params, in order. */
  table(): [string, readonly string[], CommandHandler][] {
    return [
      [
        BrokerMethod.LimitsSet,
        ["method", "concurrency", "rate", "per_group"],
        (command, read) => this.#set(command, read),
      ],
      [BrokerMethod.LimitsList, [], () => ({ result: this.#list() })],
    ];
  }

  #list(): object[] {
    return [...this.#parts.methods.limits()].map(([method, limits]) => ({
      method,
      ...limitsTable.toWire(limits),
    }));
  }

  #set({ addressee, requestId }: Command, read: ParamReader): undefined {
    const { methods, scheduler, storages } = this.#parts;
    const name = readMethod(read);
    if (methods.limitedCount >= maxLimited && !methods.hasOwnLimits(name)) {
      throw busy("methods with limits", maxLimited);
    }
    const limits = changed(methods.limitsOf(name), read);
    methods.setLimits(name, limits);
    const method = methods.find(name);
    if (method !== undefined) scheduler.offerRoomTo(method);
    storages.best.change({ type: "save-item", kind, name, value: JSON.stringify(limits) });
    storages.best.whenStored((failure) => {
      const result = { method: name, ...limitsTable.toWire(limits) };
      addressee.deliver(respond(requestId, failure === undefined ? { result } : { error: failure }));
    });
    return undefined;
  }
}

function readMethod(read: ParamReader): string {
  const method = read.string("method");
  if (method !== "" && method.length <= maxMethodLength && !isReservedMethod(method)) return method;
  const expected = `a method of 1 to ${maxMethodLength} characters outside of rpc.* and zerotask.*`;
  throw new Refusal(ErrorCode.InvalidParams, `Expected \`method\` to be ${expected}, got ${method}`);
}

/** What was given replaces what was there; `null` lifts it. */
function changed(before: MethodLimits, read: ParamReader): MethodLimits {
  const wire: { [name: string]: unknown } = { ...limitsTable.toWire(before) };
  for (const name of ["concurrency", "rate", "per_group"]) {
    const value = read.value(name);
    if (value === null) delete wire[name];
    else if (value !== undefined) wire[name] = value;
  }
  try {
    return limitsTable.fromWire(wire);
  } catch (error) {
    if (error instanceof OptionError) throw new Refusal(ErrorCode.InvalidParams, error.message);
    throw error;
  }
}
