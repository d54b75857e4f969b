// Messages as JSON. Most are plain requests and results: their JSON is put together in half the time.
import { errorToWire } from "../errors.ts";
import { ErrorCode } from "./error-codes.ts";
import {
  errorObject,
  failure,
  type Message,
  type Request,
  type RequestId,
  type Response,
} from "./messages.ts";

/** The same as `JSON.stringify(message)`. @throws TypeError when JSON can't hold it, such as a circular value */
export function encodeMessage(message: Message): string {
  if ("method" in message) return encodeRequest(message);
  if ("error" in message) return JSON.stringify(message);
  const result = JSON.stringify(message.result);
  if (result === undefined) return JSON.stringify(message);
  return `{"jsonrpc":"2.0","id":${encodeId(message.id)},"result":${result}}`;
}

function encodeRequest(request: Request): string {
  const { method, params, id, meta } = request;
  const given = id === undefined || meta !== undefined ? undefined : JSON.stringify(params);
  if (id === undefined || given === undefined) return JSON.stringify(request);
  return `{"jsonrpc":"2.0","method":${encodeName(method)},"params":${given},"id":${encodeId(id)}}`;
}

/** The JSON of a response. A result that JSON can't hold becomes the task's failure, not a lost answer. */
export function encodeResponse(response: Response): string {
  if ("error" in response) return JSON.stringify(response);
  const { id, result } = response;
  try {
    const text = JSON.stringify(result);
    if (text !== undefined) return `{"jsonrpc":"2.0","id":${encodeId(id)},"result":${text}}`;
    return encodeUnsendable(id, "TypeError", `JSON has nothing for this ${typeof result}`);
  } catch (error) {
    return encodeUnsendable(id, "TypeError", errorToWire(error).message);
  }
}

function encodeUnsendable(id: RequestId, name: string, reason: string): string {
  const message = `The result can't be sent as JSON: ${reason}`;
  return JSON.stringify(failure(id, errorObject(ErrorCode.TaskFailed, message, { name, message })));
}

/** Ids and names of nothing but these need no escapes. */
const plain = /^[\w.#:-]*$/;

function encodeName(name: string): string {
  return plain.test(name) ? `"${name}"` : JSON.stringify(name);
}

function encodeId(id: RequestId): string {
  return typeof id === "string" ? encodeName(id) : JSON.stringify(id);
}
