// Maps methods to handlers, and a JSON-RPC request to its response. Built on jayson.Server, whose traps end here.
import jayson from "jayson";
import { errorToWire, InvalidParamsError } from "../errors.ts";
import { OptionError } from "../options.ts";
import { describe } from "../protocol/decode.ts";
import { ErrorCode } from "../protocol/error-codes.ts";
import {
  errorObject,
  failure,
  type Params,
  type Request,
  type RequestId,
  type Response,
} from "../protocol/messages.ts";
import { isReservedMethod } from "../protocol/methods.ts";
import type { MethodDescription } from "../protocol/openrpc.ts";
import { checkSubmitOptions, type RunOptions } from "../protocol/task-options.ts";
import { enter, leave, type TaskContext } from "./current.ts";
import type { Handler } from "./handler.ts";
import { taskMethods } from "./mark.ts";

export interface HandlerOptions extends RunOptions {
  /** Parameter names in order. */
  readonly params?: readonly string[];
}

interface Registered {
  readonly method: jayson.MethodLike;
  readonly description: MethodDescription;
}

type JaysonCallback = (error: unknown, result?: unknown) => void;

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
   * @throws OptionError when the name is empty, reserved (`rpc.*`, `zerotask.*`) or already taken
   */
  add(name: string, handler: Handler, options: HandlerOptions = {}): void {
    if (typeof name !== "string" || name === "" || name.length > maxNameLength) {
      throw new OptionError("name", `a string of 1 to ${maxNameLength} characters`, name);
    }
    if (isReservedMethod(name)) throw new OptionError("name", "outside of rpc.* and zerotask.*", name);
    if (typeof handler !== "function") throw new OptionError("handler", "a function", handler);
    if (this.#methods.has(name)) throw new OptionError("name", "a name that is not registered yet", name);
    checkSubmitOptions(options);
    const { params } = options;
    const serve = (given: Params | undefined, callback: JaysonCallback): void =>
      run(handler, given, params, callback);
    const method = new jayson.Method(serve as jayson.MethodHandler);
    this.#methods.set(name, { method, description: { name, ...options } });
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

  /**
   * Runs one request. `done` gets its response, or `undefined` for a notification; it is called once,
   * and at once where the handler returned no promise. Never throws.
   * @param context makes what the handler gets from `current()`. @default none: `current()` throws
   */
  dispatch(
    request: Request,
    done: (response: Response | undefined) => void,
    context?: () => TaskContext,
  ): void {
    // jayson takes a null id for a notification.
    if (request.id === null) {
      this.dispatch(
        { ...request, id: 0 },
        (response) => done(response && { ...response, id: null }),
        context,
      );
      return;
    }
    const outer = enter(context);
    try {
      this.#server.call(request as jayson.JSONRPCRequest, {}, (error: unknown, response: unknown) => {
        done((error ?? response ?? undefined) as Response | undefined);
      });
    } finally {
      leave(outer);
    }
  }

  /** jayson answers "Method not found" for `undefined`, though its types don't tell. */
  #route(name: string): jayson.MethodLike | undefined {
    return this.#methods.get(name)?.method;
  }
}

function run(
  handler: Handler,
  given: Params | undefined,
  names: readonly string[] | undefined,
  callback: JaysonCallback,
): void {
  let result: unknown;
  let promise: PromiseLike<unknown> | undefined;
  try {
    result = handler(...positions(given, names));
    if (isThenable(result)) promise = result;
  } catch (error) {
    callback(errorToWire(error));
    return;
  }
  if (promise === undefined) callback(null, result);
  else
    Promise.resolve(promise).then(
      (value) => callback(null, value),
      (error) => callback(errorToWire(error)),
    );
}

function positions(given: Params | undefined, names: readonly string[] | undefined): readonly unknown[] {
  if (given === undefined) return [];
  if (Array.isArray(given)) return given;
  if (names === undefined) return [given];
  for (const name of Object.keys(given)) {
    if (!names.includes(name)) {
      throw new InvalidParamsError(`Expected the params ${names.join(", ")}, got ${describe(name)}`);
    }
  }
  const named = given as { readonly [name: string]: unknown };
  return names.map((name) => (Object.hasOwn(named, name) ? named[name] : undefined));
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === "object" && value !== null) || typeof value === "function") &&
    typeof (value as { then?: unknown }).then === "function"
  );
}

/** The JSON of a response. A result that JSON can't hold becomes the task's failure, not a lost answer. */
export function encodeResponse(response: Response): string {
  if ("error" in response) return JSON.stringify(response);
  const { id, result } = response;
  try {
    const text = JSON.stringify(result);
    if (text !== undefined) return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${text}}`;
    return encodeUnsendable(id, "TypeError", `JSON has nothing for this ${typeof result}`);
  } catch (error) {
    return encodeUnsendable(id, "TypeError", errorToWire(error).message);
  }
}

function encodeUnsendable(id: RequestId, name: string, reason: string): string {
  const message = `The result can't be sent as JSON: ${reason}`;
  return JSON.stringify(failure(id, errorObject(ErrorCode.TaskFailed, message, { name, message })));
}
