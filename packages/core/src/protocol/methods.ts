// Every method name of the protocol, and which of the three kinds a name belongs to.

/** Methods that a broker understands. */
export const BrokerMethod = {
  ClientConnect: "zerotask.broker.client_connect",
  ClientDisconnect: "zerotask.broker.client_disconnect",
  ClientAck: "zerotask.broker.client_ack",
  ClientNewTask: "zerotask.broker.client_new_task",
  ClientCall: "zerotask.broker.client_call",
  ClientTaskStatus: "zerotask.broker.client_task_status",
  ClientTaskResult: "zerotask.broker.client_task_result",
  ClientTaskWait: "zerotask.broker.client_task_wait",
  ClientTaskGet: "zerotask.broker.client_task_get",
  ClientTaskStop: "zerotask.broker.client_task_stop",
  ClientTaskStart: "zerotask.broker.client_task_start",
  ClientTaskReload: "zerotask.broker.client_task_reload",
  ClientTaskPosition: "zerotask.broker.client_task_position",
  ClientEvents: "zerotask.broker.client_events",
  ClientTaskLogs: "zerotask.broker.client_task_logs",
  ClientStreamGrant: "zerotask.broker.client_stream_grant",
  ClientStreamInput: "zerotask.broker.client_stream_input",
  FailedList: "zerotask.broker.failed_list",
  FailedRetry: "zerotask.broker.failed_retry",
  FailedRetryAll: "zerotask.broker.failed_retry_all",
  ScheduleSet: "zerotask.broker.schedule_set",
  ScheduleRemove: "zerotask.broker.schedule_remove",
  ScheduleList: "zerotask.broker.schedule_list",
  SchedulePause: "zerotask.broker.schedule_pause",
  ScheduleResume: "zerotask.broker.schedule_resume",
  ScheduleRun: "zerotask.broker.schedule_run",
  LimitsSet: "zerotask.broker.limits_set",
  LimitsReset: "zerotask.broker.limits_reset",
  LimitsList: "zerotask.broker.limits_list",
  NodeConnect: "zerotask.broker.node_connect",
  NodeHeartbeat: "zerotask.broker.node_heartbeat",
  NodeDisconnect: "zerotask.broker.node_disconnect",
  NodeFetch: "zerotask.broker.node_fetch",
  NodeEmpty: "zerotask.broker.node_empty",
  NodeTaskRequest: "zerotask.broker.node_task_request",
  NodeTaskStatus: "zerotask.broker.node_task_status",
  NodeTaskFinished: "zerotask.broker.node_task_finished",
  NodeTaskFailed: "zerotask.broker.node_task_failed",
  NodeRunLocal: "zerotask.broker.node_run_local",
  NodeTaskUnstoppable: "zerotask.broker.node_task_unstoppable",
  NodeTaskEvent: "zerotask.broker.node_task_event",
  NodeTaskLog: "zerotask.broker.node_task_log",
  NodeStreamItems: "zerotask.broker.node_stream_items",
  NodeInputGrant: "zerotask.broker.node_input_grant",
  Discover: "rpc.discover",
} as const;

/** Notifications that a broker pushes to the peer of a session. */
export const Push = {
  /** `{task_id, status, result | error}`: a task that asked for it was settled. */
  TaskSettled: "zerotask.client.task_settled",
  /** `{id}`: give up the attempt `<task_id>#<attempt>`; its answer would be refused. */
  TaskAbort: "zerotask.node.task_abort",
  /**
   * `{id, grace_ms, again?}`: end the attempt within this time; its answer then is the error "stopped", with `data.how`.
   * `again`: a task of the node's own, which then begins again.
   */
  TaskStop: "zerotask.node.task_stop",
  /** `{method, params}`, a request: which instance of a singleton these params name. */
  NameInstance: "zerotask.node.name_instance",
  /** `{id, seq, items, bytes, end?}`: what the handler of the call `id` yielded. */
  StreamItems: "zerotask.client.stream_items",
  /** `{id, input, taken, received, again?, closed?}`: how far the handler of the call `id` has read one of its inputs. */
  InputGrant: "zerotask.client.input_grant",
  /** `{id, taken, received, again?}`: how far the client has read what the attempt `id` yields. */
  StreamGrant: "zerotask.node.stream_grant",
  /** `{id, input, seq, items, bytes, end?, error?}`: items of an input of the attempt `id`. */
  StreamInput: "zerotask.node.stream_input",
  /** No meaning: sending it shows the broker whether the peer is still there. */
  Ping: "zerotask.ping",
} as const;

/** Notifications on the publish socket. They are lossy, and nothing depends on them arriving. */
export const Announcement = {
  TaskReady: "zerotask.node.task_ready",
  TaskResultReady: "zerotask.client.task_result_ready",
  Hello: "zerotask.broker.hello",
  /** One event, told three times: to those who want it of a task, of a method, or all of them. */
  TaskEvent: "zerotask.task.event",
  MethodEvent: "zerotask.method.event",
  BrokerEvent: "zerotask.broker.event",
  TaskLog: "zerotask.task.log",
} as const;

/** The protocol version that sessions introduce themselves with. */
export const PROTOCOL_VERSION = 2;

const reserved = /^(rpc|zerotask)(\.|$)/;

/** Whether `name` is kept for the protocol itself, so that no handler may take it. */
export function isReservedMethod(name: string): boolean {
  return reserved.test(name);
}

/** Whether `name` runs in the broker's own process. */
export function isBrokerTask(name: string): boolean {
  return name.startsWith("broker.");
}
