// Maps methods to handlers, and a JSON-RPC request to its response. Built on jayson.Server, whose traps end here.
import jayson from "jayson";
import { errorToWire, MethodNotFoundError } from "../errors.ts";
import { OptionError } from "../options.ts";
import { ErrorCode } from "../protocol/error-codes.ts";
import type { Params, Request, Response } from "../protocol/messages.ts";
import { isReservedMethod } from "../protocol/methods.ts";
import type { MethodDescription } from "../protocol/openrpc.ts";
import { type Runtime, systemRuntime } from "../runtime.ts";
import { type Callback, fail, positions, run } from "./calling.ts";
import { Collector } from "./collector.ts";
import type { Handler } from "./handler.ts";
import { checkIsolation, type IsolationOptions, isolationNames } from "./isolation.ts";
import { expectedLifecycle, isClass, isLifecycleClass } from "./lifecycle.ts";
import { taskMethods } from "./mark.ts";
import { currentScope, inScope, type Scope } from "./scope.ts";
import { type AnyTraitOptions, instanceName, readTraits } from "./traits.ts";

export interface HandlerOptions extends AnyTraitOptions, IsolationOptions {
  /** Parameter names in order. */
  readonly params?: readonly string[];
}

interface Registered {
  readonly method: jayson.MethodLike;
  readonly description: MethodDescription;
  /** Where it is a batch handler. */
  readonly collector: Collector | undefined;
  /** Where it is a singleton by its params. */
  readonly nameInstance: Handler | undefined;
  readonly isolation: IsolationOptions;
}

/** What jayson passes on to methods that take many calls in one run. */
interface Host {
  readonly runtime: Runtime;
}

const instanceKey = Symbol.for("zerotask.dispatcher");
const maxNameLength = 256;

/** Serves methods by name. One dispatcher may be used by several nodes and brokers. */
export class Dispatcher {
  readonly #methods = new Map<string, Registered>();
  readonly #server: jayson.Server;

  constructor() {
    this.#server = new jayson.Server(
      {},
      { router: (name: string) => this.#route(name) as jayson.MethodLike },
    );
  }

  /** The default dispatcher: one per process, also when several copies of this package are loaded. */
  static instance(): Dispatcher {
    const shared = globalThis as { [instanceKey]?: Dispatcher };
    shared[instanceKey] ??= new Dispatcher();
    return shared[instanceKey];
  }

  /**
   * Serves `handler` as `name`. It is called by position; params by name reach it in the order of
   * `options.params`, or else as one object.
   * @throws OptionError when the name is empty, reserved (`rpc.*`, `zerotask.*`) or already taken, or an option is
   * unknown, out of range, or makes no sense beside another
   */
  add(name: string, handler: Handler, options: HandlerOptions = {}): void {
    if (typeof name !== "string" || name === "" || name.length > maxNameLength) {
      throw new OptionError("name", `a string of 1 to ${maxNameLength} characters`, name);
    }
    if (isReservedMethod(name)) throw new OptionError("name", "outside of rpc.* and zerotask.*", name);
    if (typeof handler !== "function") throw new OptionError("handler", "a function", handler);
    if (isClass(handler)) throw new OptionError("handler", expectedOf(handler), handler);
    if (this.#methods.has(name)) throw new OptionError("name", "a name that is not registered yet", name);
    const { traits, nameInstance } = readTraits(options, ["params", ...isolationNames]);
    checkIsolation(options);
    const { params } = options;
    if (params !== undefined) checkParamNames(params);
    const collector = traits.batch && new Collector(name, handler, traits.batch);
    const method = collector ? collecting(collector, params) : running(handler, params);
    const description = { name, ...(params !== undefined && { params }), ...traits };
    this.#methods.set(name, { method, description, collector, nameInstance, isolation: options });
  }

  /** Serves every `@task` method of `object`; `this` is the object. Returns their names. */
  addObject(object: object): string[] {
    const names: string[] = [];
    for (const method of taskMethods(object)) {
      const { name, dispatcher = this, ...options } = method.mark;
      dispatcher.add(name, method.handler.bind(object), options);
      names.push(name);
    }
    return names;
  }

  /** What is served now. */
  methods(): MethodDescription[] {
    return Array.from(this.#methods.values(), ({ description }) => description);
  }

  /** Where the handler of a method is to run, as far as it says; nothing where there is none. */
  isolationOf(name: string): IsolationOptions {
    const { isolate, maxMemoryMb } = this.#methods.get(name)?.isolation ?? {};
    return { ...(isolate !== undefined && { isolate }), ...(maxMemoryMb !== undefined && { maxMemoryMb }) };
  }

  /**
   * Runs one request. `done` gets its response, or `undefined` for a notification; it is called once,
   * and at once where the handler returned no promise. Never throws.
   * @param scope what the run is surrounded by. @default none: `current()` throws
   * @param runtime whose timers tell a batch handler's calls how long to wait for others
   */
  dispatch(
    request: Request,
    done: (response: Response | undefined) => void,
    scope?: Scope,
    runtime: Runtime = systemRuntime,
  ): void {
    // jayson takes a null id for a notification.
    if (request.id === null) {
      this.dispatch(
        { ...request, id: 0 },
        (response) => done(response && { ...response, id: null }),
        scope,
        runtime,
      );
      return;
    }
    const call = (): void => {
      const host: Host = { runtime };
      this.#server.call(request as jayson.JSONRPCRequest, host, (error: unknown, response: unknown) => {
        done((error ?? response ?? undefined) as Response | undefined);
      });
    };
    if (scope === undefined) call();
    else inScope(scope, call);
  }

  /** Runs at once what batch handlers have collected. */
  flush(): void {
    for (const { collector } of this.#methods.values()) collector?.flush();
  }

  /**
   * Which instance of a singleton these params are for.
   * @throws MethodNotFoundError when nobody serves the method, or it is no singleton by its params
   * @throws TypeError when the method's `singleton` option returns a promise, OptionError when it returns anything else
   * that is no string of 1 to 200 characters
   */
  instanceOf(method: string, params: Params | undefined): string {
    const registered = this.#methods.get(method);
    if (registered?.nameInstance === undefined) {
      const expected = "Expected a method that is a singleton by its params";
      throw new MethodNotFoundError(`${expected}, got ${method}`, ErrorCode.MethodNotFound);
    }
    const { nameInstance, description } = registered;
    return instanceName(method, nameInstance(...positions(params, description.params)));
  }

  /** jayson answers "Method not found" for `undefined`, though its types don't tell. */
  #route(name: string): jayson.MethodLike | undefined {
    return this.#methods.get(name)?.method;
  }
}

function running(handler: Handler, names: readonly string[] | undefined): jayson.Method {
  const serve = (given: Params | undefined, callback: Callback): void => run(handler, given, names, callback);
  return new jayson.Method(serve as jayson.MethodHandler);
}

function collecting(collector: Collector, names: readonly string[] | undefined): jayson.Method {
  const serve = (given: Params | undefined, { runtime }: Host, callback: Callback): void => {
    let params: readonly unknown[];
    try {
      params = positions(given, names);
    } catch (error) {
      callback(errorToWire(error));
      return;
    }
    const scope = currentScope();
    const add = (prepared: readonly unknown[]): void =>
      collector.add(prepared, callback, runtime, scope?.context().signal);
    const prepared = scope?.prepare === undefined ? params : scope.prepare(params);
    if (!(prepared instanceof Promise)) add(prepared);
    else prepared.then(add, (error: unknown) => fail(error, scope, callback));
  };
  return new jayson.Method(serve as jayson.MethodHandlerContext, { useContext: true });
}

/** What a handler has to be, told to who gave a class. */
function expectedOf(Class: Handler): string {
  if (isLifecycleClass(Class)) return "a function, such as lifecycle(Class) makes of a class";
  return `a function, or ${expectedLifecycle}`;
}

function checkParamNames(names: unknown): void {
  const isNames = Array.isArray(names) && names.every((name) => typeof name === "string" && name !== "");
  if (!isNames || new Set(names).size < names.length) {
    throw new OptionError("params", "an array of the names of the params", names);
  }
}
