import { expect, it } from "vitest";
import { call, type Machine, machine, sends } from "../support/broker-machine.ts";

const retried = { retries: 3, backoff: { initial_ms: 10, jitter: 0 } };
const submit = (task_id: string, options: object = {}): object =>
  call("zerotask.broker.client_new_task", `s${task_id}`, {
    ...{ method: "add", params: [1], task_id, options: { ...retried, ...options } },
  });
const stop = call("zerotask.broker.client_task_stop", "x", { task_id: "c-1", confirm: true });

/** A broker with tasks that share one run, and the attempt that is. */
function shared(ids: readonly string[], options: object = {}): { broker: Machine; attempt: string } {
  const broker = machine({ hasDisk: true });
  broker.client("c");
  broker.node("n", [{ name: "add", coalesce: true }], 5);
  const effects = ids.flatMap((id) => sends(broker.from("c", submit(id, options))));
  const assigned = effects.find((effect) => effect.type === "send" && effect.peer === "n");
  return { broker, attempt: (assigned as unknown as { message: { id: string } }).message.id };
}

const failure = (id: string): object => ({ jsonrpc: "2.0", id, error: { code: -32000, message: "no" } });

it("a stop ends a task whose shared run fails by itself meanwhile: it is not run again", () => {
  const { broker, attempt } = shared(["1"]);
  broker.from("c", stop);
  expect(sends(broker.from("n", failure(attempt)))).toMatchObject([
    { message: { id: "x", result: { how: "finished-first", status: "FAILED" } } },
  ]);
  expect(sends(broker.after(900))).toEqual([]);
});

it("nobody claims to know how a shared run ended that was stopped without waiting, unless it goes on for others", () => {
  const stopPlainly = call("zerotask.broker.client_task_stop", "p", ["c-1"]);
  const how = (ids: readonly string[]): unknown => {
    const { broker } = shared(ids);
    broker.from("c", stopPlainly);
    return sends(broker.from("c", stop));
  };
  expect(how(["1"])).toMatchObject([{ message: { result: { how: "unstoppable", status: "STOPPED" } } }]);
  expect(how(["1", "2"])).toMatchObject([{ message: { result: { how: "never-started" } } }]);
});

it("who waits for a shared run is told that somebody stopped its task at once when that is stored", () => {
  const { broker } = shared(["1"]);
  broker.client("d");
  broker.from("c", stop);
  broker.holdStores();
  const told = { message: { id: "x", result: { how: "unstoppable", status: "STOPPED" } } };
  const early = sends(broker.from("d", call("zerotask.broker.client_task_stop", "p", ["c-1"])));
  expect(early).toMatchObject([{ message: { method: "zerotask.node.task_abort" } }]);
  expect(sends(broker.storeAll())).toMatchObject([told, { message: { id: "p", result: "STOPPED" } }]);
});

it("who waits for a shared run that can't be stopped hears which status the task has, and what becomes of it", () => {
  const { broker, attempt } = shared(["1"]);
  broker.from("n", call("zerotask.broker.node_task_status", "r", { task_id: attempt, status: "RUNNING" }));
  broker.from("c", stop);
  broker.from("c", call("zerotask.broker.client_task_reload", "re", ["c-1"]));
  const unstoppable = call("zerotask.broker.node_task_unstoppable", "u", { task_id: attempt });
  expect(sends(broker.from("n", unstoppable))).toMatchObject([
    { message: { id: "x", result: { how: "unstoppable", status: "RUNNING" } } },
    { message: { id: "re", error: { code: -32021 } } },
    { message: { id: "u" } },
  ]);
});

it.each([
  ["the same params", undefined],
  ["others", [2]],
])("a task that is made anew with %s after a shared run has all the time it takes", (_, params) => {
  const { broker, attempt } = shared(["1"], { deadline_ms: 1_000 });
  broker.after(500);
  broker.from("c", call("zerotask.broker.client_task_reload", "re", { task_id: "c-1", params }));
  const ended = { code: -32040, message: "", data: { how: "cooperative" } };
  broker.from("n", { jsonrpc: "2.0", id: attempt, error: ended });
  broker.after(500);
  expect(broker.stores.disk.get(["c-1"])[0]?.status).toBe("QUEUED");
});

it("a task that is made anew, and stays in the run that it shares with others, has no more time than before", () => {
  const { broker } = shared(["1"], { deadline_ms: 1_000 });
  broker.from("c", submit("2"));
  broker.from("c", call("zerotask.broker.client_task_reload", "re", ["c-1"]));
  broker.after(1_000);
  expect(broker.stores.disk.get(["c-1", "c-2"]).map(({ status }) => status)).toEqual(["EXPIRED", "QUEUED"]);
});

it("a task whose deadline ends while others go on with its shared run is told how long it had", () => {
  const { broker } = shared(["1"], { deadline_ms: 1_000, expires_ms: 100, notify: true });
  broker.from("c", submit("2"));
  expect(sends(broker.after(100))).toEqual([]);
  const [, told] = sends(broker.after(900));
  expect(told).toMatchObject({ message: { params: { task_id: "c-1", status: "EXPIRED" } } });
  expect(JSON.stringify(told)).toContain("more than 1000 ms");
});

it("a shared run that takes too long and can't be stopped is not run a second time beside itself", () => {
  const { broker, attempt } = shared(["1", "2"], { timeout_ms: 100 });
  broker.after(100);
  broker.from("n", call("zerotask.broker.node_task_unstoppable", "u", { task_id: attempt }));
  expect(broker.stores.disk.get(["c-1", "c-2"]).map(({ status }) => status)).toEqual(["EXPIRED", "EXPIRED"]);
  expect(sends(broker.after(700))).toEqual([]);
});

it("a shared run that fails is run again for each that may be retried", () => {
  const { broker, attempt } = shared(["1", "2"]);
  broker.from("n", failure(attempt));
  expect(sends(broker.after(10))).toMatchObject([{ message: { method: "add", params: [1] } }]);
});
