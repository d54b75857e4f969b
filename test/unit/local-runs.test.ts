// When tasks of a LocalClient run, how often, and how their runs end.
import { expect, it } from "vitest";
import {
  ConflictError,
  NotAllowedError,
  OptionError,
  TaskExpiredError,
  type TaskHandle,
  TaskStoppedError,
  TaskTimeoutError,
  UnknownTaskError,
} from "zerotask-client";
import { RetryError } from "zerotask-core";
import { current } from "zerotask-node";
import { gate } from "../support/cluster.ts";
import { collect, serve, serveIn, settled } from "../support/local-client.ts";

it("gives back one slot of a run that ends while a task of its own is still waited for", async () => {
  const { opened, open } = gate();
  let [running, most] = [0, 0];
  const client = serve(
    (dispatcher) => {
      dispatcher.add("outer", () => void current().client.$later.inner().wait());
      dispatcher.add("inner", () => opened);
      dispatcher.add("count", async () => {
        most = Math.max(most, ++running);
        await settled();
        running--;
      });
    },
    { slots: 2 },
  );
  await client.outer();
  await Promise.all([client.count(), client.count(), client.count()]);
  expect(most).toBe(1);
  open();
  await settled();
  await Promise.all([client.count(), client.count(), client.count()]);
  expect(most).toBe(2);
});

it("runs again what fails or asks for it, as often and late as options and method say", async () => {
  const seen: number[] = [];
  const { client, pass } = serveIn((dispatcher) => {
    dispatcher.add(
      "flaky",
      () => {
        seen.push(current().attempt);
        if (current().attempt < 3) throw new Error("not yet");
        return "done";
      },
      { retries: 1 },
    );
    dispatcher.add("later", () => {
      if (current().attempt === 1) throw new RetryError({ delay: "1 hour" });
      return current().attempt;
    });
    dispatcher.add("never", () => {
      throw new RetryError();
    });
  });
  const failing = client.$later.flaky();
  const passing = client.$later.$with({ retries: 2, backoff: { initialMs: 60_000, jitter: 0 } }).flaky();
  const later = client.$later.later();
  const never = client.$later.$with({ maxRetries: 2 }).never();
  await pass(30_000);
  await expect(failing.wait()).rejects.toThrow("not yet");
  await expect(never.wait()).rejects.toThrow("more often than it may");
  expect(await passing.status()).toBe("SCHEDULED");
  await pass(180_000);
  expect(await passing.wait()).toBe("done");
  expect(await later.status()).toBe("SCHEDULED");
  await pass(3_600_000);
  expect(await later.wait()).toBe(2);
});

it("runs tasks at their time, in the order of their priorities, and not after they expired", async () => {
  const seen: string[] = [];
  const { client, pass } = serveIn(
    (dispatcher) => {
      dispatcher.add("note", (text: string) => void seen.push(text));
      dispatcher.add("block", () => new Promise(() => undefined), { timeoutMs: 1_000 });
    },
    { slots: 1 },
  );
  const tomorrow = client.$later.$with({ at: "40 days" }).note("in 40 days");
  client.$ignore.note("normal");
  const urgent = client.$later.$with({ priority: 5 }).note("urgent");
  client.$later.$with({ at: "2 hours" }).note("in 2 hours");
  await pass(0);
  expect(seen).toEqual(["urgent", "normal"]);
  expect(await urgent.position()).toEqual({ ahead: 0, etaMs: null });
  expect(await tomorrow.status()).toBe("SCHEDULED");
  await pass(7_200_000);
  expect(seen).toEqual(["urgent", "normal", "in 2 hours"]);
  await pass(40 * 86_400_000);
  expect(seen.at(-1)).toBe("in 40 days");
  const blocking = client.$later.block();
  await pass(1);
  const waiting = client.$later.$with({ expiresMs: 500 }).note("too late");
  await pass(1_000);
  await expect(blocking.wait()).rejects.toBeInstanceOf(TaskExpiredError);
  await expect(waiting.wait()).rejects.toBeInstanceOf(TaskExpiredError);
});

it("makes one task of one key, and refuses it for another", async () => {
  let runs = 0;
  const client = serve((dispatcher) => dispatcher.add("charge", (sum: number) => sum + ++runs));
  const keyed = client.$later.$with({ idempotencyKey: "order-17" });
  expect(await Promise.all([keyed.charge(10).wait(), keyed.charge(10).wait()])).toEqual([11, 11]);
  expect(await client.$with({ idempotencyKey: "order-17" }).charge(10)).toBe(11);
  await expect(keyed.charge(20).accepted).rejects.toBeInstanceOf(ConflictError);
  expect(await keyed.charge(10).wait()).toBe(11);
});

it("stops what waits at once, and tells whether what runs has ended", async () => {
  const stubbornly = gate();
  const client = serve((dispatcher) => {
    dispatcher.add("polite", () => {
      const { signal } = current();
      return new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(new Error("given up")));
      });
    });
    dispatcher.add("stubborn", () => stubbornly.opened);
    dispatcher.add("quick", () => 1);
  });
  const waiting = client.$later.$with({ at: "1 day" }).quick();
  expect(await waiting.stop()).toBe("never-started");
  await expect(waiting.wait()).rejects.toBeInstanceOf(TaskStoppedError);
  const polite = client.$later.polite();
  const stubborn = client.$later.stubborn();
  const quick = client.$later.quick();
  await quick.wait();
  expect(await polite.stop()).toBe("cooperative");
  expect(await polite.status()).toBe("STOPPED");
  expect(await stubborn.stop({ graceMs: 1 })).toBe("unstoppable");
  expect(await stubborn.status()).toBe("RUNNING");
  stubbornly.open();
  await expect(stubborn.wait()).rejects.toBeInstanceOf(TaskStoppedError);
  expect(await quick.stop()).toBe("finished-first");
  await polite.start();
  await expect(quick.start()).rejects.toBeInstanceOf(ConflictError);
  await settled();
  expect(await polite.status()).toBe("RUNNING");
  expect(await polite.stop()).toBe("cooperative");
  await quick.reload();
  expect(await quick.wait()).toBe(1);
  await expect(client.$handle("unknown").stop()).rejects.toBeInstanceOf(UnknownTaskError);
  await expect(quick.stop({ graceMs: -1 })).rejects.toBeInstanceOf(OptionError);
});

it("refuses to make anew what was stopped before, and ignores its signal", async () => {
  const { opened, open } = gate();
  const client = serve((dispatcher) => dispatcher.add("stubborn", () => opened));
  const handle: TaskHandle = client.$later.stubborn();
  await settled();
  expect(await handle.stop({ graceMs: 0 })).toBe("unstoppable");
  const reload = handle.reload(undefined, { graceMs: 0 });
  await expect(reload).rejects.toBeInstanceOf(ConflictError);
  await expect(reload).rejects.toThrow("Expected a task that is not being stopped");
  open();
  await expect(handle.wait()).rejects.toBeInstanceOf(TaskStoppedError);
});

it("lets a call give up when its time is over, and its handler hear of it", async () => {
  const gates = [gate(), gate()];
  let runs = 0;
  const client = serve((dispatcher) => {
    const forever = (): Promise<never> => {
      const run = runs++;
      current().signal.addEventListener("abort", () => gates[run]?.open());
      return new Promise(() => undefined);
    };
    dispatcher.add("slow", forever);
    dispatcher.add("rows", async function* () {
      yield await forever();
    });
  });
  const bound = client.$with({ timeoutMs: 20 });
  await expect(bound.slow()).rejects.toBeInstanceOf(TaskTimeoutError);
  await expect(collect(bound.$stream.rows())).rejects.toBeInstanceOf(TaskTimeoutError);
  for (const { opened } of gates) await opened;
});

it("lets no run go on for ever whose time is over, also where it is stopped after that", async () => {
  const { client, pass } = serveIn((dispatcher) => {
    dispatcher.add("stubborn", () => new Promise(() => undefined));
  });
  const handle: TaskHandle = client.$later.$with({ timeoutMs: 100, retries: 1 }).stubborn();
  const outcome = handle.wait().catch((error: unknown) => error);
  await pass(200);
  const stopping = handle.stop({ graceMs: 10_000 });
  await pass(4_800);
  expect(await handle.status()).toBe("RUNNING");
  await pass(200);
  expect([await stopping, await handle.status()]).toEqual(["unstoppable", "EXPIRED"]);
  expect(await outcome).toBeInstanceOf(TaskExpiredError);
});

it("lets no run go on for ever that was to be made anew when its time was over, and is stopped after that", async () => {
  const { client, pass } = serveIn((dispatcher) => {
    dispatcher.add("stubborn", () => new Promise(() => undefined));
  });
  const handle: TaskHandle = client.$later.$with({ timeoutMs: 100 }).stubborn();
  await pass(50);
  const reloading = handle.reload(undefined, { graceMs: 10 }).catch((error: unknown) => error);
  await pass(100);
  expect(await reloading).toBeInstanceOf(NotAllowedError);
  expect(await handle.status()).toBe("RUNNING");
  const stopping = handle.stop({ graceMs: 10 });
  await pass(20);
  expect([await stopping, await handle.status()]).toEqual(["unstoppable", "EXPIRED"]);
});

it("closes the inputs of a run that nobody waits for when its time is over, though it ignores its signal", async () => {
  const { client, pass } = serveIn(
    (dispatcher) => {
      dispatcher.add("block", () => blocked.opened);
      dispatcher.add("stubborn", () => new Promise(() => undefined));
    },
    { slots: 1 },
  );
  const blocked = gate();
  const closed: string[] = [];
  const items = {
    [Symbol.asyncIterator]: () => ({
      next: async () => ({ done: false as const, value: 1 }),
      return: async () => {
        closed.push("items");
        return { done: true as const, value: undefined };
      },
    }),
  };
  const statuses: unknown[] = [];
  void (async () => {
    for await (const { data } of client.$events({ method: "stubborn" })) statuses.push(data);
  })().catch(() => undefined);
  const block = client.block();
  const call = client
    .$with({ timeoutMs: 1_000 })
    .stubborn(items)
    .catch((error: unknown) => error);
  await pass(500);
  blocked.open();
  await block;
  await pass(600);
  expect(await call).toBeInstanceOf(TaskTimeoutError);
  expect([statuses.at(-1), closed]).toEqual([{ status: "RUNNING", attempt: 1 }, []]);
  await pass(500);
  const error = "The task ran for more than 1000 ms";
  expect([statuses.at(-1), closed]).toEqual([{ status: "EXPIRED", attempt: 1, error }, ["items"]]);
});
