import { describe, expect, it } from "vitest";
import type { Effect } from "../../packages/broker/src/state/effect.ts";
import { call, type Machine, machine, send, sends } from "../support/broker-machine.ts";

const id = "local:n-1";
const runLocal = (more: object = {}): object =>
  call("zerotask.broker.node_run_local", "l", { name: "1", method: "watch", params: ["/"], ...more });
const stop = call("zerotask.broker.client_task_stop", "x", { task_id: id, confirm: true });
const start = call("zerotask.broker.client_task_start", "go", [id]);
const reload = call("zerotask.broker.client_task_reload", "re", { task_id: id, params: ["/tmp"] });
const status = call("zerotask.broker.client_task_get", "g", [id]);
const assigned = (number: number, params: unknown = ["/"]): Effect =>
  send("n", { method: "watch", params, id: `${id}#${number}` });
const ended = (number: number): object => ({
  ...{ jsonrpc: "2.0", id: `${id}#${number}` },
  error: { code: -32040, message: "", data: { how: "cooperative" } },
});

function cluster(options: Parameters<typeof machine>[0] = {}): Machine {
  const broker = machine(options);
  broker.client("c");
  broker.node("n", ["watch"], 1);
  return broker;
}

function stopped(): Machine {
  const broker = cluster();
  broker.from("n", runLocal());
  broker.from("c", stop);
  broker.from("n", ended(1));
  return broker;
}

describe("a task of a node's own that was stopped", () => {
  it("is STOPPED for all who ask, and begins again on its node with its next attempt", () => {
    const broker = stopped();
    expect(sends(broker.from("c", status))).toMatchObject([{ message: { result: { status: "STOPPED" } } }]);
    expect(sends(broker.from("c", start))).toEqual([assigned(2), send("c", { id: "go", result: true })]);
    expect(sends(broker.from("c", start))).toMatchObject([{ message: { error: { code: -32021 } } }]);
  });

  it("can be made anew with other params", () => {
    expect(sends(stopped().from("c", reload))).toContainEqual(assigned(2, ["/tmp"]));
  });

  it("can't begin again when its node is gone", () => {
    const broker = stopped();
    broker.lost("n");
    expect(sends(broker.from("c", start))).toMatchObject([{ message: { error: { code: -32042 } } }]);
  });

  it("stays so where its node was away just then, and brings it back", () => {
    const broker = cluster();
    broker.from("n", runLocal());
    broker.from("c", stop);
    expect(sends(broker.lost("n"))).toMatchObject([
      { message: { result: { how: "killed", status: "STOPPED" } } },
    ]);
    broker.node("n", ["watch"], 1);
    expect(sends(broker.from("n", runLocal({ attempt: 1 })))).toContainEqual(
      send("n", { method: "zerotask.node.task_abort", params: { id: `${id}#1` } }),
    );
    expect(sends(broker.from("c", status))).toMatchObject([{ message: { result: { status: "STOPPED" } } }]);
  });

  it("runs where another process of that name wants it", () => {
    const broker = stopped();
    broker.lost("n");
    broker.node("n", ["watch"], 1, { token: "another" });
    expect(sends(broker.from("n", runLocal()))).toContainEqual(assigned(1));
  });
});

it("a task of a node's own is made anew with the params that were given", () => {
  const broker = cluster();
  broker.from("n", runLocal());
  broker.from("c", reload);
  expect(sends(broker.from("n", ended(1)))).toContainEqual(assigned(2, ["/tmp"]));
});

it("takes no more tasks of a node's own than a node may have, however full it is else", () => {
  const broker = cluster({ maxTasks: 10 });
  for (let name = 1; name <= 1_000; name++) broker.from("n", runLocal({ name: `${name}` }));
  expect(sends(broker.from("n", runLocal({ name: "more" })))).toMatchObject([
    { message: { error: { code: -32060, data: { retry_after_ms: 1_000 } } } },
  ]);
  const large = cluster();
  const params = ["x".repeat(400_000)];
  for (let name = 1; name <= 41; name++) large.from("n", runLocal({ name: `${name}`, params }));
  expect(sends(large.from("n", runLocal({ name: "42", params })))).toMatchObject([
    { message: { error: { code: -32060 } } },
  ]);
});

it("refuses a name of a node's own task that could make its id another's", () => {
  expect(sends(cluster().from("n", runLocal({ name: "a-b" })))).toMatchObject([
    { message: { error: { message: 'Expected a name without "-", got "a-b"' } } },
  ]);
});

it.each([
  ["is stopped", (broker: Machine) => [...broker.from("c", stop), ...broker.from("n", ended(1))], "STOPPED"],
  ["is lost with its node", (broker: Machine) => broker.lost("n"), "FAILED"],
])("who waits for a task of a node's own is told when it %s", (_, end, outcome) => {
  const broker = cluster();
  broker.from("n", runLocal());
  broker.client("d");
  expect(sends(broker.from("d", call("zerotask.broker.client_task_wait", "w", { task_id: id })))).toEqual([]);
  const told = sends(end(broker)).filter((effect) => "peer" in effect && effect.peer === "d");
  expect(told).toMatchObject([{ message: { id: "w", result: { task_id: id, status: outcome } } }]);
});

it("a task of a node's own that waits to be run again is over when another process has its node's name", () => {
  const broker = cluster();
  broker.from("n", runLocal());
  broker.from("n", { jsonrpc: "2.0", id: `${id}#1`, error: { code: -32000, message: "no" } });
  broker.lost("n");
  broker.node("n2", ["look"], 1, { node_id: "n", token: "another" });
  const effects = sends(broker.from("n2", runLocal({ method: "look", params: ["/new"] })));
  const looked = { method: "look", params: ["/new"], id: `${id}#1` };
  expect(effects).toContainEqual(send("n2", looked));
  const later = sends(broker.after(600_000)).filter((effect) => JSON.stringify(effect).includes(id));
  expect(later).toEqual([]);
});

it("a task of a node's own has an outcome for who asks later", () => {
  const broker = cluster();
  broker.from("n", runLocal());
  broker.from("n", { jsonrpc: "2.0", id: `${id}#1`, result: 7 });
  expect(sends(broker.from("c", status))).toMatchObject([
    { message: { result: { status: "FINISHED", result: 7 } } },
  ]);
  expect(sends(broker.from("c", start))).toMatchObject([{ message: { error: { code: -32021 } } }]);
  expect(sends(broker.from("c", reload))).toContainEqual(assigned(2, ["/tmp"]));
});

it("the outcomes of tasks of a node's own are kept as far as they take no more than so many bytes", () => {
  const broker = cluster();
  for (let name = 1; name <= 20; name++) {
    broker.from("n", runLocal({ name: `${name}` }));
    broker.from("n", { jsonrpc: "2.0", id: `local:n-${name}#1`, result: "x".repeat(1_000_000) });
  }
  expect(broker.counts.tasks).toBe(16);
});

it.each([
  ["attempt", { attempt: 0 }],
  ["attempt", { attempt: Number.MAX_SAFE_INTEGER }],
  ["method", { method: "broker.status" }],
  ["method", { method: "zerotask.broker.node_fetch" }],
])("a node can't run a task of its own with such a %s: %o", (name, more) => {
  const [effect] = sends(cluster().from("n", runLocal(more)));
  expect(effect).toMatchObject({ message: { error: { code: -32602 } } });
  expect(JSON.stringify(effect)).toContain(`\`${name}\``);
});
