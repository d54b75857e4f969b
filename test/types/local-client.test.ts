// What compiles and what doesn't, of clients in one process and of what surrounds handlers. The type checker asserts.
import { expectTypeOf, it } from "vitest";
import { type AsyncClient, type Client, LocalClient, type TaskHandle } from "zerotask-client";
import { Dispatcher, task } from "zerotask-core";
import { type BatchRun, current, type Middleware, Node, type NodeSetup, type TaskRun } from "zerotask-node";
import { type TestCluster, testCluster } from "zerotask-testing";

const dispatcher = new Dispatcher();
const add = task({ name: "math.add", dispatcher }, (a: number, b: number) => a + b);
const rows = task({ name: "rows", dispatcher }, async function* (query: string) {
  yield { id: query.length };
});
type Tasks = { add: typeof add; rows: typeof rows };

it("types a local client by its module", () => {
  const local = new LocalClient<Tasks>(dispatcher);
  expectTypeOf(local.math.add).parameters.toEqualTypeOf<[a: number, b: number]>();
  expectTypeOf(local.math.add).returns.toEqualTypeOf<Promise<number>>();
  expectTypeOf(local.$later.math.add).returns.toEqualTypeOf<
    TaskHandle<number, readonly [a: number, b: number]>
  >();
  expectTypeOf(local.$stream.rows).returns.toEqualTypeOf<AsyncIterable<{ id: number }>>();
  expectTypeOf(local.$ignore.math.add).returns.toEqualTypeOf<void>();
  expectTypeOf(local.$with({ retries: 1 }).math.add).returns.toEqualTypeOf<Promise<number>>();
  // @ts-expect-error a string is no number
  void (() => local.math.add("5", 6));
  // @ts-expect-error there is no such method
  void (() => local.math.subtract);
});

it("lets a local client stand in for the others", () => {
  const local = new LocalClient<Tasks>(dispatcher);
  expectTypeOf(local).toExtend<Client<Tasks>>();
  const later: AsyncClient<Tasks> = local.$later;
  expectTypeOf(later.$with({ retries: 1 }).math.add).returns.toEqualTypeOf<
    TaskHandle<number, readonly [a: number, b: number]>
  >();
  expectTypeOf(new LocalClient().$later).toEqualTypeOf<AsyncClient>();
});

it("types the client of a handler, by which it calls and submits", () => {
  const client = () => current<Tasks>().client;
  const call = () => client().$with({ retries: 1 }).math.add(1, 2);
  expectTypeOf(call).returns.toEqualTypeOf<Promise<number>>();
  expectTypeOf(client).returns.toExtend<Client<Tasks>>();
  const later = () => client().$with({ retries: 1 }).$later;
  expectTypeOf(later).returns.toEqualTypeOf<AsyncClient<Tasks>>();
});

it("has a clock where a test cluster has a seed", () => {
  const withSeed = () => testCluster({ seed: 1 });
  expectTypeOf(withSeed).returns.resolves.toHaveProperty("clock");
  const withoutSeed = () => testCluster({ nodes: 2 });
  expectTypeOf(withoutSeed).returns.resolves.toEqualTypeOf<TestCluster>();
  expectTypeOf<TestCluster>().not.toHaveProperty("clock");
  expectTypeOf<ReturnType<typeof add>>().toEqualTypeOf<number>();
  const clientOf = (cluster: TestCluster) => cluster.client<Tasks>().math.add;
  expectTypeOf(clientOf).returns.returns.toEqualTypeOf<Promise<number>>();
});

it("types middleware, resources and resolvers", () => {
  const node = new Node({ dispatcher });
  expectTypeOf(node).toExtend<NodeSetup>();
  node.use((run, next) => {
    expectTypeOf(run).toEqualTypeOf<TaskRun | BatchRun>();
    expectTypeOf(run.method).toEqualTypeOf<string>();
    expectTypeOf(next).returns.toEqualTypeOf<Promise<unknown>>();
    // @ts-expect-error the run of a batch handler has no id
    void (() => run.id);
    if (run.calls === undefined) expectTypeOf(run.id).toEqualTypeOf<string>();
    return next();
  });
  expectTypeOf<Parameters<Middleware>[0]>().toEqualTypeOf<TaskRun | BatchRun>();
  node.provide(
    "db",
    async () => ({ query: (text: string) => text }),
    (db) => expectTypeOf(db.query).returns.toEqualTypeOf<string>(),
  );
  node.resolve("redis:", (url, run) => {
    expectTypeOf(url).toEqualTypeOf<string>();
    expectTypeOf(run.signal).toEqualTypeOf<AbortSignal>();
  });
  const close = (text: string): string => text;
  // @ts-expect-error what closes a resource gets what was opened
  void (() => node.provide("n", () => 5, close));
});
