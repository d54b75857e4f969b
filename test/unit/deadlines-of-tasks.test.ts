import { describe, expect, it } from "vitest";
import { call, type Machine, machine, sends } from "../support/broker-machine.ts";

const submit = (options: object): object =>
  call("zerotask.broker.client_new_task", "s", { method: "add", params: [1], task_id: "1", options });
const retried = { retries: 50, notify: true, backoff: { initial_ms: 100, factor: 1, jitter: 0 } };
const failure = (id: string): object => ({ jsonrpc: "2.0", id, error: { code: -32000, message: "no luck" } });
const meta = (timeout_ms: number): object => ({ meta: { timeout_ms } });
const settled = (status: string, message: string): object => ({
  message: { params: { status, error: { code: -32041, message } } },
});

function cluster(slots = 1): Machine {
  const broker = machine({ hasDisk: true });
  broker.client("c");
  broker.node("n", ["add"], slots);
  return broker;
}

describe("a task with a deadline that fails", () => {
  it("is not run again where that would begin after its deadline", () => {
    const broker = cluster();
    broker.from("c", submit({ ...retried, deadline_ms: 250 }));
    broker.from("n", failure("c-1#1"));
    expect(sends(broker.after(100))).toMatchObject([{ message: { id: "c-1#2", ...meta(150) } }]);
    broker.after(50);
    expect(sends(broker.from("n", failure("c-1#2")))).toMatchObject([
      settled("EXPIRED", "The task has no time left to be run again, after its last run ended: no luck"),
    ]);
    expect(sends(broker.after(800))).toEqual([]);
  });

  it("expires at its deadline where it waits for a node meanwhile", () => {
    const broker = cluster();
    broker.from("c", submit({ ...retried, deadline_ms: 250 }));
    broker.from("n", failure("c-1#1"));
    broker.from("n", call("zerotask.broker.node_fetch", "f", { capacity: 0 }));
    expect(sends(broker.after(249))).toEqual([]);
    expect(sends(broker.after(1))).toMatchObject([
      settled("EXPIRED", "The task waited for more than 250 ms"),
    ]);
  });

  it("keeps its deadline over a restart of the broker", () => {
    const before = cluster();
    before.from("c", submit({ ...retried, deadline_ms: 250 }));
    before.from("n", failure("c-1#1"));
    const broker = machine({ hasDisk: true, stores: before.stores, startAt: 1_200, adoptMs: 0 });
    broker.after(50);
    expect(broker.stores.disk.get(["c-1"])[0]?.status).toBe("EXPIRED");
  });

  it("ends at once where a run takes until the deadline", () => {
    const broker = cluster();
    broker.from("c", submit({ ...retried, deadline_ms: 250 }));
    expect(sends(broker.after(250))).toMatchObject([
      { message: { method: "zerotask.node.task_abort" } },
      settled("EXPIRED", "The task ran for more than 250 ms"),
    ]);
  });
});

describe("a task that begins anew after its deadline", () => {
  const commands = {
    start: (broker: Machine) => broker.from("c", call("zerotask.broker.client_task_start", "go", ["c-1"])),
    reload: (broker: Machine) =>
      broker.from("c", call("zerotask.broker.client_task_reload", "go", { task_id: "c-1" })),
  };
  for (const [name, begin] of Object.entries(commands)) {
    it(`by ${name} has all the time it takes`, () => {
      const broker = cluster();
      broker.from("c", submit({ deadline_ms: 250, retries: 1, backoff: { initial_ms: 10, jitter: 0 } }));
      broker.from("c", call("zerotask.broker.client_task_stop", "x", ["c-1"]));
      broker.after(900);
      const effects = sends(begin(broker)) as unknown as { message: object }[];
      expect(effects.map(({ message }) => message)).toContainEqual({
        ...{ jsonrpc: "2.0", method: "add", params: [1], id: "c-1#2" },
      });
      broker.from("n", failure("c-1#2"));
      expect(sends(broker.after(10))).toMatchObject([{ message: { id: "c-1#3" } }]);
    });
  }

  it("by a reload while it runs has all the time it takes", () => {
    const broker = cluster();
    broker.from("c", submit({ deadline_ms: 2_500, expires_ms: 500 }));
    broker.after(900);
    commands.reload(broker);
    const how = { code: -32040, message: "", data: { how: "killed" } };
    expect(sends(broker.from("n", { jsonrpc: "2.0", id: "c-1#1", error: how }))).toContainEqual(
      expect.objectContaining({ message: { jsonrpc: "2.0", method: "add", params: [1], id: "c-1#2" } }),
    );
  });
});
