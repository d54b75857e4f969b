import { once } from "node:events";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { silentLogger } from "zerotask-core";
import { connect, connectAsync, gate, startBroker, startNode } from "../support/cluster.ts";
import { end, freePort, root, start } from "../support/processes.ts";
import { rawDealer } from "../support/raw.ts";
import { until } from "../support/wait.ts";

/** A module whose task says where it runs, and then never ends in the process that was told to hang. */
async function hangingModule(): Promise<{ module: string; started: () => Promise<string> }> {
  const folder = await mkdtemp(join(tmpdir(), "zerotask-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  const log = join(folder, "log");
  await writeFile(log, "");
  await writeFile(
    join(folder, "tasks.mjs"),
    `import { appendFileSync, readFileSync } from "node:fs";
     import { task } from "zerotask-core";
     task("where", () => {
       const isFirst = readFileSync(${JSON.stringify(log)}, "utf8") === "";
       appendFileSync(${JSON.stringify(log)}, process.pid + " ");
       return isFirst ? new Promise(() => undefined) : process.pid;
     });`,
  );
  return { module: join(folder, "tasks.mjs"), started: () => readFile(log, "utf8") };
}

it("gives the task of a killed node to another", async () => {
  const broker = await startBroker();
  const { module, started } = await hangingModule();
  const port = new URL(broker.requestEndpoint).port;
  const nodes = await Promise.all([start("node", "-r", port, module), start("node", "-r", port, module)]);
  const client = connect(broker.requestEndpoint);
  const answer = client.where();
  await until("the task to start", async () => (await started()) !== "");
  const pid = Number((await started()).trim());
  const killed = nodes.find(({ child }) => child.pid === pid);
  const begin = performance.now();
  killed?.child.kill("SIGKILL");
  const survivor = nodes.find(({ child }) => child.pid !== pid);
  expect(await answer).toBe(survivor?.child.pid);
  // Well within the heartbeat's bound of 2 s: a killed process hangs up.
  expect(performance.now() - begin).toBeLessThan(2_000);
});

it("gives the task of a stopped node to another, within the bound of the heartbeats", async () => {
  const broker = await startBroker();
  const { module, started } = await hangingModule();
  const port = new URL(broker.requestEndpoint).port;
  const nodes = await Promise.all([start("node", "-r", port, module), start("node", "-r", port, module)]);
  const handle = connectAsync(broker.requestEndpoint).where();
  await until("the task to start", async () => (await started()) !== "");
  const pid = Number((await started()).trim());
  nodes.find(({ child }) => child.pid === pid)?.child.kill("SIGSTOP");
  expect(await handle.wait(10_000)).toBe(nodes.find(({ child }) => child.pid !== pid)?.child.pid);
});

it("fails a task whose nodes are lost again and again", async () => {
  const broker = await startBroker({ redeliveries: 1 });
  const folder = await mkdtemp(join(tmpdir(), "zerotask-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  const module = join(folder, "poison.mjs");
  await writeFile(
    module,
    'import { task } from "zerotask-core"; task("poison", () => process.kill(process.pid, "SIGKILL"));',
  );
  const port = new URL(broker.requestEndpoint).port;
  await Promise.all([start("node", "-r", port, module), start("node", "-r", port, module)]);
  await expect(connect(broker.requestEndpoint).poison()).rejects.toThrow("Its node was lost 2 times");
});

it("answers pending calls and settles handles after the broker was killed and started again", async () => {
  const [port, publishPort] = [String(await freePort()), String(await freePort())];
  const first = await start("broker", "--memory", "-r", port, "-p", publishPort);
  const endpoint = `tcp://127.0.0.1:${port}`;
  const { opened, open } = gate<string>();
  await startNode(endpoint, (dispatcher) => {
    dispatcher.add("slow", () => opened);
    dispatcher.add("echo", (value: unknown) => value);
  });
  const client = connect(endpoint, { connectTimeoutMs: 30_000 });
  const later = connectAsync(endpoint, { connectTimeoutMs: 30_000 });
  const call = client.slow();
  const handle = later.slow();
  await until("the task to run", async () => (await handle.status()) === "RUNNING");
  await end(first.child, "SIGKILL");
  const meanwhile = client.echo("made while no broker was there");
  await start("broker", "--memory", "-r", port, "-p", publishPort);
  expect(await meanwhile).toBe("made while no broker was there");
  open("done");
  expect(await call).toBe("done");
  expect(await handle.wait()).toBe("done");
});

it("does not run a call twice when the client's connection is lost in between", async () => {
  const { requestEndpoint } = await startBroker();
  const { opened, open } = gate<string>();
  let runs = 0;
  await startNode(requestEndpoint, (dispatcher) =>
    dispatcher.add("slow", () => {
      runs++;
      return opened;
    }),
  );
  const introduce = { client_id: "me", token: "secret", protocol: 2 };
  const connectRaw = async (): Promise<ReturnType<typeof rawDealer>> => {
    const peer = rawDealer(requestEndpoint);
    const hello = { jsonrpc: "2.0", method: "zerotask.broker.client_connect", params: introduce, id: "i" };
    expect(await peer.ask(hello)).toMatchObject({ result: { client_id: "me", token: "secret" } });
    return peer;
  };
  const slow = JSON.stringify({ jsonrpc: "2.0", method: "slow", id: 1 });
  const before = await connectRaw();
  await before.send(slow);
  await until("the task to start", () => runs === 1);

  // Sent again on a new connection before it is settled, and again after it.
  const after = await connectRaw();
  await after.send(slow);
  open("done");
  const answer = { jsonrpc: "2.0", id: 1, result: "done" };
  expect(JSON.parse((await after.receive())[0] ?? "")).toEqual(answer);
  const later = await connectRaw();
  expect(await later.ask(slow)).toEqual(answer);
  expect(runs).toBe(1);

  // Once acknowledged, the answer is not kept any more.
  await later.send('{"jsonrpc":"2.0","method":"zerotask.broker.client_ack","params":[1]}');
  const status = { jsonrpc: "2.0", method: "zerotask.broker.client_task_get", params: ["me-1"], id: 2 };
  expect(await later.ask(status)).toMatchObject({ error: { code: -32020 } });
});

it("lets nobody take over a session without its token", async () => {
  const { requestEndpoint } = await startBroker();
  const hello = (token: string): object => ({
    jsonrpc: "2.0",
    method: "zerotask.broker.client_connect",
    params: { client_id: "me", token, protocol: 2 },
    id: "i",
  });
  expect(await rawDealer(requestEndpoint).ask(hello("secret"))).toMatchObject({
    result: { client_id: "me" },
  });
  expect(await rawDealer(requestEndpoint).ask(hello("guess"))).toMatchObject({ error: { code: -32010 } });
});

it("refuses the answer of a node that does not hold the attempt", async () => {
  const { requestEndpoint } = await startBroker();
  const { opened, open } = gate<string>();
  await startNode(requestEndpoint, (dispatcher) => dispatcher.add("slow", () => opened));
  const handle = connectAsync(requestEndpoint).slow();
  await until("the task to run", async () => (await handle.status()) === "RUNNING");
  const forger = rawDealer(requestEndpoint);
  const hello = { protocol: 2, node_id: "forger", methods: [], slots: 1 };
  await forger.ask({ jsonrpc: "2.0", method: "zerotask.broker.node_connect", params: hello, id: 1 });
  await forger.send(JSON.stringify({ jsonrpc: "2.0", result: "forged", id: `${handle.id}#1` }));
  const ask = { jsonrpc: "2.0", method: "zerotask.broker.client_task_get", params: [handle.id], id: 2 };
  expect(await forger.ask(ask)).toMatchObject({ result: { status: "RUNNING" } });
  open("done");
  expect(await handle.wait()).toBe("done");
});

it("cuts off a client that never reads its answers, and keeps serving the others", async () => {
  const cutOffs: string[] = [];
  const logger = { ...silentLogger, warn: (_data: object, message: string) => cutOffs.push(message) };
  const { requestEndpoint } = await startBroker({ maxOutboxBytes: 1_000_000, logger });
  await startNode(requestEndpoint, (dispatcher) => dispatcher.add("big", () => "x".repeat(100_000)));
  const deaf = rawDealer(requestEndpoint, { receiveHighWaterMark: 1 });
  const client = connect(requestEndpoint);
  // 60 MB of answers: more than the pipe to it, the network's buffers and its outbox may hold.
  for (let i = 0; i < 600; i++) await deaf.send('{"jsonrpc":"2.0","method":"big","id":1}');
  await until("the cut", () => cutOffs.length > 0);
  expect(cutOffs[0]).toContain("cut off");
  expect(await client.big()).toHaveLength(100_000);
  // Its next message is answered with an error, which arrives behind what was on its way already.
  await deaf.send('{"jsonrpc":"2.0","method":"big","id":2}');
  const codes = new Set<number>();
  await until("the error", async () => {
    const { error } = JSON.parse((await deaf.receive())[0] ?? "") as { error?: { code: number } };
    if (error !== undefined) codes.add(error.code);
    return codes.size > 0;
  });
  expect([...codes]).toEqual([-32010]);
});

it("drains: a stopped node finishes what runs and gives back the rest", async () => {
  const { requestEndpoint } = await startBroker();
  const { opened, open } = gate<string>();
  const node = await startNode(requestEndpoint, (dispatcher) => dispatcher.add("slow", () => opened), {
    slots: 1,
    drainMs: 10_000,
  });
  const later = connectAsync(requestEndpoint);
  const [running, waiting] = [later.slow(), later.slow()];
  await until("the task to run", async () => (await running.status()) === "RUNNING");
  const stopped = node.stop();
  open("done");
  await stopped;
  expect(await running.wait()).toBe("done");
  expect(await waiting.status()).toBe("QUEUED");
});

it("hands a task that waits in a busy node to one with room", async () => {
  const { requestEndpoint } = await startBroker();
  const { opened, open } = gate();
  onTestFinished(() => open());
  const quick = (dispatcher: import("zerotask-core").Dispatcher): void => {
    dispatcher.add("quick", () => 1);
    dispatcher.add("slow", () => opened);
  };
  await startNode(requestEndpoint, quick, { slots: 1 });
  const later = connectAsync(requestEndpoint);
  // Short tasks let the node take more than it has slots for.
  await Promise.all(Array.from({ length: 100 }, () => later.quick().wait()));
  const handles = Array.from({ length: 5 }, () => later.slow());
  await until("the first to run", async () => (await handles[0]?.status()) === "RUNNING");
  await startNode(requestEndpoint, quick, { slots: 10 });
  await until("all to run", async () => {
    const statuses = await Promise.all(handles.map((handle) => handle.status()));
    return statuses.every((status) => status === "RUNNING");
  });
});

it("exits by itself once a client is closed", async () => {
  const { requestEndpoint } = await startBroker();
  const { spawn } = await import("node:child_process");
  const script = `import { Client } from "zerotask-client"; const c = new Client("${requestEndpoint}");
    await c.$call("rpc.discover"); await c.$close();`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    cwd: root,
    stdio: "inherit",
  });
  const [code] = await once(child, "exit", { signal: AbortSignal.timeout(10_000) });
  expect(code).toBe(0);
});

it("gives no session to a connection whose routing id a peer chose: another could choose it too", async () => {
  const { requestEndpoint } = await startBroker();
  const peer = rawDealer(requestEndpoint, { routingId: "chosen" });
  const hello = { protocol: 2, client_id: "me", token: "secret" };
  expect(
    await peer.ask({ jsonrpc: "2.0", method: "zerotask.broker.client_connect", params: hello, id: 1 }),
  ).toMatchObject({ error: { code: -32070 } });
});
