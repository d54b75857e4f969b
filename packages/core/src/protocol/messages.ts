// The shapes of JSON-RPC 2.0 messages, and how to make them.
import type { StreamShape } from "./streams.ts";

/** `null` is a legal id (JSON-RPC 2.0, section 4): such a request is answered, with a null id. */
export type RequestId = string | number | null;
export type Params = readonly unknown[] | { readonly [name: string]: unknown };

/** A request; without an `id` member it is a notification. */
export interface Request {
  readonly jsonrpc: "2.0";
  readonly method: string;
  readonly id?: RequestId;
  readonly params?: Params;
  /** Of a task that is given to a node, where there is anything to know beside its params. */
  readonly meta?: TaskMeta;
}

/** What a node is told of a task beside its method and params. */
export interface TaskMeta {
  /** How long this run may take. */
  readonly timeout_ms?: number;
  /** The task that all began with. */
  readonly trace?: string;
  /** Which streams it has. */
  readonly stream?: StreamShape;
}

export interface ErrorObject {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

export interface SuccessResponse {
  readonly jsonrpc: "2.0";
  readonly id: RequestId;
  readonly result: unknown;
}

export interface ErrorResponse {
  readonly jsonrpc: "2.0";
  readonly id: RequestId;
  readonly error: ErrorObject;
}

export type Response = SuccessResponse | ErrorResponse;
export type Message = Request | Response;

/** What a task settled with. */
export type Outcome = { readonly result: unknown } | { readonly error: ErrorObject };

/** Members are always in the order `jsonrpc, method, params, id`: a subscription is a prefix of the JSON. */
export function request(method: string, params: Params | undefined, id: RequestId): Request {
  return params === undefined ? { jsonrpc: "2.0", method, id } : { jsonrpc: "2.0", method, params, id };
}

export function notification(method: string, params?: Params): Request {
  return params === undefined ? { jsonrpc: "2.0", method } : { jsonrpc: "2.0", method, params };
}

/** A result of `undefined` is sent as `null`: a response must have a `result` member. */
export function success(id: RequestId, result: unknown): SuccessResponse {
  return { jsonrpc: "2.0", id, result: result === undefined ? null : result };
}

export function errorObject(code: number, message: string, data?: unknown): ErrorObject {
  return data === undefined ? { code, message } : { code, message, data };
}

export function failure(id: RequestId, error: ErrorObject): ErrorResponse {
  return { jsonrpc: "2.0", id, error };
}

export function respond(id: RequestId, outcome: Outcome): Response {
  return "error" in outcome ? failure(id, outcome.error) : success(id, outcome.result);
}

export function outcomeOf(response: Response): Outcome {
  return "error" in response ? { error: response.error } : { result: response.result };
}
