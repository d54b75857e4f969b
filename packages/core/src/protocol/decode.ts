// The one place where bytes from a peer become checked JSON-RPC entries. It never throws.
import { ErrorCode } from "./error-codes.ts";
import { isDeeperThan, parseJson } from "./json.ts";
import type { MessageLimits } from "./limits.ts";
import type { Request, RequestId, Response } from "./messages.ts";
import { type ErrorObject, type ErrorResponse, errorObject, failure } from "./messages.ts";

/** One entry of a message: a request to perform, a response to use, or the answer that an invalid entry gets. */
export type Entry =
  | { readonly kind: "request"; readonly request: Request }
  | { readonly kind: "response"; readonly response: Response }
  | { readonly kind: "invalid"; readonly answer: ErrorResponse };

export interface Decoded {
  /** Whether the peer sent an array, and so gets an array back. */
  readonly batch: boolean;
  readonly entries: readonly Entry[];
}

const maxIdLength = 256;

/** Decodes one message. What can't be decoded comes back as a single invalid entry. */
export function decode(bytes: Uint8Array, limits: MessageLimits): Decoded {
  if (bytes.byteLength > limits.maxMessageBytes) {
    return refuse(
      tooLarge(`a message of at most ${limits.maxMessageBytes} bytes`, `${bytes.byteLength} bytes`),
    );
  }
  let value: unknown;
  try {
    value = parseJson(bytes);
  } catch (error) {
    return refuse(errorObject(ErrorCode.ParseError, "Parse error", { reason: (error as Error).message }));
  }
  if (!Array.isArray(value)) return { batch: false, entries: [decodeEntry(value, limits)] };
  if (value.length === 0) return refuse(invalidRequest("Expected at least one request in a batch, got none"));
  if (value.length > limits.maxBatch) {
    return refuse(tooLarge(`a batch of at most ${limits.maxBatch} entries`, `${value.length}`));
  }
  return { batch: true, entries: value.map((item) => decodeEntry(item, limits)) };
}

/** A message that is answered as a whole, with one error and a null id. */
export function refuse(error: ErrorObject): Decoded {
  return { batch: false, entries: [{ kind: "invalid", answer: failure(null, error) }] };
}

export function invalidRequest(reason: string): ErrorObject {
  return errorObject(ErrorCode.InvalidRequest, "Invalid Request", { reason });
}

function tooLarge(expected: string, got: string): ErrorObject {
  return errorObject(ErrorCode.TooLarge, `Too large: expected ${expected}, got ${got}`);
}

// What JSON.parse returns has no member that is `undefined`: reading one tells whether it is there.
function decodeEntry(value: unknown, limits: MessageLimits): Entry {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return invalid(null, invalidRequest(`Expected an object, got ${describe(value)}`));
  }
  const entry = value as Record<string, unknown>;
  const idProblem = findIdProblem(entry.id);
  if (idProblem !== undefined) return invalid(null, invalidRequest(idProblem));
  if (entry.jsonrpc !== "2.0") {
    return invalid(
      idOf(entry),
      invalidRequest(`Expected "jsonrpc" to be "2.0", got ${describe(entry.jsonrpc)}`),
    );
  }
  return entry.method === undefined ? decodeResponse(entry, limits) : decodeRequest(entry, limits);
}

function decodeRequest(entry: Record<string, unknown>, limits: MessageLimits): Entry {
  const { method, params } = entry;
  if (typeof method !== "string") {
    return invalid(idOf(entry), invalidRequest(`Expected "method" to be a string, got ${describe(method)}`));
  }
  if (params !== undefined && (typeof params !== "object" || params === null)) {
    const reason = `Expected "params" to be an array or an object, got ${describe(params)}`;
    return invalid(idOf(entry), invalidRequest(reason));
  }
  if (isDeeperThan(params, limits.maxDepth)) return invalid(idOf(entry), tooDeep(limits));
  return { kind: "request", request: entry as unknown as Request };
}

/** A response that nests too deep still settles its task: as an error. */
function decodeResponse(entry: Record<string, unknown>, limits: MessageLimits): Entry {
  const { id, result, error } = entry;
  if ((result === undefined) === (error === undefined) || id === undefined) {
    return invalid(idOf(entry), invalidRequest('Expected a member "method"'));
  }
  if (error !== undefined && !isErrorObject(error)) {
    const reason = 'Expected "error" to have an integer "code" and a string "message"';
    return invalid(idOf(entry), invalidRequest(reason));
  }
  const isDeep = isDeeperThan(result, limits.maxDepth) || isDeeperThan(error, limits.maxDepth);
  const response = isDeep ? failure(idOf(entry), tooDeep(limits)) : (entry as unknown as Response);
  return { kind: "response", response };
}

/** The id of an entry whose id was checked; null where there is none (JSON-RPC 2.0, section 5). */
function idOf(entry: Record<string, unknown>): RequestId {
  return (entry.id ?? null) as RequestId;
}

function tooDeep({ maxDepth }: MessageLimits): ErrorObject {
  return tooLarge(`at most ${maxDepth} levels of nesting`, "more");
}

function isErrorObject(value: unknown): value is ErrorObject {
  if (typeof value !== "object" || value === null) return false;
  const { code, message } = value as Record<string, unknown>;
  return Number.isInteger(code) && typeof message === "string";
}

/** An id has to come back exactly as it was: a number that a double can't hold would not. */
function findIdProblem(id: unknown): string | undefined {
  if (id === undefined || id === null) return undefined;
  if (typeof id === "string") {
    return id.length <= maxIdLength
      ? undefined
      : `Expected "id" to have at most ${maxIdLength} characters, got ${id.length}`;
  }
  if (typeof id !== "number") return `Expected "id" to be a string, a number or null, got ${describe(id)}`;
  const exact = Number.isSafeInteger(id) || (Number.isFinite(id) && !Number.isInteger(id));
  return exact ? undefined : `Expected "id" to be a number within ±(2^53 − 1), got ${id}`;
}

function invalid(id: RequestId, error: ErrorObject): Entry {
  return { kind: "invalid", answer: failure(id, error) };
}

/** Names a JSON value in an error message without repeating all of it. */
export function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  const text = JSON.stringify(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`;
}
