import { expect, it } from "vitest";
import { TakenReports } from "../../packages/node/src/executors/taken-reports.ts";
import { SimulatedProcess, Simulator } from "../simulation/simulator.ts";

it("lets a worker tell no more while any broker that it told something is behind", async () => {
  const simulator = new Simulator(1);
  const behind = new Set([1]);
  const totals: number[] = [];
  const host = {
    isBehind: (link: number) => behind.has(link),
    runtime: new SimulatedProcess(simulator, "node"),
  };
  const reports = new TakenReports(host, (total) => totals.push(total));
  const runFor = async (ms: number): Promise<void> => {
    const end = simulator.elapsed + ms;
    simulator.after(ms, () => undefined);
    while (simulator.elapsed < end) await simulator.step();
  };
  // What came in one message, from two tasks.
  reports.took(0, 10);
  reports.took(1, 20);
  await runFor(100);
  expect(totals).toEqual([]);
  reports.took(0, 30);
  behind.clear();
  await runFor(100);
  expect(totals).toEqual([60]);
  reports.took(0, 5);
  await runFor(1);
  expect(totals).toEqual([60, 65]);
});
