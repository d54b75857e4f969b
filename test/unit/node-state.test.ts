import { expect, it } from "vitest";
import { type Assignment, type NodeEffect, NodeState } from "../../packages/node/src/state/node-state.ts";

const task = (id: string, link = 0): Assignment => ({
  link,
  id,
  request: { jsonrpc: "2.0", method: "add", id },
});
const response = { jsonrpc: "2.0", id: "x", result: 1 } as const;
const withoutWakes = (effects: readonly NodeEffect[]): NodeEffect[] =>
  effects.filter(({ type }) => type !== "wake");

it("starts what it has slots for, and lets the rest wait", () => {
  const node = new NodeState({ slots: 1, prefetch: 10 });
  const [first, second] = [task("a#1"), task("b#1")];
  expect(node.handle({ type: "assigned", assignment: first }, 0)).toEqual([
    { type: "wake", at: 10 },
    { type: "start", assignment: first },
  ]);
  expect(withoutWakes(node.handle({ type: "assigned", assignment: second }, 1))).toEqual([]);
  expect(withoutWakes(node.handle({ type: "ended", assignment: first, response }, 9))).toEqual([
    { type: "answer", assignment: first, response },
    { type: "start", assignment: second },
  ]);
});

it("reports a task as running once it has run for 10 ms", () => {
  const node = new NodeState({ slots: 2, prefetch: 0 });
  const [short, long] = [task("a#1"), task("b#1")];
  node.handle({ type: "assigned", assignment: short }, 0);
  node.handle({ type: "assigned", assignment: long }, 0);
  node.handle({ type: "ended", assignment: short, response }, 5);
  expect(withoutWakes(node.handle({ type: "tick" }, 9))).toEqual([]);
  expect(withoutWakes(node.handle({ type: "tick" }, 10))).toEqual([
    { type: "report-running", assignment: long },
  ]);
  expect(node.handle({ type: "tick" }, 30)).toEqual([]);
});

it("hands back a task that has waited for 10 ms, and asks again when there is room", () => {
  const node = new NodeState({ slots: 1, prefetch: 10 });
  const quick = task("a#1");
  node.handle({ type: "welcomed", link: 0 }, 0);
  node.handle({ type: "assigned", assignment: quick }, 0);
  expect(node.handle({ type: "ended", assignment: quick, response }, 0)).toContainEqual({
    type: "fetch",
    link: 0,
    capacity: 11,
  });
  const [running, waiting] = [task("b#1"), task("c#1")];
  node.handle({ type: "assigned", assignment: running }, 20);
  node.handle({ type: "assigned", assignment: waiting }, 20);
  expect(withoutWakes(node.handle({ type: "tick" }, 30))).toEqual([
    { type: "report-running", assignment: running },
    { type: "hand-back", assignment: waiting },
  ]);
  expect(node.handle({ type: "ended", assignment: running, response }, 50)).toContainEqual({
    type: "fetch",
    link: 0,
    capacity: 1,
  });
});

it("lets as many wait as should start within 5 ms, going by the mean run time", () => {
  const node = new NodeState({ slots: 10, prefetch: 1_000 });
  node.handle({ type: "welcomed", link: 0 }, 0);
  const one = task("a#1");
  node.handle({ type: "assigned", assignment: one }, 0);
  expect(node.handle({ type: "ended", assignment: one, response }, 2)).toContainEqual({
    type: "fetch",
    link: 0,
    capacity: 35,
  });
});

it("gives no answer to a task that was aborted", () => {
  const node = new NodeState({ slots: 1, prefetch: 10 });
  const [running, waiting] = [task("a#1"), task("b#1")];
  node.handle({ type: "assigned", assignment: running }, 0);
  node.handle({ type: "assigned", assignment: waiting }, 0);
  node.handle({ type: "aborted", link: 0, id: "a#1" }, 1);
  node.handle({ type: "aborted", link: 0, id: "b#1" }, 1);
  expect(withoutWakes(node.handle({ type: "ended", assignment: running, response }, 2))).toEqual([]);
  expect(node.runningCount).toBe(0);
});

it("forgets what waits when its broker is lost, and goes on with what runs", () => {
  const node = new NodeState({ slots: 1, prefetch: 10 });
  node.handle({ type: "assigned", assignment: task("a#1") }, 0);
  node.handle({ type: "assigned", assignment: task("b#1") }, 0);
  node.handle({ type: "lost", link: 0 }, 1);
  expect(node.runningOf(0)).toEqual(["a#1"]);
  expect(node.runningOf(1)).toEqual([]);
  expect(withoutWakes(node.handle({ type: "tick" }, 20))).not.toContainEqual(
    expect.objectContaining({ type: "hand-back" }),
  );
});

it("drains: takes nothing more, and gives back what waits", () => {
  const node = new NodeState({ slots: 1, prefetch: 10 });
  node.handle({ type: "welcomed", link: 0 }, 0);
  const [running, waiting, late] = [task("a#1"), task("b#1"), task("c#1")];
  node.handle({ type: "assigned", assignment: running }, 0);
  node.handle({ type: "assigned", assignment: waiting }, 0);
  expect(node.handle({ type: "drain" }, 1)).toEqual([
    { type: "fetch", link: 0, capacity: 0 },
    { type: "hand-back", assignment: waiting },
  ]);
  expect(node.handle({ type: "assigned", assignment: late }, 2)).toEqual([
    { type: "hand-back", assignment: late },
  ]);
  expect(withoutWakes(node.handle({ type: "ended", assignment: running, response }, 3))).toEqual([
    { type: "answer", assignment: running, response },
  ]);
});
