// What a worker does with what it was given, without its node.
import { expect, it } from "vitest";
import { Dispatcher } from "zerotask-core";
import type { RunHost } from "../../packages/node/src/run-context.ts";
import { Jobs, WorkerRun } from "../../packages/node/src/worker/jobs.ts";
import { Lines, type Port } from "../../packages/node/src/worker/port.ts";
import { SimulatedProcess, Simulator } from "../simulation/simulator.ts";

it("gives back a batch that has not begun when nobody wants any of its tasks", () => {
  const sent: string[] = [];
  const port: Port = {
    send: (text) => void sent.push(text),
    mark: () => undefined,
    claim: () => true,
    reportsTaken: () => 0,
  };
  const jobs = new Jobs(new Dispatcher(), new Lines(port), port, () => 1_000);
  const host = { runtime: new SimulatedProcess(new Simulator(1), "worker") } as unknown as RunHost;
  const runs = [0, 1].map((index) => {
    const id = `t${index}#1`;
    return new WorkerRun(7, index, 0, { jsonrpc: "2.0", method: "all", params: [], id }, host);
  });
  jobs.add(7, runs, true, false);
  jobs.abort(7, 0);
  expect(sent).toEqual([]);
  jobs.abort(7, 1);
  expect(sent).toEqual(["G 7"]);
  jobs.run();
  expect(sent).toEqual(["G 7"]);
});
