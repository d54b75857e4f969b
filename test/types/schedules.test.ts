// What of schedules, limits and options of time and order compiles, and what doesn't.
import { expectTypeOf, it } from "vitest";
import {
  AsyncClient,
  Client,
  type FailedTask,
  type MethodLimits,
  type MethodName,
  type ParamsOf,
  type Position,
  type Schedule,
} from "zerotask-client";
import { task } from "zerotask-core";
import type * as calculator from "../integration/calculator.ts";

const resize = task("images.resize", (_file: string, _width: number) => true);
const optional = task("images.list", (_folder?: string) => [""]);
const nestedUnder = task("images.resize.all", async () => undefined);
const images = { resize, optional, nestedUnder };

interface Endless {
  readonly self: Endless;
  readonly other: { readonly back: Endless; go(times: number): void };
}

const neverRun = (_check: () => unknown): void => undefined;

it("names methods as they are called, with their params", () => {
  expectTypeOf<MethodName<typeof images>>().toEqualTypeOf<
    "images.resize" | "images.list" | "images.resize.all"
  >();
  expectTypeOf<ParamsOf<typeof images, "images.resize">>().toEqualTypeOf<readonly [string, number]>();
  expectTypeOf<ParamsOf<typeof images, "images.resize.all">>().toEqualTypeOf<readonly []>();
  expectTypeOf<MethodName<unknown>>().toEqualTypeOf<string>();
  expectTypeOf<"namespaces.are.awesome.foo">().toExtend<MethodName<typeof calculator>>();
  expectTypeOf<MethodName<{ "a.b"(x: number): void }>>().toEqualTypeOf<"a.b">();
});

it("goes no further into what leads back to itself", () => {
  expectTypeOf<MethodName<{ endless: Endless; add(a: number): void }>>().toEqualTypeOf<
    "add" | "endless.other.go"
  >();
});

it("takes no built-in object for a namespace of methods", () => {
  interface Exports {
    readonly started: Date;
    readonly pattern: RegExp;
    readonly failure: TypeError;
    readonly cache: Map<string, number>;
    readonly seen: ReadonlySet<string>;
    readonly ready: Promise<void>;
    readonly bytes: Uint8Array;
    readonly nested: { readonly started: Date; go(times: number): void };
    add(a: number): void;
  }
  expectTypeOf<MethodName<Exports>>().toEqualTypeOf<"add" | "nested.go">();
});

it("types schedules by a module", () => {
  const client = new Client<typeof images>();
  const later = new AsyncClient<typeof images>();
  neverRun(() => {
    const { $schedules } = client;
    expectTypeOf(
      $schedules.interval("images.resize", { every: "5 minutes", params: ["a.png", 10] }),
    ).toEqualTypeOf<Promise<Schedule>>();
    later.$schedules.cron("images.resize", {
      cron: "0 3 * * *",
      timeZone: "Europe/Berlin",
      params: ["a.png", 10],
      name: "nightly",
      priority: -5,
      group: "tenant-7",
      missed: "all",
    });
    $schedules.interval("images.list", { every: 1_000, fromStart: true });
    $schedules.interval("images.list", { every: 1_000, params: [] });
    $schedules.cron("images.resize.all", { cron: "* * * * *", missed: "skip" });
    // @ts-expect-error nobody serves this
    $schedules.interval("images.shrink", { every: 1_000 });
    // @ts-expect-error a namespace is no method
    $schedules.interval("images", { every: 1_000 });
    // @ts-expect-error the width is a number
    $schedules.interval("images.resize", { every: 1_000, params: ["a.png", "10"] });
    // @ts-expect-error one param is missing
    $schedules.interval("images.resize", { every: 1_000, params: ["a.png"] });
    // @ts-expect-error all params are missing
    $schedules.cron("images.resize", { cron: "* * * * *" });
    // @ts-expect-error one param too many
    $schedules.cron("images.resize.all", { cron: "* * * * *", params: [1] });
    // @ts-expect-error how often?
    $schedules.interval("images.list", {});
    // @ts-expect-error a date is no time between two runs
    $schedules.interval("images.list", { every: new Date() });
    // @ts-expect-error an interval has no zone
    $schedules.interval("images.list", { every: 1_000, timeZone: "UTC" });
    // @ts-expect-error a clock has no interval
    $schedules.cron("images.list", { cron: "* * * * *", every: 1_000 });
    // @ts-expect-error none of skip, once and all
    $schedules.cron("images.list", { cron: "* * * * *", missed: "twice" });
  });
});

it("lets a client without a type argument schedule anything", () => {
  const client = new Client();
  neverRun(async () => {
    await client.$schedules.interval("any.thing", { every: "1 day", params: [1, { a: "b" }] });
    await client.$schedules.cron("any.thing", { cron: "* * * * *" });
    expectTypeOf(client.$schedules.remove("x")).toEqualTypeOf<Promise<boolean>>();
    expectTypeOf(client.$schedules.runNow("x")).toEqualTypeOf<Promise<string>>();
    expectTypeOf(client.$schedules.list()).toEqualTypeOf<Promise<Schedule[]>>();
    // @ts-expect-error params are an array or an object
    client.$schedules.interval("any.thing", { every: "1 day", params: "x" });
  });
});

it("types limits", () => {
  const client = new Client<typeof images>();
  neverRun(() => {
    expectTypeOf(
      client.$limits.set("images.resize", {
        concurrency: 3,
        rate: null,
        perGroup: { concurrency: 1, rate: "5/min" },
      }),
    ).toEqualTypeOf<Promise<MethodLimits>>();
    client.$limits.set("images.resize", { perGroup: null });
    // @ts-expect-error nobody serves this
    client.$limits.set("images.shrink", { concurrency: 3 });
    // @ts-expect-error a number
    client.$limits.set("images.resize", { concurrency: "3" });
    // @ts-expect-error no limit at all
    client.$limits.set("images.resize", { atOnce: 3 });
  });
});

it("types failed tasks", () => {
  const client = new Client<typeof images>();
  neverRun(async () => {
    const { tasks, next } = await client.$failed.list({ from: new Date(), to: 5, limit: 10 });
    expectTypeOf(tasks).toEqualTypeOf<FailedTask[]>();
    expectTypeOf(next).toEqualTypeOf<string | undefined>();
    expectTypeOf(client.$failed.retry("id")).toEqualTypeOf<Promise<void>>();
    expectTypeOf(client.$failed.retryAll({ error: "timed out" })).toEqualTypeOf<Promise<number>>();
    for await (const { id } of client.$failed.all()) expectTypeOf(id).toEqualTypeOf<string>();
    // @ts-expect-error a Date or milliseconds
    client.$failed.list({ from: "yesterday" });
    // @ts-expect-error all of them have no limit
    client.$failed.retryAll({ limit: 10 });
  });
});

it("types when, and in which order, tasks are to run", () => {
  const client = new Client();
  const later = new AsyncClient<typeof images>();
  neverRun(() => {
    later.$with({ at: new Date(), priority: 3, group: "tenant-7", batch: true, maxRetries: 5 });
    client.$with({ at: "2 hours 30 minutes", batch: "name" });
    expectTypeOf(later.images.list().position()).toEqualTypeOf<Promise<Position>>();
    // @ts-expect-error words, a Date or a number
    later.$with({ at: true });
    // @ts-expect-error a number
    later.$with({ priority: "high" });
    new Client({ batch: true, group: "tenant-7" });
    // @ts-expect-error each says by itself which task is meant
    later.$with({ batch: true, idempotencyKey: "order-17" });
    // @ts-expect-error also where a client is made
    new Client({ batch: "name", idempotencyKey: "order-17" });
    // @ts-expect-error not to be batched is not to say so
    later.$with({ batch: false });
  });
});
