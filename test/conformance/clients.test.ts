// What every kind of client does the same, whatever is behind it: a broker over sockets, one in memory, or none at all.
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import {
  ClientClosedError,
  ConflictError,
  MethodNotFoundError,
  type TaskEvent,
  TaskExpiredError,
  TaskFailedError,
  type TaskHandle,
  TaskStoppedError,
  TaskTimeoutError,
  TooLargeError,
  UnknownTaskError,
} from "zerotask-client";
import { TaskError } from "zerotask-core";
import { current } from "zerotask-node";
import { collect, kindsOfClients } from "../support/client-kinds.ts";
import { gate } from "../support/cluster.ts";
import { until } from "../support/wait.ts";

/** A handler that runs until its signal fires, and counts its runs. */
function polite(began: unknown[]): (what?: unknown) => Promise<never> {
  return (what) => {
    const { signal } = current();
    began.push(what);
    return new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(new Error("given up")));
    });
  };
}

/** Brokers tell RUNNING only of what still runs after 10 ms. */
function names(events: readonly TaskEvent[]): string[] {
  return events
    .map(({ event, data }) => (event === "status" ? (data as { status: string }).status : event))
    .filter((name) => name !== "RUNNING");
}

describe.each(kindsOfClients)("a client of %s", (_, open) => {
  it("calls, retries, and tells failures apart", async () => {
    let runs = 0;
    const { client, later } = await open((dispatcher) => {
      dispatcher.add("math.add", (a: number, b: number) => a + b, { params: ["a", "b"] });
      dispatcher.add("flaky", () => {
        if (++runs < 3) throw new Error("not yet");
        return current().attempt;
      });
      dispatcher.add("expected", () => {
        throw new TaskError("no such customer", { id: 17 });
      });
      dispatcher.add("fail", () => {
        throw new RangeError("too much");
      });
    });
    expect(await client.math.add(5, 6)).toBe(11);
    expect(await client.$call("math.add", { b: 6, a: 5 })).toBe(11);
    expect(
      await later
        .$with({ retries: 2, backoff: { initialMs: 1, jitter: 0 } })
        .flaky()
        .wait(),
    ).toBe(3);
    const expected = { expected: true, data: { id: 17 }, message: "no such customer" };
    await expect(client.expected()).rejects.toMatchObject(expected);
    await expect(later.$with({ retries: 5 }).expected().wait()).rejects.toMatchObject(expected);
    const failed = { remoteName: "RangeError", message: "too much", expected: false };
    await expect(client.fail()).rejects.toMatchObject(failed);
    await expect(client.fail()).rejects.toBeInstanceOf(TaskFailedError);
    await expect(client.missing()).rejects.toBeInstanceOf(MethodNotFoundError);
  });

  it("hands out handles that tell the status, wait and call back", async () => {
    const { opened, open: finish } = gate<string>();
    const { later } = await open((dispatcher) => dispatcher.add("slow", () => opened));
    const handle: TaskHandle = later.slow();
    await handle.accepted;
    await until("it runs", async () => (await handle.status()) === "RUNNING");
    const called = new Promise((resolve) => handle.callback(resolve));
    await expect(handle.wait(5)).rejects.toBeInstanceOf(TaskTimeoutError);
    finish("done");
    expect(await handle.wait()).toBe("done");
    expect(await called).toBe("done");
    expect(await handle.status()).toBe("FINISHED");
    expect(await later.$handle(handle.id).wait()).toBe("done");
    await expect(later.$handle("nobody-1").status()).rejects.toBeInstanceOf(UnknownTaskError);
  });

  it("tells how tasks were stopped, and starts again what was", async () => {
    const began: unknown[] = [];
    const { opened, open: finish } = gate();
    const { later } = await open((dispatcher) => {
      dispatcher.add("polite", polite(began));
      dispatcher.add("stubborn", () => {
        began.push("stubborn");
        return opened;
      });
      dispatcher.add("quick", () => 1);
    });
    const waiting: TaskHandle = later.$with({ at: "1 day" }).quick();
    expect(await waiting.stop()).toBe("never-started");
    expect(await waiting.stop()).toBe("never-started");
    await expect(waiting.wait()).rejects.toMatchObject({
      name: "TaskStoppedError",
      data: { how: "never-started" },
    });
    const quick: TaskHandle = later.quick();
    await quick.wait();
    expect(await quick.stop()).toBe("finished-first");
    await expect(quick.start()).rejects.toBeInstanceOf(ConflictError);
    const handle: TaskHandle = later.polite("a");
    await until("it runs", () => began.length === 1);
    expect(await handle.stop()).toBe("cooperative");
    expect(await handle.stop()).toBe("cooperative");
    expect(await handle.status()).toBe("STOPPED");
    await expect(handle.wait()).rejects.toMatchObject({ data: { how: "cooperative" } });
    await handle.start();
    await until("it runs again", () => began.length === 2);
    expect(await handle.stop()).toBe("cooperative");
    const stubborn: TaskHandle = later.stubborn();
    await until("that runs", () => began.length === 3);
    expect(await stubborn.stop({ graceMs: 20 })).toBe("unstoppable");
    finish();
    await expect(stubborn.wait()).rejects.toBeInstanceOf(TaskStoppedError);
    await waiting.start();
    expect(await waiting.wait()).toBe(1);
  });

  it("runs nothing again that was stopped or has not ended, though its time is over", async () => {
    const runs: number[] = [];
    let [now, most] = [0, 0];
    const { later } = await open((dispatcher) =>
      dispatcher.add("slow", async () => {
        most = Math.max(most, ++now);
        runs.push(current().attempt);
        await sleep(300);
        now--;
      }),
    );
    const bound = later.$with({ timeoutMs: 100, retries: 1, backoff: { initialMs: 1 } });
    await expect(bound.slow().wait()).rejects.toBeInstanceOf(TaskExpiredError);
    await until("the last run has ended", () => now === 0);
    expect([runs.splice(0), most]).toEqual([[1, 2], 1]);
    const handle: TaskHandle = bound.slow();
    await until("it runs", () => now === 1);
    expect(await handle.stop()).toBe("cooperative");
    await expect(handle.wait()).rejects.toBeInstanceOf(TaskStoppedError);
    expect([runs, await handle.status()]).toEqual([[1], "STOPPED"]);
    const stubborn: TaskHandle = bound.slow();
    await until("that runs", () => now === 1);
    expect(await stubborn.stop({ graceMs: 1 })).toBe("unstoppable");
    await expect(stubborn.wait()).rejects.toThrow("100 ms, and can't be stopped: it is not run again");
    await until("its run has ended", () => now === 0);
    expect([runs, await stubborn.status()]).toEqual([[1, 1], "EXPIRED"]);
  });

  it("tells of a task that another handle began again what becomes of it", async () => {
    let runs = 0;
    const { opened, open: finish } = gate<string>();
    const { later } = await open((dispatcher) =>
      dispatcher.add("work", () => (++runs === 1 ? polite([])() : opened)),
    );
    const handle: TaskHandle = later.work();
    await until("it runs", () => runs === 1);
    await handle.stop();
    await expect(handle.wait()).rejects.toBeInstanceOf(TaskStoppedError);
    await later.$handle(handle.id).start();
    await until("it runs again", () => runs === 2);
    expect(await handle.status()).not.toBe("STOPPED");
    const outcome = handle.wait();
    finish("done");
    expect(await outcome).toBe("done");
    expect(await handle.status()).toBe("FINISHED");
    expect(await handle.wait()).toBe("done");
  });

  it("makes what runs anew, to whom follows and waits as one task that goes on", async () => {
    const began: unknown[] = [];
    const { later } = await open((dispatcher) => {
      dispatcher.add("work", (what: string) => {
        if (what !== "a") return what;
        return polite(began)(what);
      });
    });
    const handle: TaskHandle<unknown, string[]> = later.work("a");
    const told = collect(handle.events());
    const outcome = handle.wait();
    await until("it runs", () => began.length === 1);
    await handle.reload(["b"]);
    expect(await outcome).toBe("b");
    expect(await handle.wait()).toBe("b");
    const first = ["QUEUED", "ASSIGNED", "QUEUED", "ASSIGNED", "FINISHED"];
    expect(names(await told)).toEqual(first);
    // What is settled begins again, and what was told is kept.
    await handle.reload(["c"]);
    expect(await handle.wait()).toBe("c");
    expect(names(await collect(handle.events()))).toEqual([...first, "QUEUED", "ASSIGNED", "FINISHED"]);
    expect(await collect(later.$events({ task: handle.id, event: "status" }))).toEqual(
      await collect(handle.events()),
    );
  });

  it("makes anew what ignores its signal once it has ended", async () => {
    const gates = [gate<string>(), gate<string>()];
    let runs = 0;
    const { later } = await open((dispatcher) => dispatcher.add("work", () => gates[runs++]?.opened));
    const handle: TaskHandle = later.work();
    const outcome = handle.wait();
    await until("it runs", () => runs === 1);
    await expect(handle.reload(undefined, { graceMs: 20 })).rejects.toThrow("made anew when it has ended");
    gates[0]?.open("too late");
    gates[1]?.open("anew");
    expect(await outcome).toBe("anew");
  });

  it("tells events, progress and lines to early and late readers, and errors by their message", async () => {
    const { opened, open: go } = gate();
    const { later } = await open((dispatcher) =>
      dispatcher.add("work", async () => {
        current().log.info("begins", { step: 1 });
        current().progress(0.5, "half");
        await opened;
        current().emit("saved", [1]);
        throw new Error("no more");
      }),
    );
    const handle: TaskHandle = later.work();
    const early = [collect(handle.events()), collect(handle.progress()), collect(handle.logs())];
    go();
    await expect(handle.wait()).rejects.toThrow("no more");
    const [events = [], progress, lines] = await Promise.all(early);
    expect(names(events as TaskEvent[])).toEqual(["QUEUED", "ASSIGNED", "progress", "saved", "FAILED"]);
    expect((events as TaskEvent[]).at(-1)?.data).toEqual({ status: "FAILED", attempt: 1, error: "no more" });
    const seqs = (events as TaskEvent[]).map(({ seq }) => seq);
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
    expect(await collect(handle.events())).toEqual(events);
    expect(await collect(later.$events({ task: handle.id }))).toEqual(events);
    expect(progress).toEqual([{ fraction: 0.5, note: "half" }]);
    expect(lines).toMatchObject([{ level: "info", message: "begins", attempt: 1, data: { step: 1 } }]);
    for (const follow of [true, false]) expect(await collect(handle.logs({ follow }))).toEqual(lines);
  });

  it("rejects loops over tasks that nobody knows", async () => {
    const { client, later } = await open((dispatcher) => dispatcher.add("work", () => 1));
    const handle = later.$handle("nobody-1");
    for (const loop of [
      client.$events({ task: "nobody-1" }),
      handle.events(),
      handle.progress(),
      handle.logs(),
    ]) {
      await expect(collect<unknown>(loop)).rejects.toBeInstanceOf(UnknownTaskError);
    }
  });

  it("follows all tasks of a method from now on, until the loop is left or the client closed", async () => {
    const { client, later } = await open((dispatcher) => {
      dispatcher.add("work", () => current().emit("saved", 1));
      dispatcher.add("other", () => current().emit("saved", 2));
      dispatcher.add("endless", () => new Promise(() => undefined));
    });
    await client.work();
    const loop = later.$events({ method: "work", event: "saved" })[Symbol.asyncIterator]();
    const next = loop.next();
    await until("it is told", async () => {
      await later.other().wait();
      await later.work().wait();
      return Promise.race([next.then(() => true), new Promise<boolean>((r) => setTimeout(r, 50, false))]);
    });
    expect(await next).toMatchObject({ value: { event: "saved", method: "work", data: 1 } });
    const endless: TaskHandle = later.endless();
    await endless.accepted;
    const waiting = [later.$events({ method: "none" }), endless.progress(), endless.logs()];
    const iterators = waiting.map((items: AsyncIterable<unknown>) => items[Symbol.asyncIterator]());
    const pending = iterators.map((items) => items.next());
    for (const items of iterators) await items.return?.();
    for (const result of await Promise.all(pending)) expect(result.done).toBe(true);
    const loops = [collect(later.$events()), collect(endless.logs())];
    const failing = loops.map((told) => expect(told).rejects.toBeInstanceOf(ClientClosedError));
    await later.$close();
    await Promise.all(failing);
    await expect(collect(later.$events())).rejects.toBeInstanceOf(ClientClosedError);
  });

  it("refuses to follow what has no name", async () => {
    const { client, later } = await open(() => undefined);
    for (const name of ["method", "task", "event"]) {
      for (const either of [client, later]) {
        expect(() => either.$events({ [name]: "" })).toThrow(
          `Expected \`${name}\` to be a string that is not empty, got ''`,
        );
      }
    }
  });

  it("refuses params that are none, or can't be stored, where the outcome is told", async () => {
    const { client, later } = await open((dispatcher) => dispatcher.add("work", () => 1));
    async function* numbers(): AsyncGenerator<number> {
      yield 1;
    }
    for (const params of [null, 5, "text", numbers()]) {
      const refused = "Expected `params` to be an array, or an object of params by name";
      const asked = params as unknown as unknown[];
      await expect(client.$call("work", asked)).rejects.toThrow(refused);
      await expect(collect(client.$stream.$call("work", asked))).rejects.toThrow(refused);
      const handle: TaskHandle = later.$call("work", asked);
      await expect(handle.accepted).rejects.toThrow(refused);
      await expect(handle.wait()).rejects.toThrow(refused);
    }
    const handle: TaskHandle = later.work(numbers());
    await expect(handle.accepted).rejects.toThrow(
      "Expected params that can be stored, got an async iterable",
    );
    expect(later.$ignore.work(numbers())).toBeUndefined();
    const known: TaskHandle = later.work();
    expect(await known.wait()).toBe(1);
    await expect(known.reload([numbers()])).rejects.toThrow("Expected params that can be stored");
    expect(await known.status()).toBe("FINISHED");
  });

  it("tells what handlers tell within bounds, and never fails them for it", async () => {
    const { later } = await open((dispatcher) =>
      dispatcher.add("tell", () => {
        const circle: unknown[] = [];
        circle.push(circle);
        current().emit("big", 10n);
        current().emit("circle", circle);
        current().emit("large", "x".repeat(100_000));
        current().emit("progress", { fraction: 5 });
        current().log.info("y".repeat(100_000), "x".repeat(100_000));
      }),
    );
    const handle: TaskHandle = later.tell();
    await handle.wait();
    const told = (await collect(handle.events())).filter(({ event }) => event !== "status");
    expect(told.map(({ event, data }) => [event, data])).toEqual([
      ["big", "10n"],
      ["circle", "<ref *1> [ [Circular *1] ]"],
      ["large", { too_large: 100_002 }],
    ]);
    const [line] = await collect(handle.logs());
    expect(line).toMatchObject({ message: `${"y".repeat(16_384)}…`, data: { too_large: 100_002 } });
  });

  it("expires what waits too long after its time, and tells why what can't be done is refused", async () => {
    const { opened, open: finish } = gate();
    const { client, later } = await open((dispatcher) => {
      dispatcher.add("quick", () => 1);
      dispatcher.add("block", () => opened);
    }, 1);
    expect(await later.$with({ expiresMs: 50, at: 100 }).quick().wait()).toBe(1);
    const block: TaskHandle = later.block();
    await until("it runs", async () => (await block.status()) === "RUNNING");
    const waiting: TaskHandle = later.quick();
    await expect(later.$with({ expiresMs: 20 }).quick().wait()).rejects.toBeInstanceOf(TaskExpiredError);
    expect(await waiting.stop()).toBe("never-started");
    await expect(client.missing()).rejects.toMatchObject({ data: { method: "missing" } });
    let deep: unknown = 1;
    for (let level = 0; level < 500; level++) deep = [deep];
    await expect(client.quick(deep)).rejects.toBeInstanceOf(TooLargeError);
    finish();
    await block.wait();
  });

  it("takes nothing that nests deeper than a message may, from handlers either", async () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
    const { client } = await open((dispatcher) => {
      dispatcher.add("returns", nested);
      dispatcher.add("throws", (levels: number) => {
        throw new TaskError("deep", nested(levels));
      });
    });
    expect(await client.returns(90)).toEqual(nested(90));
    await expect(client.returns(200)).rejects.toBeInstanceOf(TooLargeError);
    await expect(client.throws(200)).rejects.toBeInstanceOf(TooLargeError);
  });

  it("tells nothing more once it is closed", async () => {
    const { later } = await open((dispatcher) => dispatcher.add("work", () => new Promise(() => undefined)));
    const handle: TaskHandle = later.work();
    await handle.accepted;
    await later.$close();
    for (const ask of [
      () => handle.status(),
      () => handle.stop(),
      () => handle.start(),
      () => handle.reload(),
      () => later.$handle(handle.id).status(),
      () => later.$handle("nobody-1").status(),
    ]) {
      await expect(ask()).rejects.toBeInstanceOf(ClientClosedError);
    }
  });

  it("lets handlers call and submit, within one slot and one trace", async () => {
    const ignored = gate<string>();
    const { later } = await open((dispatcher) => {
      dispatcher.add("outer", async () => {
        const { client, id } = current();
        const submitted = client.$later.$with({ durability: "memory" }).inner();
        const traces = [await client.inner(), await submitted.wait()];
        traces.push(await client.$later.$handle(submitted.id).wait());
        client.$later.$ignore.note();
        await client.$later.$close();
        return { traces, isOwn: traces.every((trace) => trace === id), deadline: await client.bound() };
      });
      dispatcher.add("inner", () => current().trace);
      dispatcher.add("bound", () => current().deadline !== undefined);
      dispatcher.add("unbound", () => current().deadline === undefined);
      dispatcher.add("note", () => ignored.open(current().trace));
      dispatcher.add("submits", async () => current().client.$later.unbound().wait());
    }, 1);
    const bound = later.$with({ timeoutMs: 5_000 });
    const outer: TaskHandle = bound.outer();
    expect(await outer.wait()).toMatchObject({ isOwn: true, deadline: true });
    expect(await ignored.opened).toBe(outer.id);
    expect(await bound.submits().wait()).toBe(true);
  });
});
