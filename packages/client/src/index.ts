// What users of the client take; errors come with it, so that they can be caught by class.
export {
  BrokerUnavailableError,
  BusyError,
  ClientClosedError,
  ConflictError,
  ErrorCode,
  InvalidParamsError,
  MethodNotFoundError,
  NodeLostError,
  NotAllowedError,
  OptionError,
  StoreFailedError,
  TaskExpiredError,
  TaskFailedError,
  TaskStatus,
  TaskStoppedError,
  TaskTimeoutError,
  TooLargeError,
  UnknownTaskError,
  ZeroTaskError,
} from "zerotask-core";
export { AsyncClient, type AsyncClientControls } from "./async-client.ts";
export { Client, type ClientControls } from "./client.ts";
export type { CallOptions, ClientOptions } from "./options.ts";
export type { Durability } from "./session.ts";
export { TaskHandle } from "./task-handle.ts";
