// What compiles and what doesn't. The assertions are made by the type checker; running them only shows they are there.
import { expect, expectTypeOf, it } from "vitest";
import {
  AsyncClient,
  Client,
  type GapEvent,
  isStatus,
  type ProgressEvent,
  type StatusEvent,
  type TaskEvent,
  type TaskHandle,
  type TaskLogLevel,
  type TaskLogLine,
  type TaskProgress,
} from "zerotask-client";
import { task } from "zerotask-core";
import type * as calculator from "../integration/calculator.ts";

const hotness = task("broker.new_hotness", () => 42);
const optional = task("a.b", (_first: number, _second?: string) => [true]);
const nestedUnder = task("a.b.c", async () => ({ deep: 1 }));
const broker = { hotness, optional, nestedUnder };

const neverRun = (_check: () => unknown): void => undefined;

it("types a client by a module", () => {
  const client = new Client<typeof calculator>();
  neverRun(() => {
    expectTypeOf(client.add(5, 6)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(client.echo(1)).toEqualTypeOf<Promise<unknown>>();
    expectTypeOf(client.namespaces.are.awesome.foo()).toEqualTypeOf<Promise<string>>();
    expectTypeOf(client.$with({ timeoutMs: 500 }).add(1, 2)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(client.$close()).toEqualTypeOf<Promise<void>>();
    // @ts-expect-error a string is no number
    client.add("5");
    // @ts-expect-error one parameter is missing
    client.add(5);
    // @ts-expect-error one parameter too many
    client.add(5, 6, 7);
    // @ts-expect-error nobody serves this
    client.multiply(5, 6);
    // @ts-expect-error nor this
    client.namespaces.foo();
    // @ts-expect-error an option that does not exist
    client.$with({ timeout: 500 });
  });
});

it("types decorated methods that were renamed, by hand", () => {
  const client = new Client<typeof calculator & { math: { subtract(a: number, b: number): number } }>();
  neverRun(() => {
    expectTypeOf(client.math.subtract(5, 6)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(client.add(5, 6)).toEqualTypeOf<Promise<number>>();
    // @ts-expect-error a string is no number
    client.math.subtract("5", 6);
  });
});

it("types broker tasks, optional parameters and a name that is a namespace too", () => {
  const client = new Client<typeof broker>();
  neverRun(() => {
    expectTypeOf(client.broker.new_hotness()).toEqualTypeOf<Promise<number>>();
    expectTypeOf(client.a.b(1)).toEqualTypeOf<Promise<boolean[]>>();
    expectTypeOf(client.a.b(1, "x")).toEqualTypeOf<Promise<boolean[]>>();
    expectTypeOf(client.a.b.c()).toEqualTypeOf<Promise<{ deep: number }>>();
    // @ts-expect-error the optional parameter is a string
    client.a.b(1, 2);
  });
});

it("types handles", () => {
  const later = new AsyncClient<typeof calculator>();
  neverRun(() => {
    expectTypeOf(later.add(5, 6)).toEqualTypeOf<TaskHandle<number, readonly [a: number, b: number]>>();
    expectTypeOf(later.add(5, 6).wait()).toEqualTypeOf<Promise<number>>();
    expectTypeOf(later.add(5, 6).result(10)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(later.$ignore.add(5, 6)).toEqualTypeOf<void>();
    expectTypeOf(later.$handle<string>("id").wait()).toEqualTypeOf<Promise<string>>();
    later.namespaces.are.awesome.foo().callback((value) => expectTypeOf(value).toEqualTypeOf<string>());
    // @ts-expect-error a string is no number
    later.add("5", 6);
    // @ts-expect-error a string is no number
    later.$ignore.add("5", 6);
  });
});

it("lets a client without a type argument call anything", () => {
  const client = new Client();
  const later = new AsyncClient();
  neverRun(async () => {
    const thing: string = await client.any.thing(1, "x");
    const handle: TaskHandle<number> = later.any.thing();
    // biome-ignore lint/suspicious/noExplicitAny: that it is any is what is tested
    expectTypeOf(client.$call("any.thing", [1])).toEqualTypeOf<Promise<any>>();
    expectTypeOf(client.$close()).toEqualTypeOf<Promise<void>>();
    const sum: Promise<number> = client.add(5, 6);
    return [thing, handle, sum];
  });
});

it("types clients by an interface, too", () => {
  const client = new Client<{ add(a: number, b: number): Promise<number> }>();
  neverRun(() => expectTypeOf(client.add(1, 2)).toEqualTypeOf<Promise<number>>());
  expect(client).toBeDefined();
});

it("types what can be asked of a task", () => {
  const client = new Client();
  const later = new AsyncClient();
  neverRun(() => {
    expectTypeOf<Promise<"memory" | "disk">>(later.$handle("id").accepted);
    client.$with({
      durability: "disk",
      retries: 3,
      backoff: { initialMs: 10 },
      expiresMs: 5,
      whenBusy: "wait",
    });
    later.$with({ idempotencyKey: "order-17", timeoutMs: 5 });
    // @ts-expect-error there is no tape
    client.$with({ durability: "tape" });
    // @ts-expect-error a number of times
    later.$with({ retries: "3" });
    // @ts-expect-error its name is initialMs
    later.$with({ backoff: { initial: 10 } });
    // @ts-expect-error either fails or waits
    later.$with({ whenBusy: true });
    // @ts-expect-error no option at all
    later.$with({ importance: 1 });
  });
});

it("types what is told of tasks", () => {
  const client = new Client<typeof calculator>();
  const later = new AsyncClient<typeof calculator>();
  neverRun(async () => {
    expectTypeOf(later.add(5, 6).events()).toEqualTypeOf<AsyncIterable<TaskEvent>>();
    expectTypeOf(later.add(5, 6).progress()).toEqualTypeOf<AsyncIterable<TaskProgress>>();
    expectTypeOf(later.add(5, 6).logs({ follow: false })).toEqualTypeOf<AsyncIterable<TaskLogLine>>();
    for await (const { seq, at, taskId, method, event, data } of client.$events({ method: "add" })) {
      expectTypeOf([seq, at, taskId, method, event, data] as const).toEqualTypeOf<
        readonly [number, Date, string, string, string, unknown]
      >();
    }
    for await (const { level, attempt } of later.add(5, 6).logs()) {
      expectTypeOf([level, attempt] as const).toEqualTypeOf<readonly [TaskLogLevel, number]>();
    }
    later.$events({ task: "id", event: "progress" });
    new Client().$events({ method: "anything" });
    // @ts-expect-error nobody serves this
    client.$events({ method: "multiply" });
    // @ts-expect-error its name is task
    client.$events({ id: "id" });
    // @ts-expect-error either or
    later.add(5, 6).logs({ follow: "yes" });
  });
});

it("types the events that a loop is over by their name", () => {
  const client = new Client<typeof calculator>();
  neverRun(async () => {
    expectTypeOf(client.$events()).toEqualTypeOf<AsyncIterable<TaskEvent>>();
    expectTypeOf(client.$events({ event: "saved" })).toEqualTypeOf<AsyncIterable<TaskEvent>>();
    expectTypeOf(client.$events({ event: "status" })).toEqualTypeOf<AsyncIterable<StatusEvent | GapEvent>>();
    expectTypeOf(client.$events({ event: "progress" })).toEqualTypeOf<
      AsyncIterable<ProgressEvent | GapEvent>
    >();
    for await (const { event, data } of client.$events({ method: "add", event: "status" })) {
      // @ts-expect-error a gap has no data
      void data.status;
      if (event === "status") expectTypeOf(data.error).toEqualTypeOf<string | undefined>();
      // @ts-expect-error there is no such status
      void (event === "status" && data.status === "RUNING");
    }
    for await (const event of client.$events()) {
      if (isStatus(event)) expectTypeOf(event).toEqualTypeOf<StatusEvent>();
      else expectTypeOf(event.data).toEqualTypeOf<unknown>();
    }
  });
  const told = { seq: 1, at: new Date(0), taskId: "a-1", method: "add", data: undefined };
  expect([isStatus({ ...told, event: "status" }), isStatus({ ...told, event: "saved" })]).toEqual([
    true,
    false,
  ]);
});
