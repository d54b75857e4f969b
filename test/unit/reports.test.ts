// What a node tells of the data that its handlers emit and log.
import { expect, it } from "vitest";
import type { Runtime } from "zerotask-core";
import { Reports } from "../../packages/node/src/reports.ts";
import { SimulatedProcess, Simulator } from "../simulation/simulator.ts";

const run = { id: "task#1", link: 0, isOver: false };

/** What is told of `data` as an event, and of it in a line. */
function told(data: unknown): unknown[] {
  const sent: { readonly [name: string]: unknown }[] = [];
  const reports = new Reports(new SimulatedProcess(new Simulator(1), "node"), (_run, _method, params) => {
    sent.push(params);
    return true;
  });
  reports.event(run, "e", data);
  reports.log(run, { at: 0, level: "info", message: "m", data });
  reports.flush(run);
  const [event, log] = sent as [{ data: unknown }, { lines: readonly { data: unknown }[] }];
  return [event.data, log.lines[0]?.data];
}

it("tells of data as large as may be all, and of larger data how large it is, in bytes", () => {
  const fits = "x".repeat(65_534);
  expect(told(fits)).toEqual([fits, fits]);
  expect(told(`${fits}x`)).toEqual([{ too_large: 65_537 }, { too_large: 65_537 }]);
  // Few characters, but many bytes.
  expect(told("é".repeat(40_000))).toEqual([{ too_large: 80_002 }, { too_large: 80_002 }]);
});

it("tells of data that JSON can't hold as text", () => {
  const circular: { self?: unknown } = {};
  circular.self = circular;
  expect(told(circular)).toEqual([expect.stringContaining("Circular"), expect.stringContaining("Circular")]);
  expect(told(10n)).toEqual(["10n", "10n"]);
  expect(told(() => 1)).toEqual(["[Function (anonymous)]", "[Function (anonymous)]"]);
});

it("tells the first line at once and others within 10 ms, and progress every 100 ms, whichever else waits", async () => {
  const simulator = new Simulator(1);
  const sent: unknown[] = [];
  const reports = new Reports(new SimulatedProcess(simulator, "node"), (_run, _method, params) => {
    const { lines, data } = params as { lines?: { message: string }[]; data?: { fraction: number } };
    sent.push([simulator.elapsed, lines?.map(({ message }) => message) ?? data?.fraction]);
    return true;
  });
  const log = (message: string): void => reports.log(run, { at: simulator.elapsed, level: "info", message });
  reports.progress(run, { fraction: 0.1 });
  log("a");
  reports.progress(run, { fraction: 0.2 });
  log("b");
  log("c");
  reports.progress(run, { fraction: 0.3 });
  simulator.after(200, () => undefined);
  while (simulator.elapsed < 200) await simulator.step();
  expect(sent).toEqual([
    [0, 0.1],
    [0, ["a"]],
    [10, ["b", "c"]],
    [100, 0.3],
  ]);
});

it("tells lines in messages of some hundred kilobytes at most, however much is logged at once", () => {
  const sent: { readonly size: number; readonly count: number }[] = [];
  const reports = new Reports(new SimulatedProcess(new Simulator(1), "node"), (_run, _method, params) => {
    const { lines } = params as { lines: unknown[] };
    sent.push({ size: Buffer.byteLength(JSON.stringify(params)), count: lines.length });
    return true;
  });
  const log = (message: string, data?: unknown): void =>
    reports.log(run, { at: 0, level: "info", message, ...(data !== undefined && { data }) });
  for (let n = 0; n < 100; n++) log("m", "x".repeat(60_000));
  for (let n = 0; n < 100; n++) log("€".repeat(20_000));
  for (let n = 0; n < 100; n++) log("m");
  reports.flush(run);
  expect(Math.max(...sent.map(({ size }) => size))).toBeLessThan(256 * 1024);
  expect(sent.reduce((sum, { count }) => sum + count, 0)).toBe(300);
  // Small ones still go together.
  expect(sent.at(-1)?.count).toBeGreaterThanOrEqual(100);
});

it("tells how many events and lines were dropped: when there is room again, once a second, and at the end", () => {
  const process = new SimulatedProcess(new Simulator(1), "node");
  let now = 0;
  let hasRoom = false;
  const sent: string[] = [];
  const runtime = { ...process, now: () => now, wall: () => now, after: () => ({ cancel: () => undefined }) };
  const reports = new Reports(runtime as unknown as Runtime, (_run, _method, params, isDue) => {
    const { event, lines = [] } = params as { event?: string; lines?: { message: string }[] };
    if (!hasRoom && !isDue) return false;
    sent.push(event ?? lines.map(({ message }) => /task: (\d+)/.exec(message)?.[1] ?? message).join());
    return true;
  });
  const emit = (event: string): void => reports.event(run, event, 1);
  emit("lost");
  for (const message of ["a", "b"]) reports.log(run, { at: now, level: "info", message });
  emit("lost");
  hasRoom = true;
  emit("first");
  now = 1_000;
  emit("second");
  hasRoom = false;
  emit("lost");
  reports.flush(run);
  expect(sent).toEqual(["first", "second", "4", "1"]);
  reports.flush(run);
  expect(sent).toHaveLength(4);
});
