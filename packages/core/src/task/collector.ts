// Collects calls of one batch handler until they make a run, and gives each caller an outcome of its own.
import { inspect } from "node:util";
import { stoppedBefore } from "../errors.ts";
import { ErrorCode } from "../protocol/error-codes.ts";
import { type ErrorObject, errorObject } from "../protocol/messages.ts";
import type { BatchRule } from "../protocol/method-options.ts";
import type { Runtime, Timer } from "../runtime.ts";
import { type Callback, isThenable, run } from "./calling.ts";
import type { Handler } from "./handler.ts";
import { currentScope, inScope, type Scope } from "./scope.ts";

interface Call {
  readonly params: readonly unknown[];
  readonly callback: Callback;
  readonly scope: Scope | undefined;
}

export class Collector {
  readonly #name: string;
  readonly #handler: Handler;
  readonly #rule: BatchRule;
  /** In order of arrival. */
  #calls = new Set<Call>();
  #timer: Timer | undefined;

  constructor(name: string, handler: Handler, rule: BatchRule) {
    this.#name = name;
    this.#handler = handler;
    this.#rule = rule;
  }

  /** @param signal when it fires before the run begins, or has fired already, the call is no part of it */
  add(params: readonly unknown[], callback: Callback, runtime: Runtime, signal?: AbortSignal): void {
    if (signal?.aborted === true) {
      callback(stopped());
      return;
    }
    const call = { params, callback, scope: currentScope() };
    this.#calls.add(call);
    signal?.addEventListener("abort", () => this.#remove(call), { once: true });
    if (this.#calls.size >= this.#rule.max) this.flush();
    else if (this.#calls.size === 1) this.#arm(runtime);
  }

  /** Runs what is collected now. */
  flush(): void {
    const calls = [...this.#take()];
    if (calls.length === 0) return;
    const scope = new BatchScope(calls.flatMap(({ scope }) => scope ?? []));
    inScope(scope, () =>
      run(this.#handler, [calls.map(({ params }) => params)], undefined, (error, results) => {
        scope.hasRun = true;
        if (error === null) this.#settle(calls, results);
        else for (const { callback } of calls) callback(error);
      }),
    );
  }

  /** Without a time to wait, what came in one message is one run: a microtask comes before the next message. */
  #arm(runtime: Runtime): void {
    const flush = (): void => this.flush();
    if (this.#rule.waitMs > 0) this.#timer = runtime.after(this.#rule.waitMs, flush);
    else queueMicrotask(flush);
  }

  #take(): Set<Call> {
    const calls = this.#calls;
    this.#calls = new Set();
    this.#timer?.cancel();
    this.#timer = undefined;
    return calls;
  }

  #remove(call: Call): void {
    if (!this.#calls.delete(call)) return;
    if (this.#calls.size === 0) this.#take();
    call.callback(stopped());
  }

  #settle(calls: readonly Call[], results: unknown): void {
    if (!Array.isArray(results) || results.length !== calls.length) {
      const got = Array.isArray(results) ? `${results.length}` : inspect(results, { depth: 0 });
      const expected = `Expected the batch handler of ${this.#name} to return an array of ${calls.length} results`;
      const wrong = { name: "TypeError", message: `${expected}, got ${got}` };
      for (const { callback } of calls) callback(errorObject(ErrorCode.TaskFailed, wrong.message, wrong));
      return;
    }
    for (const [index, { callback }] of calls.entries())
      run(outcomeOf, [results[index]], undefined, callback);
  }
}

function stopped(): ErrorObject {
  const { code, message } = stoppedBefore();
  return errorObject(code, message);
}

/** An item that is an error is what its caller's call throws. It may be a promise, as of an `async` function in `map`. */
function outcomeOf(item: unknown): unknown {
  if (item instanceof Error) throw item;
  return isThenable(item) ? item.then(outcomeOf) : item;
}

/** What surrounds the run of many calls. What is to be told of it is told once. */
class BatchScope implements Scope {
  /** What is made of its results is no run of its own. */
  hasRun = false;
  /** Of the calls; none of those that run without any. */
  readonly #scopes: readonly Scope[];

  constructor(scopes: readonly Scope[]) {
    this.#scopes = scopes;
  }

  get invoke(): Scope["invoke"] {
    const [first] = this.#scopes;
    if (this.hasRun || first?.invokeMany === undefined) return undefined;
    return (handler, [calls]) =>
      first.invokeMany?.(this.#scopes, handler, calls as readonly (readonly unknown[])[]);
  }

  context(): never {
    throw new Error("A batch handler runs many tasks at once: current() can't tell which is meant");
  }

  now(): number {
    return this.#scopes[0]?.now?.() ?? performance.now();
  }

  onThrown(error: unknown): void {
    this.#scopes[0]?.onThrown?.(error);
  }
}
