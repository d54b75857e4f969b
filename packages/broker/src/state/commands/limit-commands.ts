// What clients set and ask about limits. What they set outlives the broker, and what nodes say of their methods.
import { BrokerMethod, ErrorCode, isReservedMethod, limitsTable, OptionError, respond } from "zerotask-core";
import type { LimitOverrides } from "../order/limits.ts";
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
const limitNames = { concurrency: "concurrency", rate: "rate", per_group: "perGroup" };
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
      if (item.kind === kind) this.#parts.methods.override(item.name, JSON.parse(item.value));
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
      [
        BrokerMethod.LimitsReset,
        ["method"],
        (command, read) => this.#override(command, readMethod(read), {}),
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

  #set(command: Command, read: ParamReader): undefined {
    const { methods } = this.#parts;
    const name = readMethod(read);
    const before = methods.overridesOf(name);
    if (methods.overriddenCount >= maxLimited && Object.keys(before).length === 0) {
      throw busy("methods with limits", maxLimited);
    }
    return this.#override(command, name, changed(before, read));
  }

  #override({ addressee, requestId }: Command, name: string, overrides: LimitOverrides): undefined {
    const { methods, scheduler, storages } = this.#parts;
    methods.override(name, overrides);
    const method = methods.find(name);
    if (method !== undefined) scheduler.offerRoomTo(method);
    const isNone = Object.keys(overrides).length === 0;
    storages.best.change(
      isNone
        ? { type: "remove-item", kind, name }
        : { type: "save-item", kind, name, value: JSON.stringify(overrides) },
    );
    storages.best.whenStored((failure) => {
      const result = { method: name, ...limitsTable.toWire(methods.limitsOf(name)) };
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

/** What was given replaces what was there; `null` lifts a limit, whatever the method says. */
function changed(before: LimitOverrides, read: ParamReader): LimitOverrides {
  const wire: { [name: string]: unknown } = {};
  const lifted: { [name: string]: null } = {};
  for (const [wireName, name] of Object.entries(limitNames)) {
    const value = read.value(wireName);
    if (value === null) lifted[name] = null;
    else if (value !== undefined) wire[wireName] = value;
  }
  try {
    return { ...before, ...limitsTable.fromWire(wire), ...lifted };
  } catch (error) {
    if (error instanceof OptionError) throw new Refusal(ErrorCode.InvalidParams, error.message);
    throw error;
  }
}
