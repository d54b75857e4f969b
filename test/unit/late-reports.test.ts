// What handlers tell of their runs, and when nothing of it is told, or kept, any more.
import { expect, it, onTestFinished } from "vitest";
import { inScope, type Runtime, silentLogger, systemRuntime } from "zerotask-core";
import { captureConsole } from "../../packages/node/src/capture-console.ts";
import { Pipeline } from "../../packages/node/src/pipeline/pipeline.ts";
import { Reports } from "../../packages/node/src/reports.ts";
import { Run } from "../../packages/node/src/run.ts";

it("tells and keeps nothing of what a handler says after its run is over", async () => {
  let timers = 0;
  const after: Runtime["after"] = () => {
    timers++;
    return { cancel: () => undefined };
  };
  const runtime: Runtime = { ...systemRuntime, after };
  const sent: unknown[] = [];
  const host = {
    ...{ runtime, pipeline: new Pipeline({ logger: silentLogger, runtime }), onThrown: () => undefined },
    reports: new Reports(runtime, (_run, _method, params) => sent.push(params) > 0),
    clientOf: () => {
      throw new Error("no client here");
    },
    maxResultBytes: () => 1_000_000,
    streamsOf: () => {
      throw new Error("no streams here");
    },
  };
  const { log } = console;
  console.log = () => undefined;
  const release = captureConsole();
  onTestFinished(() => {
    release();
    console.log = log;
  });
  for (let i = 0; i < 500; i++) {
    const id = `task${i}#1`;
    const run = new Run(0, id, { jsonrpc: "2.0", method: "work", id, params: [] }, host);
    run.end();
    inScope(run, () => {
      console.log("late");
      run.context().progress(0.5);
      run.context().emit("late");
    });
  }
  expect({ timers, sent }).toEqual({ timers: 0, sent: [] });
});
