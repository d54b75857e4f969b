import { describe, expect, it, onTestFinished } from "vitest";
import { Broker } from "zerotask-broker";
import { TaskFailedError, TaskStoppedError } from "zerotask-client";
import { Dispatcher, lifecycle } from "zerotask-core";
import { current, type ExceptionInfo, Node, TaskError } from "zerotask-node";
import { testCluster } from "zerotask-testing";
import { connect, connectAsync, gate, startBroker, startNode } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import { until } from "../support/wait.ts";

/** Resolves when the handler's signal fires. */
const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

describe("current()", () => {
  it("calls other tasks, which belong to the same trace and have no more time", async () => {
    const { requestEndpoint } = await startBroker();
    await startNode(requestEndpoint, (dispatcher) => {
      dispatcher.add("outer", async () => {
        const { client, trace, deadline } = current();
        return { trace, deadline, inner: await client.middle() };
      });
      dispatcher.add("middle", () => current().client.inner());
      dispatcher.add("inner", () => {
        const { id, trace, deadline } = current();
        return { id, trace, deadline };
      });
    });
    const handle = connectAsync(requestEndpoint).$with({ timeoutMs: 60_000 }).outer();
    const { trace, deadline, inner } = (await handle.wait()) as {
      trace: string;
      deadline: number;
      inner: { id: string; trace: string; deadline: number };
    };
    expect(trace).toBe(handle.id);
    expect(inner.trace).toBe(handle.id);
    expect(inner.id).not.toBe(handle.id);
    expect(inner.deadline).toBeLessThan(deadline + 5_000);
    expect(inner.deadline).toBeGreaterThan(deadline - 30_000);
    expect(await connect(requestEndpoint).inner()).not.toHaveProperty("deadline");
  });

  it("never waits for its own node: tasks that wait for others take up no slot", async () => {
    const { requestEndpoint } = await startBroker();
    const depth = async (levels: number): Promise<number> =>
      levels === 0 ? 0 : 1 + ((await current().client.depth(levels - 1)) as number);
    await startNode(requestEndpoint, (dispatcher) => dispatcher.add("depth", depth), { slots: 1 });
    const client = connect(requestEndpoint);
    const all = Array.from({ length: 20 }, () => client.depth(10));
    expect(await Promise.all(all)).toEqual(all.map(() => 10));
  });

  it("refuses progress that is none, and the name of the events that are the broker's own", async () => {
    const { requestEndpoint } = await startBroker();
    await startNode(requestEndpoint, (dispatcher) => {
      dispatcher.add("bad", (what: string) =>
        what === "emit" ? current().emit("status") : current().progress(7),
      );
    });
    const client = connect(requestEndpoint);
    await expect(client.bad("emit")).rejects.toThrow('1 to 200 characters other than "status"');
    await expect(client.bad("progress")).rejects.toThrow(
      "Expected `fraction` to be a number from 0 to 1, got 7",
    );
  });
});

describe("what a handler tells", () => {
  it("is kept where it logs more at once than one message to the broker may hold", async () => {
    const { requestEndpoint } = await startBroker({ maxMessageBytes: 1024 * 1024 });
    await startNode(requestEndpoint, (dispatcher) => {
      dispatcher.add("chat", () => {
        for (let n = 0; n < 60; n++) current().log.info(`${n}`, "x".repeat(60_000));
      });
    });
    const handle = connectAsync(requestEndpoint).chat();
    await handle.wait();
    const lines: string[] = [];
    for await (const { message } of handle.logs({ follow: false })) lines.push(message);
    expect(lines).toEqual(Array.from({ length: 60 }, (_, n) => `${n}`));
  });

  it("is heard by those who follow its task, in order, also when they come late", async () => {
    const printed: unknown[] = [];
    const { warn } = console;
    console.warn = (...args: unknown[]) => void printed.push(args);
    onTestFinished(() => {
      console.warn = warn;
    });
    const { requestEndpoint } = await startBroker();
    await startNode(
      requestEndpoint,
      (dispatcher) =>
        dispatcher.add("resize", async (name: string) => {
          const { emit, log, progress } = bound(current());
          progress(0.25, "loading");
          emit("loaded", { name });
          log("resizing", { name });
          await new Promise((resolve) => setImmediate(resolve));
          console.warn("%s is large", name);
          progress(0.5);
          progress(0.75);
          emit("resized", () => undefined);
          return name;
        }),
      { captureConsole: true },
    );
    const handle = connectAsync(requestEndpoint).resize("a.png");
    const told: unknown[] = [];
    for await (const { event, data } of handle.events()) told.push([event, data]);
    const attempt = 1;
    expect(told).toEqual([
      ["status", { status: "QUEUED", attempt: 0 }],
      ["status", { status: "ASSIGNED", attempt }],
      ["progress", { fraction: 0.25, note: "loading" }],
      ["loaded", { name: "a.png" }],
      ["progress", { fraction: 0.75 }],
      ["resized", "[Function (anonymous)]"],
      ["status", { status: "FINISHED", attempt }],
    ]);
    const lines: unknown[] = [];
    for await (const { level, message, data } of handle.logs()) lines.push([level, message, data]);
    expect(lines).toEqual([
      ["info", "resizing", { name: "a.png" }],
      ["warn", "a.png is large", undefined],
    ]);
    expect(printed).toEqual([["%s is large", "a.png"]]);
    const fractions: number[] = [];
    for await (const { fraction } of handle.progress()) fractions.push(fraction);
    expect(fractions).toEqual([0.25, 0.75]);
  });
});

/** What a handler tells, as functions. */
function bound(context: ReturnType<typeof current>): {
  emit: typeof context.emit;
  log: typeof context.log.info;
  progress: typeof context.progress;
} {
  return {
    emit: (event, data) => context.emit(event, data),
    log: (message, data) => context.log.info(message, data),
    progress: (fraction, note) => context.progress(fraction, note),
  };
}

describe("what handlers throw", () => {
  it("is expected, and an outcome; or an exception, logged and told to listeners", async () => {
    const { requestEndpoint } = await startBroker();
    const logged: unknown[] = [];
    const note =
      (level: string) =>
      (data: object, message: string): void =>
        void logged.push({ level, ...data, message });
    const logger = { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") };
    let runs = 0;
    const node = await startNode(
      requestEndpoint,
      (dispatcher) => {
        dispatcher.add("find", () => {
          runs++;
          throw new TaskError("no such customer", { customer: 7 });
        });
        dispatcher.add("crash", () => {
          throw new RangeError("out of reach");
        });
      },
      { logger },
    );
    const told: [unknown, ExceptionInfo][] = [];
    const end = node.onException((error, info) => {
      told.push([error, info]);
      throw new Error("the listener's own");
    });
    const later = connectAsync(requestEndpoint).$with({ retries: 3 });
    const find = later.find();
    await expect(find.wait()).rejects.toMatchObject({
      name: "TaskFailedError",
      message: "no such customer",
      remoteName: "TaskError",
      remoteStack: undefined,
      expected: true,
      data: { customer: 7 },
    });
    expect([runs, await find.status()]).toEqual([1, "FAILED"]);
    expect(told).toEqual([]);
    const crash = await connect(requestEndpoint)
      .crash()
      .catch((error: unknown) => error);
    expect(crash).toBeInstanceOf(TaskFailedError);
    expect(crash).toMatchObject({ expected: false, remoteName: "RangeError" });
    expect(told).toMatchObject([[{ message: "out of reach" }, { method: "crash", attempt: 1 }]]);
    end();
    await connect(requestEndpoint)
      .crash()
      .catch(() => undefined);
    expect(told).toHaveLength(1);
    const notable = logged.filter((line) => (line as { method?: string }).method !== undefined);
    expect(notable).toMatchObject([
      { level: "info", method: "find", reason: "no such customer" },
      { level: "error", method: "crash", err: { message: "out of reach", stack: expect.any(String) } },
      { level: "error", method: "crash" },
    ]);
    expect(notable[0]).not.toHaveProperty("err");
  });
});

describe("stopping", () => {
  const serve = (dispatcher: Dispatcher, ended: string[] = []): void => {
    dispatcher.add("wait", async (name: string) => {
      await aborted(current().signal);
      ended.push(name);
      return "what it had so far";
    });
    dispatcher.add("ignore", async () => {
      const { signal } = current();
      await aborted(signal);
      await new Promise((resolve) => ignoring.push(() => resolve(1)));
    });
    dispatcher.add("quick", () => 1);
  };
  const ignoring: (() => void)[] = [];

  it("tells how it went, and no retry follows", async () => {
    const { requestEndpoint } = await startBroker();
    const ended: string[] = [];
    await startNode(requestEndpoint, (dispatcher) => serve(dispatcher, ended), { slots: 2 });
    const later = connectAsync(requestEndpoint).$with({ retries: 2 });
    const quick = later.quick();
    await quick.wait();
    expect(await quick.stop()).toBe("finished-first");
    const [first, second, third] = [later.wait("a"), later.ignore(), later.wait("c")];
    await until("two to run", async () => (await second.status()) === "RUNNING");
    expect(await third.stop()).toBe("never-started");
    await until("the first to run", async () => (await first.status()) === "RUNNING");
    expect(await first.stop()).toBe("cooperative");
    expect(ended).toEqual(["a"]);
    await expect(first.wait()).rejects.toBeInstanceOf(TaskStoppedError);
    expect(await first.status()).toBe("STOPPED");
    expect(await second.stop({ graceMs: 10 })).toBe("unstoppable");
    expect(await second.status()).toBe("RUNNING");
    for (const end of ignoring.splice(0)) end();
    await expect(second.wait()).rejects.toBeInstanceOf(TaskStoppedError);
    expect(ended).toEqual(["a"]);
  });

  it("refuses options that it does not know", async () => {
    const { requestEndpoint } = await startBroker();
    await startNode(requestEndpoint, (dispatcher) => serve(dispatcher));
    const handle = connectAsync(requestEndpoint).quick();
    await expect(handle.stop({ grace: 5 } as object)).rejects.toThrow("one of graceMs, force");
    await expect(handle.stop({ graceMs: -5 })).rejects.toThrow("Expected `graceMs` to be whole milliseconds");
    await expect(handle.reload(7 as never)).rejects.toThrow("Expected `params` to be an array");
  });
});

describe("long-running work", () => {
  it("is a class that is made with the task's params, stopped, started again, and made anew", async () => {
    const { requestEndpoint } = await startBroker();
    const log: string[] = [];
    class Poller {
      readonly #url: string;
      #end: (() => void) | undefined;

      constructor(url: string) {
        this.#url = url;
        log.push(`made ${url}`);
      }

      async start(): Promise<string> {
        await new Promise<void>((resolve) => {
          this.#end = resolve;
          log.push(`started ${this.#url}`);
        });
        return this.#url;
      }

      async stop(): Promise<void> {
        this.#end?.();
        await new Promise((resolve) => setImmediate(resolve));
        log.push(`stopped ${this.#url}`);
      }
    }
    const add = (dispatcher: Dispatcher): void => dispatcher.add("poll", lifecycle(Poller));
    const [one, two] = await Promise.all([startNode(requestEndpoint, add), startNode(requestEndpoint, add)]);
    const handle = connectAsync(requestEndpoint).poll("a");
    const logged = (line: string): Promise<void> => until(line, () => log.includes(line));
    await logged("started a");
    await handle.reload(["b"]);
    await logged("started b");
    expect(log).toEqual(["made a", "started a", "stopped a", "made b", "started b"]);
    expect(await handle.stop()).toBe("cooperative");
    await expect(handle.wait()).rejects.toBeInstanceOf(TaskStoppedError);
    expect(log.splice(0).at(-1)).toBe("stopped b");
    await handle.start();
    await logged("started b");
    expect(["ASSIGNED", "RUNNING"]).toContain(await handle.status());
    await handle.reload();
    await until("another one", () => log.filter((line) => line === "started b").length === 2);
    expect(await handle.stop()).toBe("cooperative");
    await expect(handle.start()).resolves.toBeUndefined();
    await Promise.all([one.stop(), two.stop()]);
  });
});

describe("tasks that a node runs for itself", () => {
  it("begin with it, are seen like any other, and are run again when they fail", async () => {
    const { requestEndpoint } = await startBroker();
    const began: string[] = [];
    const dispatcher = new Dispatcher();
    dispatcher.add(
      "watch",
      async (what: string) => {
        const { id, attempt, signal } = current();
        began.push(`${what} ${attempt}`);
        if (attempt < 3) throw new Error("not yet");
        ids.push(id);
        await aborted(signal);
      },
      { backoff: { initialMs: 1, jitter: 0 } },
    );
    const quick: string[] = [];
    dispatcher.add("quick", () => {
      quick.push(current().id);
      return 1;
    });
    const ids: string[] = [];
    const node = new Node({ dispatcher, slots: 1, drainMs: 1_000 });
    node.addBroker(requestEndpoint);
    const id = node.runLocal("watch", ["files"]);
    await node.start();
    onTestFinished(() => node.stop());
    await until("it to run", () => ids.length === 1);
    expect(ids).toEqual([id]);
    expect(() => node.runLocal("wath")).toThrow("Expected `runLocal` to be a method that the node serves");
    // Nothing is left of what was refused.
    const later = node.runLocal("quick");
    await until("it to run", () => quick.includes(later));
    expect(began).toEqual(["files 1", "files 2", "files 3"]);
    const handle = connectAsync(requestEndpoint).$handle(ids[0] as string);
    await until("it to be known as running", async () => (await handle.status()) === "RUNNING");
    // It takes up no slot.
    expect(await connect(requestEndpoint).quick()).toBe(1);
    expect(await handle.stop()).toBe("cooperative");
    await node.stop();
  });

  it("are refused where the node does not serve them", async () => {
    const { requestEndpoint } = await startBroker();
    const node = new Node({ dispatcher: new Dispatcher() });
    node.addBroker(requestEndpoint);
    async function* items(): AsyncGenerator<number> {}
    for (const params of [7, items(), [items()], { n: items() }, [10n]]) {
      expect(() => node.runLocal("watch", params as never)).toThrow("Expected `params` to be an array");
    }
    node.runLocal("watch");
    await expect(node.start()).rejects.toThrow("Expected `runLocal` to be a method that the node serves");
  });

  it("keep no node from leaving that ignore that they are to end and can't be ended", async () => {
    const dispatcher = new Dispatcher();
    const { opened: began, open } = gate();
    dispatcher.add("stubborn", () => {
      open();
      return new Promise(() => undefined);
    });
    const { opened: ended, open: end } = gate<number>();
    dispatcher.add("slow", () => ended);
    const cluster = await testCluster({ seed: 1, dispatcher });
    onTestFinished(() => cluster.close());
    const [node] = cluster.nodes;
    node?.runLocal("stubborn");
    await began;
    const handle = cluster.later().slow();
    await until("it to run", async () => (await handle.status()) === "ASSIGNED");
    let hasLeft = false;
    void node?.stop({ drainMs: Number.POSITIVE_INFINITY }).then(() => {
      hasLeft = true;
    });
    await cluster.clock.advance("1 hour");
    expect(hasLeft).toBe(false);
    end(7);
    expect(await handle.wait()).toBe(7);
    await cluster.clock.advance("1 second");
    expect(hasLeft).toBe(true);
  });

  it("go on while their broker is restarted", async () => {
    const requestPort = await freePort();
    const broker = new Broker({ requestPort, publishPort: 0, dispatcher: new Dispatcher() });
    await broker.start();
    const { requestEndpoint } = broker;
    const began: { id: string; attempt: number }[] = [];
    const dispatcher = new Dispatcher();
    dispatcher.add("watch", async () => {
      const { id, attempt } = current();
      began.push({ id, attempt });
      await aborted(current().signal);
    });
    const node = new Node({ dispatcher });
    node.addBroker(requestEndpoint);
    node.runLocal("watch");
    await node.start();
    onTestFinished(() => node.stop());
    await until("it to run", () => began.length === 1);
    await broker.stop();
    await startBroker({ requestPort });
    const handle = connectAsync(requestEndpoint).$handle(began[0]?.id ?? "");
    await until("the new broker to know it", async () => {
      return (await handle.status().catch(() => undefined)) === "RUNNING";
    });
    expect(began).toMatchObject([{ attempt: 1 }]);
  });
});
