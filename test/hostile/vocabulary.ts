// What can be said to a broker, and what it may be about: each method with its params, and values for them.
import fc from "fast-check";

/** What outlaws got to know of others, who did nothing wrong. */
export interface Stolen {
  readonly clientId: string;
  readonly nodeId: string;
  /** Of calls: only their own client can look at them or stop them. */
  readonly callIds: readonly string[];
  /** Of submitted tasks that a node runs. */
  readonly heldIds: readonly string[];
  /** Of submitted tasks that no node serves. */
  readonly queuedIds: readonly string[];
  /** Of submitted tasks that are settled. */
  readonly settledIds: readonly string[];
  readonly idempotencyKey: string;
}

/** Params in their order, as in docs/protocol.md. */
const commands: { readonly [method: string]: readonly string[] } = {
  client_connect: ["client_id", "protocol", "token"],
  client_disconnect: ["client_id"],
  client_ack: ["received"],
  client_new_task: ["client_id", "method", "params", "task_id", "options"],
  client_call: ["method", "params", "options"],
  client_task_status: ["client_id", "task_id"],
  client_task_result: ["client_id", "task_id"],
  client_task_wait: ["task_id", "timeout_ms"],
  client_task_get: ["task_id"],
  client_task_stop: ["task_id", "confirm", "grace_ms"],
  client_task_start: ["task_id"],
  client_task_reload: ["task_id", "params", "grace_ms"],
  client_task_position: ["task_id"],
  client_events: ["task_id", "method", "event", "after", "limit"],
  client_task_logs: ["task_id", "after", "limit"],
  failed_list: ["method", "from", "to", "error", "after", "limit"],
  failed_retry: ["task_id"],
  failed_retry_all: ["method", "from", "to", "error", "after"],
  schedule_set: [
    ...["name", "method", "params", "every_ms", "from_start", "cron", "time_zone"],
    ...["priority", "group", "missed"],
  ],
  schedule_remove: ["name"],
  schedule_list: [],
  schedule_pause: ["name"],
  schedule_resume: ["name"],
  schedule_run: ["name"],
  limits_set: ["method", "concurrency", "rate", "per_group"],
  limits_reset: ["method"],
  limits_list: [],
  client_stream_grant: ["id", "taken", "received", "again", "closed"],
  client_stream_input: ["id", "input", "seq", "items", "bytes", "end", "error"],
  node_stream_items: ["id", "seq", "items", "bytes", "end", "error"],
  node_input_grant: ["id", "input", "taken", "received", "again", "closed"],
  node_connect: ["node_id", "protocol", "token", "methods", "slots", "running"],
  node_heartbeat: ["node_id"],
  node_disconnect: ["node_id"],
  node_fetch: ["capacity"],
  node_empty: ["wait"],
  node_task_request: ["node_id", "task_id"],
  node_task_status: ["node_id", "task_id", "status"],
  node_task_finished: ["node_id", "task_id", "result"],
  node_task_failed: ["node_id", "task_id", "error"],
  node_task_unstoppable: ["node_id", "task_id"],
  node_run_local: ["name", "method", "params", "attempt"],
  node_task_event: ["task_id", "event", "data"],
  node_task_log: ["task_id", "lines"],
  nothing_such: ["client_id"],
};

const absurdNumbers = [-1, 0, 0.5, 1e9, 2 ** 31, 2 ** 53 - 1, 2 ** 53, 1e308, -1e308, 5e-324];
const absurdNames = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "",
  "#",
  "key:",
  "\u0000",
  "💣",
];

/** Anything that JSON can say. */
export const junk: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(...absurdNumbers, ...absurdNames, null, true, [], {}),
  fc.jsonValue({ maxDepth: 2 }),
  fc.string({ maxLength: 300 }),
  fc.integer({ min: 2, max: 300 }).map(nested),
);

/** Arrays in arrays. */
export function nested(depth: number): unknown {
  let value: unknown = 0;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

const methodNames = fc.constantFrom("evil.a", "evil.b", "nobody", "honest.echo", "rpc.discover", "broker.x");

const options = fc.record(
  {
    notify: mostly(fc.boolean()),
    discard: mostly(fc.boolean()),
    durability: mostly(fc.constantFrom("memory", "disk")),
    retries: mostly(fc.nat(3)),
    timeout_ms: mostly(fc.integer({ min: 1, max: 50 })),
    expires_ms: mostly(fc.integer({ min: 1, max: 50 })),
    idempotency_key: mostly(fc.constantFrom("evil-key", "evil-key-2")),
    at: mostly(fc.constantFrom(0, 1e12, ...absurdNumbers)),
    delay_ms: mostly(fc.constantFrom(0, 1, 20, ...absurdNumbers)),
    priority: mostly(fc.integer({ min: -101, max: 101 })),
    group: mostly(fc.constantFrom("a", "b", ...absurdNames)),
    batch: mostly(fc.constantFrom<unknown>(true, "evil", ...absurdNames)),
    max_retries: mostly(fc.nat(3)),
    backoff: mostly(fc.record({ initial_ms: mostly(fc.nat(5)), max_ms: mostly(fc.nat(10)) })),
  },
  { requiredKeys: [] },
);

/** What a node says of a method. */
const traits = fc.record(
  {
    name: fc.constantFrom("evil.a", "evil.b"),
    concurrency: mostly(fc.constantFrom(1, 2)),
    rate: mostly(fc.constantFrom("5/s", "1/day")),
    per_group: mostly(fc.constantFrom({ concurrency: 1 }, { rate: "1/s" })),
    singleton: mostly(
      fc.record({ by: fc.constantFrom("method", "params"), mode: fc.constantFrom("stop", "queue") }),
    ),
    coalesce: mostly(fc.boolean()),
    batch: mostly(fc.record({ max: fc.nat(5), wait_ms: fc.nat(5) })),
    priority: mostly(fc.integer({ min: -101, max: 101 })),
  },
  { requiredKeys: ["name"] },
);

function mostly(plausible: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof({ arbitrary: plausible, weight: 5 }, { arbitrary: junk, weight: 1 });
}

/** Values for each param. No submitted task of others is among them: who knows its id may stop it. */
function paramValues({ clientId, nodeId, callIds }: Stolen): {
  readonly [name: string]: fc.Arbitrary<unknown>;
} {
  const ownTaskIds = fc.constantFrom("1", "mine-1", "mine-2", "key:evil-key");
  const taskIds = fc.oneof(fc.constantFrom(...callIds), ownTaskIds);
  const attempts = taskIds.chain((id) => fc.constantFrom(`${id}#1`, `${id}#2`, `${id}#999999999999999`));
  return {
    client_id: mostly(fc.constantFrom("mine", "other", clientId)),
    node_id: mostly(fc.constantFrom("my-node", "other-node", nodeId)),
    task_id: mostly(fc.oneof(taskIds, attempts)),
    protocol: mostly(fc.constant(2)),
    token: mostly(fc.constantFrom("guess", "secret")),
    method: mostly(methodNames),
    methods: mostly(
      fc.array(fc.oneof(fc.constantFrom<unknown>("evil.a", { name: "evil.b", params: ["x"] }), traits), {
        maxLength: 3,
      }),
    ),
    params: mostly(
      fc.oneof(fc.array(junk, { maxLength: 2 }), fc.dictionary(fc.string(), junk, { maxKeys: 2 })),
    ),
    options: mostly(options),
    name: mostly(fc.constantFrom("evil", "worse", ...absurdNames)),
    every_ms: mostly(fc.constantFrom(1, 20, ...absurdNumbers)),
    from_start: mostly(fc.boolean()),
    cron: mostly(fc.constantFrom("* * * * * *", "0 3 * * *", "99 * * * *", "* * * * * * *", "@yearly", "L")),
    time_zone: mostly(fc.constantFrom("UTC", "Europe/Berlin", "Nowhere", ...absurdNames)),
    missed: mostly(fc.constantFrom("skip", "once", "all")),
    priority: mostly(fc.integer({ min: -101, max: 101 })),
    group: mostly(fc.constantFrom("a", ...absurdNames)),
    concurrency: mostly(fc.constantFrom<unknown>(1, 2, null, ...absurdNumbers)),
    rate: mostly(fc.constantFrom<unknown>("5/s", "1/day", "999999999/ms", null, "fast")),
    per_group: mostly(fc.constantFrom<unknown>({ concurrency: 1 }, { rate: "1/s" }, {}, null)),
    from: mostly(fc.constantFrom(0, ...absurdNumbers)),
    to: mostly(fc.constantFrom(0, ...absurdNumbers)),
    after: mostly(fc.constantFrom("memory/", "disk/", "memory/1:2", "disk/1.5:9", "disk/9", ...absurdNames)),
    limit: mostly(fc.constantFrom(1, ...absurdNumbers)),
    running: mostly(fc.array(attempts, { maxLength: 3 })),
    slots: mostly(fc.constantFrom(0, 1, 100, ...absurdNumbers)),
    capacity: mostly(fc.constantFrom(0, 1, 100, ...absurdNumbers)),
    received: mostly(fc.constantFrom(0, 1, ...absurdNumbers)),
    timeout_ms: mostly(fc.nat(30)),
    status: mostly(fc.constantFrom("RUNNING", "QUEUED", "FINISHED")),
    result: junk,
    error: mostly(
      fc.constantFrom<unknown>({ code: -32000, message: "forged" }, { code: 0.5, message: "" }, "text"),
    ),
  };
}

export const requestIds: fc.Arbitrary<unknown> = fc.oneof(
  { arbitrary: fc.nat(50), weight: 5 },
  {
    arbitrary: fc.constantFrom<unknown>(undefined, null, "text", "introduction", ...absurdNumbers),
    weight: 2,
  },
  { arbitrary: junk, weight: 1 },
);

/** One well-formed request, command or response, whatever it may be about. */
export function entries(stolen: Stolen): fc.Arbitrary<object> {
  const values = paramValues(stolen);
  const perCommand = Object.entries(commands).map(([name, names]) => {
    const valuesOf = (each: string): fc.Arbitrary<unknown> =>
      // Whoever may speak to the broker may limit any method: the honest one's are left alone.
      name.startsWith("limits_") && each === "method"
        ? mostly(fc.constantFrom("evil.a"))
        : (values[each] ?? junk);
    const known = Object.fromEntries(names.map((each) => [each, valuesOf(each)]));
    const byName = fc.record(known, { requiredKeys: [] });
    const byPosition = fc.tuple(...names.map(valuesOf));
    return request(fc.constant(`zerotask.broker.${name}`), fc.oneof(byName, byPosition));
  });
  const call = request(methodNames, values.params ?? junk);
  const response = fc.record({
    jsonrpc: fc.constant("2.0"),
    id: values.task_id ?? junk,
    result: junk,
  });
  return fc.oneof(...perCommand, call, call, response);
}

function request(method: fc.Arbitrary<string>, params: fc.Arbitrary<unknown>): fc.Arbitrary<object> {
  return fc.record({ jsonrpc: fc.constant("2.0"), method, params, id: requestIds });
}

/** Aimed at others' tasks and sessions, by those who know all ids but no token. None of it may have an effect. */
export function aimed(stolen: Stolen): fc.Arbitrary<object> {
  const { clientId, nodeId, callIds, heldIds, queuedIds, settledIds } = stolen;
  const anyId = fc.constantFrom(...callIds, ...heldIds, ...queuedIds, ...settledIds);
  const running = fc.constantFrom(...callIds, ...heldIds);
  const attempts = fc.tuple(
    fc.constantFrom(...callIds, ...heldIds, ...settledIds),
    fc.integer({ min: 0, max: 3 }),
  );
  const attempt = attempts.map(([id, number]) => `${id}#${number}`);
  const asNode = fc.constantFrom(nodeId, undefined, "my-node");
  const asClient = fc.constantFrom(clientId, undefined, "mine");
  const token = fc.oneof(fc.string(), fc.constantFrom("", "guess"));
  const say = (
    name: string,
    params: { readonly [name: string]: fc.Arbitrary<unknown> },
  ): fc.Arbitrary<object> => request(fc.constant(`zerotask.broker.${name}`), fc.record(params));
  const forged = fc.constant("forged");
  return fc.oneof(
    say("client_connect", { protocol: fc.constant(2), client_id: fc.constant(clientId), token }),
    say("client_connect", { client_id: fc.constant(clientId) }),
    say("node_connect", { protocol: fc.constant(2), node_id: fc.constant(nodeId), token, slots: fc.nat(9) }),
    say("node_connect", { node_id: fc.constant(nodeId) }),
    say("node_connect", { protocol: fc.constant(2), slots: fc.nat(9), running: fc.array(attempt) }),
    say("client_disconnect", { client_id: fc.constant(clientId) }),
    say("node_disconnect", { node_id: fc.constant(nodeId) }),
    say("node_heartbeat", { node_id: fc.constant(nodeId) }),
    say("client_new_task", {
      client_id: fc.constant(clientId),
      method: methodNames,
      task_id: fc.nat(9).map(String),
    }),
    say("client_new_task", {
      method: forged,
      options: fc.constant({ idempotency_key: stolen.idempotencyKey }),
    }),
    say("client_task_status", { client_id: asClient, task_id: anyId }),
    say("client_task_result", { client_id: asClient, task_id: anyId }),
    say("client_task_wait", { task_id: anyId, timeout_ms: fc.nat(20) }),
    say("client_task_get", { task_id: anyId }),
    say("client_task_stop", { task_id: fc.constantFrom(...callIds) }),
    say("client_task_stop", {
      task_id: fc.constantFrom(...callIds),
      confirm: fc.boolean(),
      grace_ms: fc.nat(50),
    }),
    say("client_task_start", { task_id: fc.constantFrom(...callIds) }),
    say("client_task_reload", { task_id: fc.constantFrom(...callIds) }),
    say("node_task_request", { node_id: asNode, task_id: running }),
    say("node_task_status", { node_id: asNode, task_id: fc.oneof(anyId, attempt), status: methodNames }),
    say("node_task_status", {
      node_id: asNode,
      task_id: anyId,
      status: fc.constantFrom("RUNNING", "QUEUED"),
    }),
    say("node_task_finished", { node_id: asNode, task_id: fc.oneof(anyId, attempt), result: forged }),
    say("node_task_failed", { node_id: asNode, task_id: fc.oneof(anyId, attempt), error: forged }),
    say("node_task_event", { task_id: fc.oneof(anyId, attempt), event: forged, data: forged }),
    say("node_task_log", {
      task_id: fc.oneof(anyId, attempt),
      lines: fc.constant([{ at: 1, level: "info", message: "forged" }]),
    }),
    say("client_events", { task_id: anyId }),
    say("client_task_logs", { task_id: anyId, after: fc.nat(9), limit: fc.nat(9) }),
    say("client_ack", { received: fc.constantFrom(...absurdNumbers) }),
    say("node_fetch", { capacity: fc.constantFrom(...absurdNumbers) }),
    fc.record({ jsonrpc: fc.constant("2.0"), id: attempt, result: forged }),
    fc.record({
      jsonrpc: fc.constant("2.0"),
      id: attempt,
      error: fc.constant({ code: 1, message: "forged" }),
    }),
  );
}
