// Long-running work as a class: when it is made, started and stopped, and what is told of that.
import { expect, it, onTestFinished } from "vitest";
import { LocalClient, type LocalClientOptions } from "zerotask-client";
import {
  current,
  Dispatcher,
  inScope,
  type LifecycleClass,
  lifecycle,
  type TaskContext,
} from "zerotask-core";
import { gate } from "../support/cluster.ts";
import { until } from "../support/wait.ts";

function serve(Class: LifecycleClass, options: LocalClientOptions = {}): LocalClient {
  const dispatcher = new Dispatcher();
  dispatcher.add("work", lifecycle(Class));
  const client = new LocalClient(dispatcher, options);
  onTestFinished(() => client.$close());
  return client;
}

it("is in its run when it is stopped, and logs what its stop throws", async () => {
  const ids: string[] = [];
  class Work {
    readonly #end = gate();

    async start(): Promise<void> {
      ids.push(current().id);
      await this.#end.opened;
    }

    async stop(): Promise<void> {
      ids.push(current().id);
      this.#end.open();
      throw new RangeError("the disk is full");
    }
  }
  const client = serve(Work);
  const handle = client.$later.work();
  await until("it to run", () => ids.length === 1);
  expect(await handle.stop({ graceMs: 1_000 })).toBe("cooperative");
  const { id } = handle;
  expect(ids).toEqual([id, id]);
  const lines: unknown[] = [];
  for await (const { level, message, data } of handle.logs()) lines.push({ level, message, data });
  expect(lines).toMatchObject([
    { level: "error", message: "stop() threw: the disk is full", data: { name: "RangeError" } },
  ]);
});

it("is over when its stop is, also where its start fails", async () => {
  const log: string[] = [];
  const closed = gate();
  class Work {
    readonly #end = gate();

    async start(): Promise<void> {
      log.push("start");
      await this.#end.opened;
      throw new Error("the connection was closed");
    }

    async stop(): Promise<void> {
      log.push("stop");
      this.#end.open();
      await closed.opened;
      log.push("stopped");
    }
  }
  const client = serve(Work);
  const handle = client.$later.work();
  await until("it to run", () => log.length === 1);
  const reloaded = handle.reload();
  await until("it to stop", () => log.length === 2);
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
  closed.open();
  await reloaded;
  await until("it to run again", () => log.length === 4);
  expect(log).toEqual(["start", "stop", "stopped", "start"]);
});

it("is not even made where it was stopped before", async () => {
  let made = 0;
  class Work {
    constructor() {
      made++;
    }

    start(): void {}
  }
  const scope = { context: () => ({ signal: AbortSignal.abort() }) as TaskContext };
  await expect(inScope(scope, lifecycle(Work))).rejects.toThrow("Stopped before it began to run");
  expect(made).toBe(0);
});
