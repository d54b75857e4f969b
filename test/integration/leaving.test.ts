// Nodes that leave: when nothing is left to do, when they are told to, and under names that are theirs alone.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Dispatcher, NameTakenError } from "zerotask-core";
import { Node } from "zerotask-node";
import { connect, connectAsync, gate, startBroker, startNode } from "../support/cluster.ts";
import { end, freePort, runToEnd, start } from "../support/processes.ts";
import { until } from "../support/wait.ts";
import { folderWith, tellingModule, watched } from "../support/watched.ts";

const portOf = (endpoint: string): string => endpoint.slice(endpoint.lastIndexOf(":") + 1);

async function startStoringBroker(): Promise<{ port: string; restart(): Promise<void> }> {
  const data = await folderWith({});
  const [port, publishPort] = [String(await freePort()), String(await freePort())];
  const args = ["--data", data, "-r", port, "-p", publishPort] as const;
  let broker = await start("broker", ...args);
  const restart = async (): Promise<void> => {
    await end(broker.child, "SIGKILL");
    broker = await start("broker", ...args);
  };
  return { port, restart };
}

describe("a node that leaves when it is empty", () => {
  it("runs all that is queued, does not wait for what is scheduled for later, and exits with code 0", async () => {
    const { requestEndpoint } = await startBroker();
    const later = connectAsync(requestEndpoint);
    const handles = Array.from({ length: 30 }, (_, i) => later.add(i, 1));
    const tomorrow = later.$with({ at: "1 day" }).add(1, 2);
    await Promise.all([...handles, tomorrow].map(({ accepted }) => accepted));
    const node = watched("node", "-r", portOf(requestEndpoint), "-x", "1", "--exit-when-empty");
    expect(await node.ended()).toBe(0);
    expect(node.out.map((line) => line.replace(/ready: .*/, "ready"))).toEqual([
      "zerotask-node is ready",
      "zerotask-node leaves: nothing that it serves is queued or due",
    ]);
    expect(await Promise.all(handles.map((handle) => handle.status()))).toEqual(
      handles.map(() => "FINISHED"),
    );
    expect(await tomorrow.status()).toBe("SCHEDULED");
  });

  it("waits for a task that becomes due while another one runs", async () => {
    const { requestEndpoint } = await startBroker();
    const later = connectAsync(requestEndpoint);
    const { opened, open } = gate<number>();
    const node = await startNode(requestEndpoint, (dispatcher) => {
      dispatcher.add("slow", () => opened);
      dispatcher.add("quick", () => open(1));
    });
    const slow = later.slow();
    await slow.accepted;
    const quick = later.$with({ at: "100 ms" }).quick();
    await quick.accepted;
    await node.stop({ whenEmpty: true });
    expect(await Promise.all([slow.status(), quick.status()])).toEqual(["FINISHED", "FINISHED"]);
  });

  it("runs what is on the broker's disk, also after a restart of the broker", async () => {
    const { port, restart } = await startStoringBroker();
    const later = connectAsync(`tcp://127.0.0.1:${port}`);
    const handles = Array.from({ length: 30 }, (_, i) => later.add(i, 1));
    await Promise.all(handles.map(({ accepted }) => accepted));
    const ids = handles.map(({ id }) => id);
    await later.$close();
    await restart();
    const node = watched("node", "-r", port, "--exit-when-empty");
    expect(await node.ended()).toBe(0);
    const other = connectAsync(`tcp://127.0.0.1:${port}`);
    const statuses = await Promise.all(ids.map((id) => other.$handle(id).status()));
    expect(statuses).toEqual(ids.map(() => "FINISHED"));
  });

  it("asks again when the broker is restarted while it waits", async () => {
    const { port, restart } = await startStoringBroker();
    const endpoint = `tcp://127.0.0.1:${port}`;
    const { opened, open } = gate<number>();
    let runs = 0;
    const node = await startNode(endpoint, (dispatcher) =>
      dispatcher.add("slow", () => {
        runs++;
        return opened;
      }),
    );
    const later = connectAsync(endpoint);
    const handle = later.slow();
    await handle.accepted;
    await until("the run", () => runs === 1);
    const left = node.stop({ whenEmpty: true });
    await restart();
    open(7);
    await left;
    expect(await handle.wait()).toBe(7);
  });

  it("leaves several brokers when all of them are empty", async () => {
    const brokers = [await startBroker(), await startBroker()];
    const endpoints = brokers.map(({ requestEndpoint }) => requestEndpoint);
    const [first = "", second = ""] = endpoints;
    const { opened, open } = gate<number>();
    const dispatcher = new Dispatcher();
    dispatcher.add("wait", () => opened);
    dispatcher.add("more", () => 5);
    const node = new Node({ dispatcher });
    for (const endpoint of endpoints) node.addBroker(endpoint);
    await node.start();
    const waiting = connectAsync(second).wait();
    await waiting.accepted;
    await until("the run", async () => (await waiting.status()) === "RUNNING");
    const left = node.stop({ whenEmpty: true });
    // The first broker is empty; what it gets before the second one is, is run.
    expect(await connect(first).more()).toBe(5);
    open(1);
    await left;
    expect(await waiting.status()).toBe("FINISHED");
  });

  it("can be told to leave at once all the same", async () => {
    const { requestEndpoint } = await startBroker();
    const node = await startNode(requestEndpoint, (dispatcher) =>
      dispatcher.add("slow", () => new Promise(() => undefined)),
    );
    const handle = connectAsync(requestEndpoint).slow();
    await until("the run", async () => (await handle.status()) === "RUNNING");
    const left = node.stop({ whenEmpty: true });
    await node.stop({ drainMs: 0 });
    await left;
    // The broker hears of it on another connection than that of the client.
    await until("the task to be given back", async () => (await handle.status()) === "QUEUED");
  });
});

describe("a node that is told to leave", () => {
  it("waits as long as --drain says for what runs", async () => {
    const { requestEndpoint } = await startBroker();
    const folder = await folderWith({ "tasks.mjs": tellingModule(1) });
    const node = watched(
      "node",
      "-r",
      portOf(requestEndpoint),
      "--drain",
      "10000",
      "--loglevel",
      "info",
      join(folder, "tasks.mjs"),
    );
    await node.printed("is ready");
    const handle = connectAsync(requestEndpoint).slow();
    await until("the run", async () => (await handle.status()) === "RUNNING");
    node.child.kill("SIGTERM");
    await until("it to hear of it", () => node.err().includes("stopping"));
    // It takes nothing more: this waits for another node.
    const version = connectAsync(requestEndpoint).version();
    await version.accepted;
    await writeFile(join(folder, "go"), "");
    expect(await handle.wait()).toBe(1);
    expect(await node.ended()).toBe(0);
    expect(await version.status()).toBe("QUEUED");
  });
});

describe("a name", () => {
  it("is refused while another node is connected under it", async () => {
    const { requestEndpoint } = await startBroker();
    const add = (dispatcher: Dispatcher): void => dispatcher.add("add", () => 1);
    await startNode(requestEndpoint, add, { name: "one" });
    const again = startNode(requestEndpoint, add, { name: "one" });
    const args = ["-r", portOf(requestEndpoint), "--name", "one"] as const;
    const [refusal, ended] = await Promise.all([
      again.catch((error: unknown) => error),
      runToEnd("node", ...args),
    ]);
    expect(refusal).toBeInstanceOf(NameTakenError);
    expect((refusal as NameTakenError).taken).toBe("one");
    expect(ended).toEqual({
      code: 1,
      out: "",
      err: expect.stringContaining('Expected a name that no connected node has, got "one"\n'),
    });
  });

  it("is free again as soon as its node was killed, and is kept over a restart of the broker", async () => {
    const { port, restart } = await startStoringBroker();
    const args = ["-r", port, "-n", "one"] as const;
    const first = await start("node", ...args);
    await end(first.child, "SIGKILL");
    await start("node", ...args);
    await restart();
    expect(await connect(`tcp://127.0.0.1:${port}`).add(5, 6)).toBe(11);
  });

  it("is checked", () => {
    for (const name of ["", "a b", "a#1", "ä", "x".repeat(101), 5 as never])
      expect(() => new Node({ name })).toThrow(/Expected `name` to be 1 to 100 visible ASCII characters/);
  });
});
