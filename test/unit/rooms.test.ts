// Methods of a node that have slots of their own.
import { expect, it } from "vitest";
import { answer, call, type Machine, machine, send, sends } from "../support/broker-machine.ts";

/** A node with one slot for `add`, and one for `slow`. */
function start(): Machine {
  const broker = machine();
  broker.client("c");
  broker.node("n", ["add", "slow"], 1, { rooms: [{ name: "thread", slots: 1, methods: ["slow"] }] });
  return broker;
}

it("fills the slots of a room, and leaves others theirs", () => {
  const broker = start();
  const assigned = broker.from("c", [call("slow", 1), call("slow", 2), call("add", 3), call("add", 4)]);
  expect(sends(assigned)).toEqual([
    send("n", { method: "slow", id: "c-1#1" }),
    send("n", { method: "add", id: "c-3#1" }),
  ]);
  expect(sends(broker.from("n", answer("c-1#1", 0)))).toEqual([
    send("c", { id: 1, result: 0 }),
    send("n", { method: "slow", id: "c-2#1" }),
  ]);
});

it("gives nothing more of a room of which something was handed back, until the node asks for it", () => {
  const broker = start();
  broker.from("c", [call("slow", 1), call("add", 2), call("add", 3)]);
  const status = { task_id: "c-1#1", status: "QUEUED" };
  expect(sends(broker.from("n", call("zerotask.broker.node_task_status", "s", status)))).toEqual([
    send("n", { id: "s", result: true }),
  ]);
  expect(sends(broker.from("n", answer("c-2#1", 0)))).toContainEqual(
    send("n", { method: "add", id: "c-3#1" }),
  );
  const fetched = broker.from("n", call("zerotask.broker.node_fetch", "f", { capacity: 1, room: "thread" }));
  expect(sends(fetched)).toContainEqual(send("n", { method: "slow", id: "c-1#2" }));
});

it("refuses rooms that are none", () => {
  const broker = start();
  const fetch = call("zerotask.broker.node_fetch", "f", { capacity: 1, room: "other" });
  expect(JSON.stringify(broker.from("n", fetch))).toContain(
    "Expected `room` to be one that the node introduced",
  );
  const rooms = [{ name: "thread", slots: -1, methods: [] }];
  expect(() => broker.node("m", ["add"], 1, { rooms })).not.toThrow();
  expect(sends(broker.from("c", [call("add", 8), call("add", 9)]))).toEqual([
    send("n", { method: "add", id: "c-8#1" }),
  ]);
});
