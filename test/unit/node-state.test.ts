import { describe, expect, it } from "vitest";
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

describe("runs that are to end", () => {
  const ended = (how: string): object => ({
    ...{ jsonrpc: "2.0", id: "a#1" },
    error: { code: -32040, message: "The task was stopped", data: { how } },
  });
  const begun = (): { node: NodeState; run: Assignment } => {
    const node = new NodeState({ slots: 1, prefetch: 10 });
    const run = task("a#1");
    node.handle({ type: "welcomed", link: 0 }, 0);
    node.handle({ type: "assigned", assignment: run }, 0);
    node.handle({ type: "tick" }, 10);
    return { node, run };
  };

  it("hear of it, and are ended by force when their time is over", () => {
    const { node, run } = begun();
    expect(node.handle({ type: "stop", link: 0, id: "a#1", graceMs: 70 }, 20)).toEqual([
      { type: "abort", assignment: run },
      { type: "wake", at: 90 },
    ]);
    expect(withoutWakes(node.handle({ type: "tick" }, 89))).toEqual([]);
    expect(node.handle({ type: "tick" }, 90)).toEqual([{ type: "kill", assignment: run }]);
    expect(node.handle({ type: "tick" }, 200)).toEqual([]);
    expect(node.handle({ type: "ended", assignment: run, response }, 210)).toContainEqual({
      ...{ type: "answer", assignment: run, response: ended("killed") },
    });
  });

  it("answer that they were stopped, whatever their handler returned", () => {
    const { node, run } = begun();
    node.handle({ type: "stop", link: 0, id: "a#1", graceMs: 70 }, 20);
    expect(node.handle({ type: "ended", assignment: run, response }, 30)).toContainEqual({
      ...{ type: "answer", assignment: run, response: ended("cooperative") },
    });
    expect(node.handle({ type: "tick" }, 90)).toEqual([]);
  });

  it("are reported where they can't be ended", () => {
    const { node, run } = begun();
    node.handle({ type: "stop", link: 0, id: "a#1", graceMs: 0 }, 20);
    node.handle({ type: "tick" }, 20);
    expect(node.handle({ type: "unstoppable", assignment: run }, 20)).toEqual([
      { type: "report-unstoppable", assignment: run },
    ]);
  });

  it("that can't be ended have the time of each further stop, and end by themselves", () => {
    const { node, run } = begun();
    node.handle({ type: "stop", link: 0, id: "a#1", graceMs: 100 }, 20);
    node.handle({ type: "tick" }, 120);
    node.handle({ type: "unstoppable", assignment: run }, 120);
    node.handle({ type: "stop", link: 0, id: "a#1", graceMs: 10_000 }, 200);
    expect(withoutWakes(node.handle({ type: "tick" }, 10_199))).toEqual([]);
    expect(node.handle({ type: "tick" }, 10_200)).toEqual([{ type: "kill", assignment: run }]);
    expect(node.handle({ type: "unstoppable", assignment: run }, 10_200)).toEqual([
      { type: "report-unstoppable", assignment: run },
    ]);
    expect(node.handle({ type: "ended", assignment: run, response }, 10_300)).toContainEqual({
      ...{ type: "answer", assignment: run, response: ended("cooperative") },
    });
  });

  it("that nobody waits for are ended, too, and say nothing", () => {
    const { node, run } = begun();
    node.handle({ type: "aborted", link: 0, id: "a#1" }, 20);
    expect(node.handle({ type: "tick" }, 5_020)).toEqual([{ type: "kill", assignment: run }]);
    expect(node.handle({ type: "unstoppable", assignment: run }, 5_020)).toEqual([]);
    const effects = node.handle({ type: "ended", assignment: run, response }, 5_030);
    expect(effects.map(({ type }) => type)).not.toContain("answer");
  });

  it("that have not begun never do", () => {
    const { node } = begun();
    const waiting = task("b#1");
    node.handle({ type: "assigned", assignment: waiting }, 20);
    const [effect] = node.handle({ type: "stop", link: 0, id: "b#1", graceMs: 70 }, 21);
    expect(effect).toMatchObject({
      ...{ type: "answer", assignment: waiting },
      response: { id: "b#1", error: { data: { how: "never-started" } } },
    });
    expect(withoutWakes(node.handle({ type: "tick" }, 40))).toEqual([]);
  });
});

describe("tasks that wait for others", () => {
  it("take up no slot, and brokers are told of the room when the node is full", () => {
    const node = new NodeState({ slots: 1, prefetch: 0 });
    const [outer, inner] = [task("a#1"), task("b#1")];
    node.handle({ type: "welcomed", link: 0 }, 0);
    node.handle({ type: "assigned", assignment: outer }, 0);
    expect(node.handle({ type: "waiting", assignment: outer, change: 1 }, 1)).toEqual([
      { type: "fetch", link: 0, capacity: 2 },
    ]);
    expect(node.handle({ type: "assigned", assignment: inner }, 2)).toContainEqual({
      type: "start",
      assignment: inner,
    });
    node.handle({ type: "ended", assignment: inner, response }, 3);
    expect(node.handle({ type: "waiting", assignment: outer, change: -1 }, 4)).toEqual([
      { type: "fetch", link: 0, capacity: 1 },
    ]);
  });

  it("say nothing while there is room anyway", () => {
    const node = new NodeState({ slots: 2, prefetch: 0 });
    const outer = task("a#1");
    node.handle({ type: "welcomed", link: 0 }, 0);
    node.handle({ type: "assigned", assignment: outer }, 0);
    expect(node.handle({ type: "waiting", assignment: outer, change: 1 }, 1)).toEqual([]);
    expect(node.handle({ type: "waiting", assignment: outer, change: -1 }, 2)).toEqual([]);
  });

  it("keep no node from getting others once it takes less in advance than before", () => {
    const node = new NodeState({ slots: 1, prefetch: 10 });
    node.handle({ type: "welcomed", link: 0 }, 0);
    const own = { ...task("local:n-1#1"), isLocal: true };
    const quick = task("a#1");
    node.handle({ type: "assigned", assignment: quick }, 0);
    expect(node.handle({ type: "ended", assignment: quick, response }, 0)).toContainEqual({
      ...{ type: "fetch", link: 0, capacity: 11 },
    });
    node.handle({ type: "assigned", assignment: own }, 1);
    const slow = task("b#1");
    node.handle({ type: "assigned", assignment: slow }, 1);
    const effects = node.handle({ type: "ended", assignment: slow, response }, 10_000);
    expect(effects).toContainEqual({ type: "fetch", link: 0, capacity: 2 });
  });

  it("let what waits for a slot begin, and ask again where the node had handed something back", () => {
    const node = new NodeState({ slots: 1, prefetch: 5 });
    const [outer, second, third] = [task("a#1"), task("b#1"), task("c#1")];
    node.handle({ type: "welcomed", link: 0 }, 0);
    node.handle({ type: "assigned", assignment: outer }, 0);
    node.handle({ type: "assigned", assignment: second }, 0);
    node.handle({ type: "tick" }, 10);
    node.handle({ type: "assigned", assignment: third }, 11);
    const effects = node.handle({ type: "waiting", assignment: outer, change: 1 }, 12);
    expect(effects).toContainEqual({ type: "start", assignment: third });
    expect(effects).toContainEqual({ type: "fetch", link: 0, capacity: 2 });
  });
});

const pooled = (id: string): Assignment => ({ ...task(id), room: "thread" });

it("starts in a pool what has a slot there, beside all slots of its own thread", () => {
  const node = new NodeState({ slots: 1, prefetch: 10 });
  node.addPool("thread", 1);
  const [inline, isolated] = [task("a#1"), pooled("b#1")];
  expect(withoutWakes(node.handle({ type: "welcomed", link: 0 }, 0))).toEqual([
    { type: "fetch", link: 0, capacity: 1 },
    { type: "fetch", link: 0, capacity: 1, room: "thread" },
  ]);
  expect(withoutWakes(node.handle({ type: "assigned", assignment: inline }, 0))).toEqual([
    { type: "start", assignment: inline },
  ]);
  expect(withoutWakes(node.handle({ type: "assigned", assignment: isolated }, 0))).toEqual([
    { type: "start", assignment: isolated },
  ]);
});

it("reports a task of a pool as running once it is seen to run there", () => {
  const node = new NodeState({ slots: 1, prefetch: 10 });
  node.addPool("thread", 1);
  const isolated = pooled("a#1");
  node.handle({ type: "assigned", assignment: isolated }, 0);
  expect(withoutWakes(node.handle({ type: "tick" }, 10))).toEqual([]);
  node.handle({ type: "began", assignment: isolated }, 15);
  expect(withoutWakes(node.handle({ type: "tick" }, 20))).toEqual([]);
  expect(withoutWakes(node.handle({ type: "tick" }, 30))).toEqual([
    { type: "report-running", assignment: isolated },
  ]);
});

it("recalls from a pool what it has no slot for and has not begun in 10 ms, and hands it back", () => {
  const node = new NodeState({ slots: 1, prefetch: 10 });
  node.addPool("thread", 1);
  node.handle({ type: "welcomed", link: 0 }, 0);
  const [first, running, ahead] = [pooled("a#1"), pooled("b#1"), pooled("c#1")];
  node.handle({ type: "assigned", assignment: first }, 0);
  expect(
    withoutWakes(node.handle({ type: "ended", assignment: first, response: "{}", tookMs: 1 }, 0)),
  ).toContainEqual({ type: "fetch", link: 0, capacity: 6, room: "thread" });
  for (const assignment of [running, ahead]) node.handle({ type: "assigned", assignment }, 0);
  expect(withoutWakes(node.handle({ type: "tick" }, 10))).toEqual([{ type: "recall", assignment: ahead }]);
  expect(withoutWakes(node.handle({ type: "recalled", assignment: ahead }, 10))).toEqual([
    { type: "hand-back", assignment: ahead },
  ]);
  expect(node.handle({ type: "ended", assignment: running, response: "{}", tookMs: 50 }, 60)).toContainEqual({
    type: "fetch",
    link: 0,
    capacity: 1,
    room: "thread",
  });
});

it("gives a task of its own a slot of its pool, and recalls others for it", () => {
  const node = new NodeState({ slots: 1, prefetch: 10 });
  node.addPool("thread", 1);
  node.handle({ type: "welcomed", link: 0 }, 0);
  const [waiting, own] = [pooled("a#1"), { ...pooled("local:1#1"), isLocal: true }];
  node.handle({ type: "assigned", assignment: waiting }, 0);
  expect(withoutWakes(node.handle({ type: "assigned", assignment: own }, 0))).toEqual([
    { type: "start", assignment: own },
    { type: "fetch", link: 0, capacity: 0, room: "thread" },
  ]);
  expect(withoutWakes(node.handle({ type: "tick" }, 10))).toEqual([{ type: "recall", assignment: waiting }]);
  node.handle({ type: "recalled", assignment: waiting }, 10);
  expect(node.handle({ type: "ended", assignment: own, response }, 20)).toContainEqual({
    type: "fetch",
    link: 0,
    capacity: 1,
    room: "thread",
  });
});

it("tells that what its pool stopped before it began never started", () => {
  const node = new NodeState({ slots: 1, prefetch: 10 });
  node.addPool("thread", 1);
  const stopped = pooled("a#1");
  node.handle({ type: "assigned", assignment: stopped }, 0);
  node.handle({ type: "stop", link: 0, id: "a#1", graceMs: 1_000 }, 0);
  const error = { code: -32040, message: "Stopped", data: { how: "never-started" } };
  expect(
    node.handle({ type: "ended", assignment: stopped, response: { jsonrpc: "2.0", id: "a#1", error } }, 0),
  ).toContainEqual({
    type: "answer",
    assignment: stopped,
    response: expect.objectContaining({
      error: expect.objectContaining({ data: { how: "never-started" } }),
    }),
  });
});

it("tells that what ran in a worker that was ended because of another was killed, also where it was to be stopped", () => {
  const node = new NodeState({ slots: 1, prefetch: 10 });
  node.addPool("thread", 2);
  const [beside, stopped] = [pooled("a#1"), pooled("b#1")];
  for (const assignment of [beside, stopped]) {
    node.handle({ type: "assigned", assignment }, 0);
    node.handle({ type: "began", assignment }, 0);
  }
  node.handle({ type: "stop", link: 0, id: "b#1", graceMs: 1_000 }, 20);
  for (const assignment of [beside, stopped]) {
    expect(node.handle({ type: "recalled", assignment }, 30)).toEqual([
      {
        ...{ type: "answer", assignment },
        response: expect.objectContaining({ error: expect.objectContaining({ data: { how: "killed" } }) }),
      },
    ]);
  }
});

it("asks for tasks of a pool again when that has workers, after it had none", () => {
  const node = new NodeState({ slots: 1, prefetch: 10 });
  node.addPool("thread", 2);
  node.handle({ type: "welcomed", link: 0 }, 0);
  expect(node.handle({ type: "up", room: "thread" }, 0)).toEqual([]);
  const lost = pooled("a#1");
  node.handle({ type: "assigned", assignment: lost }, 0);
  node.handle({ type: "recalled", assignment: lost }, 0);
  expect(node.handle({ type: "up", room: "thread" }, 50)).toEqual([
    { type: "fetch", link: 0, capacity: 2, room: "thread" },
  ]);
});
