// The pipeline without a node, as a worker has it.
import { expect, it } from "vitest";
import { current, inScope, type Request, silentLogger } from "zerotask-core";
import { Pipeline } from "../../packages/node/src/pipeline/pipeline.ts";
import { Reports } from "../../packages/node/src/reports.ts";
import { Run } from "../../packages/node/src/run.ts";
import { SimulatedProcess, Simulator } from "../simulation/simulator.ts";

interface Worker {
  readonly pipeline: Pipeline;
  readonly simulator: Simulator;
  readonly errors: unknown[];
  run(params: Request["params"]): Run;
}

function worker(): Worker {
  const simulator = new Simulator(1);
  const runtime = new SimulatedProcess(simulator, "worker");
  const errors: unknown[] = [];
  const logger = { ...silentLogger, error: (data: object) => void errors.push(data) };
  const pipeline = new Pipeline({ logger, runtime });
  const host = {
    runtime,
    pipeline,
    reports: new Reports(runtime, () => true),
    clientOf: () => {
      throw new Error("no client here");
    },
    maxResultBytes: () => 1_000_000,
    streamsOf: () => {
      throw new Error("no streams here");
    },
    onThrown: () => undefined,
  };
  const run = (params: Request["params"] = []): Run =>
    new Run(0, "task#1", { jsonrpc: "2.0", method: "work", id: "task#1", params }, host);
  return { pipeline, simulator, errors, run };
}

it("leaves runs alone until something is to surround them, and again when it is removed", () => {
  const { pipeline, run } = worker();
  expect(run([]).invoke).toBeUndefined();
  expect(run([]).prepare).toBeUndefined();
  expect(run([]).invokeMany).toBeUndefined();
  const removeMiddleware = pipeline.use((_run, next) => next());
  expect(run([]).invoke).toBeDefined();
  expect(run([]).prepare).toBeUndefined();
  removeMiddleware();
  const removeResolver = pipeline.resolve("redis:", () => 1);
  expect(run([]).prepare).toBeDefined();
  expect(run([]).invokeMany).toBeUndefined();
  removeResolver();
  removeResolver();
  expect(run([]).invoke).toBeUndefined();
});

it("returns at once what nothing surrounds or resolves", () => {
  const { pipeline, run } = worker();
  pipeline.resolve("redis:", () => 1);
  expect(pipeline.invoke(run([1, 2]), (a: number, b: number) => a + b, [1, 2])).toBe(3);
});

it("keeps the middleware of a run that has begun when one is removed", async () => {
  const { pipeline, run } = worker();
  const seen: string[] = [];
  const removals: (() => void)[] = [];
  pipeline.use((_run, next) => {
    for (const remove of removals) remove();
    return next();
  });
  removals.push(
    pipeline.use((_run, next) => {
      seen.push("inner");
      return next();
    }),
  );
  const handler = (): string => "done";
  expect(await pipeline.invoke(run([]), handler, [])).toBe("done");
  expect(await pipeline.invoke(run([]), handler, [])).toBe("done");
  expect(seen).toEqual(["inner"]);
});

it("hands resources over once they are open, and no longer than that", async () => {
  const { pipeline, run } = worker();
  pipeline.provide("db", async () => "the database");
  const resource = (): unknown => {
    const scope = run([]);
    return inScope(scope, () => scope.context().resource("db"));
  };
  expect(resource).toThrow('Expected the name of a resource that is open (nothing), got "db"');
  await pipeline.open();
  expect(resource()).toBe("the database");
  await pipeline.close();
  expect(resource).toThrow("Expected the name of a resource that is open");
});

it("gives up a resource that does not close, and closes the others", async () => {
  const { pipeline, simulator, errors } = worker();
  const closed: string[] = [];
  pipeline.provide(
    "first",
    () => 1,
    () => closed.push("first"),
  );
  pipeline.provide(
    "stuck",
    () => 2,
    () => new Promise(() => undefined),
  );
  pipeline.provide(
    "last",
    () => 3,
    () => closed.push("last"),
  );
  await pipeline.open();
  const closing = pipeline.close();
  await new Promise(setImmediate);
  expect(closed).toEqual(["last"]);
  await simulator.step();
  await closing;
  expect(simulator.elapsed).toBe(5_000);
  expect(closed).toEqual(["last", "first"]);
  expect(errors).toMatchObject([{ resource: "stuck" }]);
  await pipeline.close();
  expect(closed.length).toBe(2);
});

it("does not wait for ever for many that do not close", async () => {
  const { pipeline, simulator, errors } = worker();
  const begun: number[] = [];
  const names = [1, 2, 3, 4];
  for (const name of names) {
    const close = (): Promise<void> => {
      begun.push(name);
      return new Promise(() => undefined);
    };
    pipeline.provide(`${name}`, () => name, close);
  }
  await pipeline.open();
  const closing = pipeline.close();
  for (const _ of names) {
    await new Promise(setImmediate);
    await simulator.step();
  }
  await closing;
  expect(begun).toEqual([4, 3, 2, 1]);
  expect(errors).toHaveLength(4);
  expect(simulator.elapsed).toBe(10_000);
});

it("opens nothing where nothing is provided, and takes nothing more then", () => {
  const { pipeline } = worker();
  expect(pipeline.open()).toBeUndefined();
  expect(() => pipeline.provide("db", () => 1)).toThrow("provided before the node is started");
});

it("calls who listens to the signal of a run in that run", () => {
  const { run } = worker();
  const scope = run([]);
  let id = "";
  scope.context().signal.addEventListener("abort", () => {
    id = current().id;
  });
  scope.abort();
  expect(id).toBe("task");
});

it.each(["resolver", "middleware"])("does not begin what is given up while its %s waits", async (kind) => {
  const { pipeline, run } = worker();
  const wait = (): Promise<void> => new Promise(setImmediate);
  if (kind === "resolver") pipeline.resolve("slow:", wait);
  else
    pipeline.use(async (_run, next) => {
      await wait();
      return next();
    });
  let begun = 0;
  const handler = (): number => ++begun;
  const [scope, ...batch] = [run(["slow:"]), run(["slow:"]), run(["slow:"])];
  const outcome = pipeline.invoke(scope, handler, ["slow:"]);
  scope.abort();
  await expect(outcome).rejects.toThrow("Stopped before it began to run");
  expect(begun).toBe(0);
  if (kind === "resolver") return;
  const outcomes = pipeline.invokeMany(batch, handler, [["slow:"], ["slow:"]]);
  batch[0]?.abort();
  expect(await outcomes).toBe(1);
  const others = pipeline.invokeMany(batch, handler, [["slow:"], ["slow:"]]);
  batch[1]?.abort();
  await expect(others).rejects.toThrow("Stopped before it began to run");
  expect(begun).toBe(1);
});
