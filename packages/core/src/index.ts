// Everything that the other packages, and users, take from the core.
export { type Deadline, Deadlines } from "./collections/deadlines.ts";
export { Deque } from "./collections/deque.ts";
export { GenerationalMap } from "./collections/generational-map.ts";
export { IndexedSet } from "./collections/indexed-set.ts";
export { OrderedQueue } from "./collections/ordered-queue.ts";
export { exitWithError, logLevels, numberOrText, stopOnSignals } from "./command-line.ts";
export * from "./endpoint.ts";
export * from "./errors.ts";
export { type LogFlags, logFileOption, logFormats, logStreams } from "./log-destinations.ts";
export { type Logger, silentLogger } from "./logger.ts";
export * from "./options.ts";
export { type Decoded, decode, describe, type Entry, invalidRequest, refuse } from "./protocol/decode.ts";
export { encodeMessage, encodeResponse } from "./protocol/encode.ts";
export { ErrorCode } from "./protocol/error-codes.ts";
export * from "./protocol/events.ts";
export { canonicalJson, isDeeperThan, isLongerThan } from "./protocol/json.ts";
export { defaultLimits, type MessageLimits } from "./protocol/limits.ts";
export * from "./protocol/messages.ts";
export * from "./protocol/method-options.ts";
export * from "./protocol/methods.ts";
export { type MethodDescription, type OpenRpcDocument, openRpcDocument } from "./protocol/openrpc.ts";
export { booleanOption, nameOption } from "./protocol/option-table.ts";
export * from "./protocol/retry.ts";
export * from "./protocol/schedules.ts";
export { howStopped, type StopOutcome, stoppedError } from "./protocol/stop-outcome.ts";
export * from "./protocol/streams.ts";
export * from "./protocol/task-options.ts";
export { isSettled, TaskStatus } from "./protocol/task-status.ts";
export * from "./protocol/when.ts";
export { every, type Runtime, systemRuntime, type Timer } from "./runtime.ts";
export type { Connection, ConnectionHandlers, Dial } from "./socket/connection.ts";
export { dialDealer } from "./socket/dealer.ts";
export { forbidSockets, SocketsForbiddenError } from "./socket/forbidden.ts";
export { Link, type LinkHandlers, type LinkOptions } from "./socket/link.ts";
export type { Listen, Listener, ListenerHandlers } from "./socket/listener.ts";
export type { PublishHandlers } from "./socket/publisher.ts";
export type { RouterHandlers, RouterSocketOptions, Shape } from "./socket/router.ts";
export { listenSubscriber } from "./socket/subscriber.ts";
export {
  type AnnouncementSocket,
  type RequestSocket,
  type Transport,
  zeromqTransport,
} from "./socket/transport.ts";
export { type ConsumerOptions, StreamConsumer } from "./stream/consumer.ts";
export { batchText } from "./stream/messages.ts";
export {
  type EncodedBatch,
  type ItemLimits,
  type ProducerOptions,
  StreamProducer,
} from "./stream/producer.ts";
export { checkedResult, closeIterator } from "./stream/result.ts";
export type { Batch, BatchHandler, PerCall, Results } from "./task/batch-typing.ts";
export { isAsyncIterable } from "./task/calling.ts";
export type { TaskContext, TaskLog } from "./task/context.ts";
export { current } from "./task/current.ts";
export { Dispatcher, type HandlerOptions } from "./task/dispatcher.ts";
export type { Handler } from "./task/handler.ts";
export { checkIsolation, type Isolation, type IsolationOptions } from "./task/isolation.ts";
export { type Lifecycle, type LifecycleClass, lifecycle } from "./task/lifecycle.ts";
export type { TaskOptions } from "./task/mark.ts";
export { addModule, configureBy, type LoadOptions, loadModules } from "./task/modules.ts";
export { currentScope, inScope, type Scope } from "./task/scope.ts";
export { type Task, task } from "./task/task.ts";
export { measuredData, toldData, toldMessage } from "./task/told.ts";
export type { BatchOptions, NameInstance, SingletonOptions, TraitOptions } from "./task/traits.ts";
export { Turns } from "./task/turns.ts";
export type { MethodsOf } from "./task/typing.ts";
