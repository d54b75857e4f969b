// What users of the client take; errors come with it, so that they can be caught by class.
export {
  BrokerUnavailableError,
  BusyError,
  ClientClosedError,
  ErrorCode,
  InvalidParamsError,
  MethodNotFoundError,
  NodeLostError,
  NotAllowedError,
  OptionError,
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
export { TaskHandle } from "./task-handle.ts";
