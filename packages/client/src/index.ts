// What users of the client take; errors come with it, so that they can be caught by class.
export type {
  Backoff,
  Limits,
  MethodLimits,
  Missed,
  Params,
  RateText,
  Span,
  StopOutcome,
  StreamWindow,
  TaskLogLevel,
  When,
} from "zerotask-core";
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
  SocketsForbiddenError,
  StoreFailedError,
  StreamLostError,
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
export {
  Client,
  type ClientControls,
  type NestedClient,
  NestedClients,
  type StreamControls,
} from "./client.ts";
export type { EventFilter, LogOptions } from "./events/feeds.ts";
export {
  type EventsNamed,
  type GapEvent,
  isStatus,
  type ProgressEvent,
  type StatusChange,
  type StatusEvent,
  type TaskEvent,
  type TaskLogLine,
  type TaskProgress,
} from "./events/task-event.ts";
export type {
  FailedControls,
  FailedFilter,
  FailedListOptions,
  FailedPage,
  FailedTask,
} from "./failed/failed.ts";
export type { LimitChanges, LimitControls, LimitsOfMethod } from "./limits.ts";
export { LocalClient, type LocalClientOptions } from "./local/local-client.ts";
export type { Nesting } from "./nesting.ts";
export type { CallOptions, ClientOptions } from "./options.ts";
export type { Schedule } from "./schedules/schedule.ts";
export type { CronOptions, IntervalOptions, ScheduleOptions, Schedules } from "./schedules/schedules.ts";
export type { Durability } from "./session.ts";
export { TaskHandle } from "./task-handle.ts";
export type { StopOptions } from "./tasks/run-control.ts";
export type { Position } from "./tasks/tracked-task.ts";
export type { MethodName, ParamsOf } from "./typing.ts";
