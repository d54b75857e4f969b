// A task is submitted again that the store has settled: until the store has told, it looks like a new one.
import { describe, expect, it } from "vitest";
import { answer, call, type Machine, machine, send, sends } from "../support/broker-machine.ts";

const newTask = call("zerotask.broker.client_new_task", "s", { method: "add", params: [1], task_id: "1" });

/** A broker with a disk that has settled the task `c-1`, of which a second submission is on its way to the store. */
function submittedAgain(): Machine {
  const broker = machine({ hasDisk: true });
  broker.client("c");
  broker.client("d");
  broker.node("n", ["add"], 1);
  broker.from("c", newTask);
  broker.from("n", answer("c-1#1", 11));
  broker.holdStores();
  broker.from("c", newTask);
  return broker;
}

describe("a settled task that is submitted again", () => {
  it("has its outcome for who waits for it at that moment", () => {
    const broker = submittedAgain();
    broker.from("d", call("zerotask.broker.client_task_wait", "w", ["c-1"]));
    const result = { task_id: "c-1", status: "FINISHED", result: 11 };
    expect(sends(broker.storeAll())).toContainEqual(send("d", { id: "w", result }));
  });

  it("has its record for who looks at that moment", () => {
    const broker = submittedAgain();
    broker.from("d", call("zerotask.broker.client_task_get", "w", ["c-1"]));
    const result = expect.objectContaining({ status: "FINISHED", attempt: 1, result: 11 });
    expect(sends(broker.storeAll())).toContainEqual(send("d", { id: "w", result }));
  });

  it("keeps its outcome when it is stopped at that moment", () => {
    const broker = submittedAgain();
    broker.from("d", call("zerotask.broker.client_task_stop", "w", ["c-1"]));
    expect(sends(broker.storeAll())).toEqual([
      send("c", { id: "s", result: "c-1" }),
      send("d", { id: "w", result: "FINISHED" }),
    ]);
  });
});
