// What a node tells of the data that its handlers emit and log.
import { expect, it } from "vitest";
import { Reports } from "../../packages/node/src/reports.ts";
import { SimulatedProcess, Simulator } from "../simulation/simulator.ts";

const run = { id: "task#1", link: 0, isOver: false };

/** What is told of `data` as an event, and of it in a line. */
function told(data: unknown): unknown[] {
  const sent: { readonly [name: string]: unknown }[] = [];
  const reports = new Reports(new SimulatedProcess(new Simulator(1), "node"), (_run, _method, params) => {
    sent.push(params);
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

it("tells lines within 10 ms, and progress every 100 ms, whichever else waits", async () => {
  const simulator = new Simulator(1);
  const sent: unknown[] = [];
  const reports = new Reports(new SimulatedProcess(simulator, "node"), (_run, _method, params) => {
    const { lines, data } = params as { lines?: { message: string }[]; data?: { fraction: number } };
    sent.push([simulator.elapsed, lines?.map(({ message }) => message) ?? data?.fraction]);
  });
  const log = (message: string): void => reports.log(run, { at: simulator.elapsed, level: "info", message });
  reports.progress(run, { fraction: 0.1 });
  log("a");
  reports.progress(run, { fraction: 0.2 });
  log("b");
  reports.progress(run, { fraction: 0.3 });
  simulator.after(200, () => undefined);
  while (simulator.elapsed < 200) await simulator.step();
  expect(sent).toEqual([
    [0, 0.1],
    [10, ["a", "b"]],
    [100, 0.3],
  ]);
});
