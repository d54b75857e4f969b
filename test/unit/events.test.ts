import { describe, expect, it } from "vitest";
import { call, type Machine, type MachineOptions, machine, sends } from "../support/broker-machine.ts";
import { type Driven, drive } from "../support/driven.ts";

const notify = (method: string, params: object): object => ({
  jsonrpc: "2.0",
  method: `zerotask.broker.${method}`,
  params,
});

/** A broker that has the task `cli-t` run on `worker`. */
function running(options: MachineOptions = {}): Driven {
  const driven = drive(machine(options));
  driven.node();
  driven.ask("client_new_task", { method: "add", params: [1], task_id: "t" });
  return driven;
}

/** What was told, shortened: `event` or the status, and `task`. */
function told(broker: Machine): string[] {
  return broker.told().map(({ entry: { taskId, body } }) => {
    const { event, message, data } = JSON.parse(`{${body.json}}`);
    return `${taskId} ${event === "status" ? data?.status : (event ?? message)}`;
  });
}

const events = (driven: Driven, params: object = { task_id: "cli-t" }) =>
  driven.ask("client_events", params) as {
    events: { seq: number; prev: number; event: string; data?: unknown }[];
    seq: number;
    status?: string;
    more?: true;
    lost?: true;
    code?: number;
  };

describe("statuses", () => {
  it("of a submitted task are events, from the moment that it is stored", () => {
    const broker = machine();
    const driven = drive(broker);
    driven.node();
    broker.holdStores();
    driven.ask("client_new_task", { method: "add", task_id: "t" });
    expect(told(broker)).toEqual([]);
    broker.storeAll();
    expect(told(broker)).toEqual(["cli-t QUEUED", "cli-t ASSIGNED"]);
    broker.from("worker", notify("node_task_status", { task_id: "cli-t#1", status: "RUNNING" }));
    broker.holdStores();
    driven.finish("cli-t#1");
    expect(told(broker)).toEqual(["cli-t RUNNING"]);
    broker.storeAll();
    expect(told(broker)).toEqual(["cli-t FINISHED"]);
  });

  it("come with attempts and the errors of what failed, over retries", () => {
    const driven = drive(machine());
    driven.node();
    const options = { retries: 1, backoff: { initial_ms: 100, jitter: 0 } };
    driven.ask("client_new_task", { method: "add", task_id: "t", options });
    driven.fail("cli-t#1");
    driven.after(100);
    driven.fail("cli-t#2", "still no");
    expect(events(driven).events.map(({ data }) => data)).toEqual([
      { status: "QUEUED", attempt: 0 },
      { status: "ASSIGNED", attempt: 1 },
      { status: "SCHEDULED", attempt: 1 },
      { status: "QUEUED", attempt: 1 },
      { status: "ASSIGNED", attempt: 2 },
      { status: "FAILED", attempt: 2, error: "still no" },
    ]);
    driven.ask("failed_retry", { task_id: "cli-t" });
    expect(told(driven.broker).slice(-2)).toEqual(["cli-t QUEUED", "cli-t ASSIGNED"]);
  });

  it("are told of tasks that are not due, lose their node, or are stopped", () => {
    const driven = drive(machine());
    driven.ask("client_new_task", { method: "add", task_id: "t", options: { delay_ms: 1_000 } });
    driven.node();
    driven.after(1_000);
    driven.broker.lost("worker");
    driven.ask("client_task_stop", { task_id: "cli-t" });
    const statuses = ["SCHEDULED", "QUEUED", "ASSIGNED", "QUEUED", "STOPPED"];
    expect(told(driven.broker)).toEqual(statuses.map((status) => `cli-t ${status}`));
  });

  it("of calls are told only where somebody listens", () => {
    let isHeard = false;
    const broker = machine({ isHeard: (method) => isHeard && method === "add" });
    broker.client("cli");
    broker.node("worker", ["add", "sub"], 10);
    broker.from("cli", call("add", 1, [1]));
    expect(broker.told()).toEqual([]);
    isHeard = true;
    broker.from("cli", call("add", 2, [1]));
    broker.from("cli", call("sub", 3, [1]));
    broker.from("worker", { jsonrpc: "2.0", id: "cli-2#1", result: 1 });
    broker.from("worker", { jsonrpc: "2.0", id: "cli-3#1", result: 1 });
    expect(told(broker)).toEqual(["cli-2 QUEUED", "cli-2 ASSIGNED", "cli-2 FINISHED"]);
  });

  it("of a shared run are those of all that take part", () => {
    const driven = drive(machine());
    driven.node(10, [{ name: "add", coalesce: true }]);
    driven.ask("client_new_task", { method: "add", params: [1], task_id: "t" });
    const [attempt = ""] = driven.started();
    driven.ask("client_new_task", { method: "add", params: [1], task_id: "u" });
    driven.broker.from("worker", notify("node_task_event", { task_id: attempt, event: "half" }));
    driven.finish(attempt);
    const all = told(driven.broker);
    for (const task of ["cli-t", "cli-u"]) {
      const statuses = all.filter((line) => line.startsWith(task)).map((line) => line.slice(6));
      expect(statuses).toEqual(["QUEUED", "ASSIGNED", "half", "FINISHED"]);
    }
  });

  it("are not told where the store failed", () => {
    const driven = running();
    driven.broker.told();
    driven.broker.holdStores();
    driven.finish("cli-t#1");
    driven.broker.handle({ type: "store-failed", level: "memory", reason: "full" });
    expect(driven.broker.told()).toEqual([]);
  });
});

describe("what a handler emits", () => {
  it("is kept, numbered, and read by who knows the task", () => {
    const driven = running();
    driven.broker.from(
      "worker",
      notify("node_task_event", { task_id: "cli-t#1", event: "half", data: { a: 1 } }),
    );
    const { events: read, seq, status } = events(driven);
    const half = read.at(-1);
    expect(half).toMatchObject({ event: "half", data: { a: 1 }, task_id: "cli-t", method: "add", at: 1_000 });
    expect([seq, status, half?.prev]).toEqual([half?.seq, "ASSIGNED", read.at(-2)?.seq]);
    expect(events(driven, { task_id: "cli-t", event: "half" }).events).toEqual([half]);
    expect(events(driven, { method: "add", after: read[1]?.seq }).events).toEqual([half]);
    expect(events(driven, { limit: 1 })).toMatchObject({ more: true, events: [read[0]] });
    expect(events(driven, { limit: 0 })).toMatchObject({ events: [], seq });
  });

  it("is refused from an attempt that is over, or from who is no node, and where it is malformed", () => {
    const driven = running();
    const { broker } = driven;
    broker.told();
    const good = { task_id: "cli-t#1", event: "half" };
    const bad = [
      { ...good, task_id: "cli-t#2" },
      { ...good, task_id: "cli-t" },
      { ...good, event: "" },
      { ...good, event: "x".repeat(201) },
      { ...good, event: "status" },
      { ...good, event: "gap" },
      { ...good, event: 7 },
      { ...good, event: "progress", data: { fraction: 2 } },
      { ...good, event: "progress" },
      { event: "half" },
    ];
    for (const params of bad) broker.from("worker", notify("node_task_event", params));
    expect(driven.ask("node_task_event", good)).toMatchObject({ code: -32070 });
    broker.node("other", [], 1);
    broker.from("other", notify("node_task_event", good));
    expect(broker.told()).toEqual([]);
    broker.from("worker", notify("node_task_event", { ...good, event: "progress", data: { fraction: 0.5 } }));
    expect(told(broker)).toEqual(["cli-t progress"]);
    driven.finish("cli-t#1");
    broker.told();
    broker.from("worker", notify("node_task_event", good));
    expect(broker.told()).toEqual([]);
  });

  it("is told without its data where that is too large", () => {
    const driven = running();
    const data = "x".repeat(70_000);
    driven.broker.from("worker", notify("node_task_event", { task_id: "cli-t#1", event: "big", data }));
    expect(events(driven).events.at(-1)).toMatchObject({ event: "big", data: { too_large: 70_002 } });
  });

  it("is bounded in number, for a task and in all, and what is lost is told, also to who comes late", () => {
    const driven = running({ eventsPerTask: 5 });
    const first = events(driven).events[0]?.seq ?? 0;
    for (let i = 0; i < 10; i++) {
      driven.broker.from("worker", notify("node_task_event", { task_id: "cli-t#1", event: `e${i}` }));
    }
    const read = events(driven);
    expect(read.events.map(({ event }) => event)).toEqual(["e5", "e6", "e7", "e8", "e9"]);
    expect(read.lost).toBe(true);
    expect(events(driven, { task_id: "cli-t", after: first }).lost).toBe(true);
    expect(events(driven, { method: "add" }).lost).toBeUndefined();
  });

  it("names what it can't know, where all before is forgotten", () => {
    const driven = running({ eventsKept: 3 });
    const [first] = events(driven).events;
    driven.node(10, ["other"]);
    for (const task of ["u", "v"]) driven.ask("client_new_task", { method: "other", task_id: task });
    driven.finish("cli-t#1");
    const [last] = events(driven).events;
    expect(last).toMatchObject({ data: { status: "FINISHED" } });
    expect(last?.prev).toBeGreaterThan(first?.seq ?? 0);
    expect(events(driven, { task_id: "cli-t", after: first?.seq }).lost).toBe(true);
  });

  it("in a shared run is told of so many that take part in it", () => {
    const driven = drive(machine());
    driven.node(10, [{ name: "add", coalesce: true }]);
    driven.ask("client_new_task", { method: "add", params: [1], task_id: "t" });
    const [attempt = ""] = driven.started();
    for (let i = 0; i < 150; i++)
      driven.ask("client_new_task", { method: "add", params: [1], task_id: `u${i}` });
    driven.broker.told();
    driven.broker.from("worker", notify("node_task_event", { task_id: attempt, event: "half" }));
    const lines = [{ at: 1, level: "info", message: "line" }];
    driven.broker.from("worker", notify("node_task_log", { task_id: attempt, lines }));
    const all = told(driven.broker);
    expect([all.length, all[0], all[100]]).toEqual([200, "cli-t half", "cli-t line"]);
  });

  it("takes about the memory that it is counted with", () => {
    const driven = running({ eventsPerTask: 100_000, eventsKept: 100_000, maxEventBytes: 2_000_000 });
    // Of 60 kB each, and a million bytes if it were kept as it is parsed.
    const data = Array.from({ length: 15_000 }, () => [7]);
    for (let i = 0; i < 50; i++) {
      driven.broker.from("worker", notify("node_task_event", { task_id: "cli-t#1", event: "e", data }));
    }
    for (const { entry } of driven.broker.told().slice(-33)) {
      expect(Object.values(entry.body).map((value) => typeof value)).toEqual(["string", "string"]);
    }
    const read = events(driven, { task_id: "cli-t", event: "e" });
    expect([read.events.length, read.more, read.events[0]?.data]).toEqual([17, true, data]);
  });
});

it("keeps a task's events for who comes late, with its status, and knows none of an unknown one", () => {
  const driven = running();
  driven.finish("cli-t#1");
  driven.broker.client("other");
  driven.after(10_000);
  expect(events(driven)).toMatchObject({
    status: "FINISHED",
    events: [{}, {}, { data: { status: "FINISHED" } }],
  });
  expect(events(driven, { task_id: "nobody" }).code).toBe(-32020);
});

it("shows a call's events and lines by its id to anybody, as they are announced to anybody", () => {
  const driven = drive(machine({ isHeard: () => true }));
  driven.node();
  driven.broker.client("other");
  driven.broker.from("other", call("add", 1, [1]));
  expect(events(driven, { task_id: "other-1" })).toMatchObject({ status: "ASSIGNED", events: [{}, {}] });
  expect(driven.ask("client_task_logs", { task_id: "other-1" })).toMatchObject({ lines: [] });
  expect(driven.ask("client_task_status", { task_id: "other-1" })).toMatchObject({ code: -32070 });
});

describe("one message that asks for a lot", () => {
  const question = (id: number, params: object) => call("zerotask.broker.client_events", id, params);
  type Answers = { id: number; result: { events: object[]; more?: true; next?: number; lost?: true } }[];

  /** What a peer without a session is answered to a batch. */
  function asked(broker: Machine, batch: readonly object[]): Answers {
    const [reply] = broker.from("stranger", batch, "req");
    return (reply as { message: unknown }).message as Answers;
  }

  function full(tasks: number): Machine {
    const broker = machine({ eventsKept: 200_000, maxEventBytes: 1e9, maxTasks: 1e6, maxStoredTasks: 1e6 });
    broker.client("cli");
    for (let i = 0; i < tasks; i++) {
      broker.from("cli", call("zerotask.broker.client_new_task", i, { method: "add", task_id: `t${i}` }));
    }
    return broker;
  }

  it("gets a page of all that is there, however many questions it has", () => {
    const broker = full(3_000);
    const answers = asked(
      broker,
      Array.from({ length: 10_000 }, (_, id) => question(id, { limit: 10_000 })),
    );
    expect(answers).toHaveLength(10_000);
    expect(answers[0]?.result.events).toHaveLength(1_000);
    expect(answers.flatMap(({ result }) => result.events).length).toBeLessThan(4_000);
    expect(answers.at(-1)?.result).toMatchObject({ events: [], more: true, next: 0 });
    // The next one has as much again.
    expect(asked(broker, [question(1, {})])[0]?.result.events).toHaveLength(1_000);
  });

  it("looks at so many that nothing is found of, and is told where to go on", () => {
    const { broker } = running({ eventsKept: 100_000, eventsPerTask: 100_000, maxEventBytes: 1e9 });
    const batch = Array.from({ length: 10_000 }, () =>
      notify("node_task_event", { task_id: "cli-t#1", event: "many" }),
    );
    for (let i = 0; i < 5; i++) broker.from("worker", batch);
    let [after, pages] = [0, 0];
    for (; pages < 10; pages++) {
      const none = { event: "none", method: "add" };
      const [answer, other] = asked(broker, [question(1, { ...none, after }), question(2, none)]);
      if (answer?.result.more === undefined) break;
      expect(other?.result).toEqual({ events: [], seq: expect.any(Number), more: true, next: 0 });
      expect(answer.result.next).toBeGreaterThan(after);
      after = answer.result.next ?? 0;
    }
    expect(pages).toBe(2);
  });
});

it("keeps lines of logs apart, and passes over those that are none", () => {
  const driven = running({ logLinesPerTask: 3 });
  const lines = [
    { at: 7, level: "info", message: "one", data: { a: 1 } },
    { at: 8, level: "loud", message: "no" },
    null,
    { level: "error", message: "two" },
    { at: 9, level: "warn", message: "x".repeat(70_000) },
  ];
  driven.broker.from("worker", notify("node_task_log", { task_id: "cli-t#1", lines }));
  driven.broker.from("worker", notify("node_task_log", { task_id: "cli-t#9", lines }));
  driven.broker.from("worker", notify("node_task_log", { task_id: "cli-t#1", lines: "none" }));
  const answer = driven.ask("client_task_logs", { task_id: "cli-t" }) as { lines: Record<string, unknown>[] };
  expect(answer).toMatchObject({ status: "ASSIGNED" });
  expect(answer.lines).toMatchObject([
    { at: 7, attempt: 1, level: "info", message: "one", data: { a: 1 } },
    { at: 1_000, level: "error", message: "two" },
    { level: "warn" },
  ]);
  expect(String(answer.lines[2]?.message).length).toBeLessThan(66_000);
  const more = [{ at: 10, level: "debug", message: "four" }];
  driven.broker.from("worker", notify("node_task_log", { task_id: "cli-t#1", lines: more }));
  const after = answer.lines[0]?.seq;
  expect(driven.ask("client_task_logs", { task_id: "cli-t", after })).toMatchObject({
    lines: [{ message: "two" }, { level: "warn" }, { message: "four" }],
  });
  expect(events(driven).events).toHaveLength(2);
});

it("tells the last number to who subscribes, and every 5 s", () => {
  const driven = running();
  const hello = { type: "announce", method: "zerotask.broker.hello" };
  const params = { epoch: "epoch", seq: events(driven).seq };
  expect(driven.broker.handle({ type: "subscribed" })).toEqual([{ ...hello, params }]);
  expect(driven.after(5_000)).toContainEqual({ ...hello, params });
});

it("gives all that one message asks for one page, also of tasks whose records are stored", () => {
  const driven = running({ maxEventBytes: 64_000_000 });
  const data = "x".repeat(60_000);
  for (let i = 0; i < 15; i++) {
    driven.broker.from("worker", notify("node_task_event", { task_id: "cli-t#1", event: "big", data }));
  }
  driven.finish("cli-t#1");
  const questions = Array.from({ length: 200 }, (_, i) =>
    call("zerotask.broker.client_events", i, { task_id: "cli-t" }),
  );
  const replies = sends(driven.broker.from("stranger", questions));
  expect(replies).toHaveLength(1);
  expect(JSON.stringify(replies).length).toBeLessThan(1_200_000);
});

it("cuts what handlers tell at once short, and tells who follows them that some is lost", () => {
  const broker = machine();
  const driven = drive(broker);
  driven.node(100, [{ name: "add", coalesce: true }]);
  for (let i = 0; i < 100; i++) driven.ask("client_new_task", { method: "add", task_id: `t${i}` });
  const [attempt = ""] = driven.started();
  const lines = Array.from({ length: 1_000 }, (_, i) => ({ at: i, level: "info", message: `line ${i}` }));
  const params = { task_id: attempt, lines };
  broker.told();
  broker.from("worker", [notify("node_task_log", params), notify("node_task_log", params)]);
  expect(broker.told()).toHaveLength(10_000);
  const read = driven.ask("client_task_logs", { task_id: "cli-t0" }) as {
    lines: { seq: number }[];
    lost?: true;
  };
  expect(read.lost).toBe(true);
  const [last] = read.lines.slice(-1);
  expect(driven.ask("client_task_logs", { task_id: "cli-t0", after: last?.seq })).toMatchObject({
    lines: [],
    lost: true,
  });
  broker.from("worker", notify("node_task_log", { task_id: attempt, lines: lines.slice(0, 1) }));
  expect(driven.ask("client_task_logs", { task_id: "cli-t0", after: last?.seq })).toMatchObject({
    lines: [{ message: "line 0" }],
    lost: true,
  });
});

it("tells also who follows a task of which nothing was told before that the rest of what is cut short is lost", () => {
  const broker = machine();
  const driven = drive(broker);
  driven.node();
  for (const task_id of ["t", "u"]) driven.ask("client_new_task", { method: "add", task_id });
  const lines = Array.from({ length: 10_000 }, (_, i) => ({ at: i, level: "info", message: `line ${i}` }));
  const logged = (id: string, some: object[]): object =>
    notify("node_task_log", { task_id: id, lines: some });
  const read = (): unknown => driven.ask("client_task_logs", { task_id: "cli-u" });
  broker.from("worker", [logged("cli-t#1", lines), logged("cli-u#1", lines.slice(0, 1))]);
  expect(read()).toMatchObject({ lines: [{ message: "line 0" }] });
  expect(read()).not.toHaveProperty("lost");
  driven.ask("client_new_task", { method: "add", task_id: "v" });
  broker.from("worker", [logged("cli-t#1", lines), logged("cli-v#1", lines.slice(0, 3))]);
  expect(driven.ask("client_task_logs", { task_id: "cli-v" })).toMatchObject({
    lines: [{ message: "line 0" }],
    lost: true,
  });
});

it("says hello at each look for a while after many events, as the last of them may be lost to some", () => {
  const driven = running();
  driven.after(5_000);
  const emit = (many: number): void => {
    for (let i = 0; i < many; i++) {
      driven.broker.from("worker", notify("node_task_event", { task_id: "cli-t#1", event: "half" }));
    }
  };
  const hellos = (seconds: number): number =>
    Array.from({ length: seconds }, () => driven.after(1_000))
      .flat()
      .filter((effect) => effect.type === "announce" && effect.method === "zerotask.broker.hello").length;
  emit(499);
  expect(hellos(4)).toBe(0);
  expect(hellos(1)).toBe(1);
  emit(500);
  expect(hellos(5)).toBe(5);
  expect(hellos(4)).toBe(0);
});

it("goes on with higher numbers after a restart, and counts no status twice", () => {
  const first = machine({ startAt: 1_000 });
  const before = drive(first);
  before.ask("client_new_task", { method: "add", task_id: "t" });
  const { seq } = events(before);
  const after = drive(machine({ stores: first.stores, startAt: 5_000 }));
  after.node();
  after.after(2_000);
  const read = events(after, { task_id: "cli-t", after: seq });
  expect(read.events.map(({ data }) => data)).toEqual([{ status: "ASSIGNED", attempt: 1 }]);
  expect(read.events[0]?.seq).toBeGreaterThan(seq);
  expect(read.lost).toBeUndefined();
});
