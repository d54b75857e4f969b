// The original's message spec: REQ and SUB sockets, bare ids, work learnt from announcements.
import { expect, it } from "vitest";
import { connect, connectAsync, startBroker, startNode } from "../support/cluster.ts";
import { originalPeer, rawReq, subscribe } from "../support/raw.ts";
import { until } from "../support/wait.ts";

const ready = "zerotask.node.task_ready";
const resultReady = "zerotask.client.task_result_ready";

/** A subscription takes a moment to arrive: waits until the broker's hello does. */
async function subscribeAll(endpoint: string): Promise<{
  tasks: ReturnType<typeof subscribe>;
  results: ReturnType<typeof subscribe>;
}> {
  const tasks = subscribe(endpoint, ready);
  const results = subscribe(endpoint, resultReady);
  return { tasks, results };
}

it("serves a client and a node that know only the original's methods", async () => {
  const broker = await startBroker();
  const { tasks, results } = await subscribeAll(broker.publishEndpoint);
  const client = originalPeer(broker.requestEndpoint);
  const node = originalPeer(broker.requestEndpoint);

  const clientId = await client.call("client_connect");
  expect(clientId).toEqual(expect.any(String));
  expect(await client.call("client_connect", "me")).toBe("me");
  const nodeId = await node.call("node_connect", "worker");
  expect(nodeId).toBe("worker");

  const taskId = await client.call("client_new_task", clientId, "add", [5, 6], "t1");
  expect(taskId).toBe(`${clientId}-t1`);
  expect(await client.call("client_task_status", clientId, "t1")).toBe("QUEUED");
  await expect(client.call("client_task_result", clientId, "t1")).rejects.toMatchObject({ code: -32050 });

  // Lossy announcements are repeated with each heartbeat, so the node needs no luck.
  let heard: string | undefined;
  const listening = tasks.next().then(({ params }) => {
    heard = params.task_id as string;
    expect(params).toEqual({ method: "add", task_id: taskId });
  });
  await until("the announcement", async () => {
    expect(await node.call("node_heartbeat", nodeId)).toBe(true);
    return heard !== undefined;
  });
  await listening;

  expect(await node.call("node_task_request", nodeId, taskId)).toEqual({
    method: "add",
    params: [5, 6],
    id: taskId,
  });
  expect(await client.call("client_task_status", clientId, "t1")).toBe("ASSIGNED");
  expect(await node.call("node_task_request", nodeId, taskId)).toBeNull();
  expect(await node.call("node_task_status", nodeId, taskId, "RUNNING")).toBe(true);
  expect(await client.call("client_task_status", clientId, taskId)).toBe("RUNNING");
  expect(await node.call("node_task_finished", nodeId, taskId, 11)).toBe(true);

  expect(await results.next()).toMatchObject({ params: { task_id: taskId } });
  expect(await client.call("client_task_status", clientId, "t1")).toBe("FINISHED");
  expect(await client.call("client_task_result", clientId, "t1")).toBe(11);
  await expect(client.call("client_task_result", clientId, "t1")).rejects.toMatchObject({ code: -32020 });

  const failing = await client.call("client_new_task", clientId, "add", [1], "t2");
  await node.call("node_task_request", nodeId, failing);
  expect(await node.call("node_task_failed", nodeId, failing, "it broke")).toBe(true);
  await expect(client.call("client_task_result", clientId, "t2")).rejects.toMatchObject({
    code: -32000,
    message: "it broke",
  });

  expect(await node.call("node_disconnect", nodeId)).toBe(true);
  expect(await client.call("client_disconnect", clientId)).toBe(true);
  await expect(client.call("client_task_status", clientId, "t2")).rejects.toMatchObject({ code: -32010 });
});

it("takes params by name as well", async () => {
  const { requestEndpoint } = await startBroker();
  const peer = rawReq(requestEndpoint);
  const ask = (method: string, params: object): Promise<unknown> =>
    peer.ask({ jsonrpc: "2.0", method: `zerotask.broker.${method}`, params, id: 1 });
  await ask("client_connect", { client_id: "me" });
  const answer = await ask("client_new_task", {
    client_id: "me",
    method: "add",
    params: { a: 1 },
    task_id: "x",
  });
  expect(answer).toMatchObject({ result: "me-x" });
  expect(await ask("client_task_get", { task_id: "me-x" })).toMatchObject({ result: { params: { a: 1 } } });
});

it("lets an original client use ordinary nodes, and ordinary clients an original node", async () => {
  const broker = await startBroker({ graceMs: 60_000 });
  await startNode(broker.requestEndpoint, (dispatcher) =>
    dispatcher.add("add", (a: number, b: number) => a + b),
  );
  const original = originalPeer(broker.requestEndpoint);
  await original.call("client_connect", "me");
  const taskId = await original.call("client_new_task", "me", "add", [5, 6]);
  await until(
    "the result",
    async () => (await original.call("client_task_status", "me", taskId)) === "FINISHED",
  );
  expect(await original.call("client_task_result", "me", taskId)).toBe(11);

  const tasks = subscribe(broker.publishEndpoint, ready);
  await original.call("node_connect", "worker");
  const product = connect(broker.requestEndpoint).multiply(5, 6);
  const handle = connectAsync(broker.requestEndpoint).multiply(7, 8);
  const claimed = new Map<string, unknown>();
  await until("both tasks", async () => {
    await original.call("node_heartbeat", "worker");
    const { params } = await tasks.next();
    const task = (await original.call("node_task_request", "worker", params.task_id)) as {
      params: unknown;
    } | null;
    if (task !== null) claimed.set(params.task_id as string, task.params);
    return claimed.size === 2;
  });
  for (const [id, params] of claimed) {
    const [a, b] = params as [number, number];
    await original.call("node_task_finished", "worker", id, a * b);
  }
  expect(await product).toBe(30);
  expect(await handle.wait()).toBe(56);
});

it("gives the tasks of an original node to others when it falls silent", async () => {
  const { requestEndpoint } = await startBroker({ leaseMs: 60, heartbeatMs: 20 });
  const original = originalPeer(requestEndpoint);
  await original.call("node_connect", "worker");
  const handle = connectAsync(requestEndpoint).add(5, 6);
  await until("the task to be queued", async () => (await handle.status()) === "QUEUED");
  expect(await original.call("node_task_request", "worker", handle.id)).toMatchObject({ method: "add" });
  await startNode(requestEndpoint, (dispatcher) => dispatcher.add("add", (a: number, b: number) => a + b));
  expect(await handle.wait()).toBe(11);
  await expect(original.call("node_task_finished", "worker", handle.id, 0)).rejects.toMatchObject({
    code: -32030,
  });
});

it.each<[string, string, unknown[], number]>([
  ["an unknown client", "client_task_status", ["nobody", "1"], -32010],
  ["an unknown node", "node_heartbeat", ["nobody"], -32030],
  ["an unknown task", "client_task_get", ["nobody-1"], -32020],
  ["a client id that is no id", "client_connect", ["a b"], -32010],
  ["too many params", "client_connect", ["a", 2, "t", 4], -32602],
  ["a method that is no string", "client_new_task", ["me", 5, []], -32602],
  ["params that are no params", "client_new_task", ["me", "add", 5], -32602],
  ["a reserved method", "client_new_task", ["me", "rpc.discover", []], -32601],
  ["an unknown option", "client_new_task", ["me", "add", [], "x", { colour: 1 }], -32602],
  ["a protocol of the future", "client_connect", ["you", 3], -32602],
  ["a session for a REQ socket", "client_connect", ["you", 2], -32070],
])("refuses %s", async (_case, method, params, code) => {
  const { requestEndpoint } = await startBroker();
  const peer = originalPeer(requestEndpoint);
  await peer.call("client_connect", "me");
  await expect(peer.call(method, ...params)).rejects.toMatchObject({ code });
  expect(await peer.call("client_connect", "me")).toBe("me");
});

it("lets nobody speak for a client or node that has a token", async () => {
  const { requestEndpoint } = await startBroker();
  const handle = connectAsync(requestEndpoint).add(1, 2);
  await handle.status();
  const clientId = handle.id.split("-")[0];
  const peer = originalPeer(requestEndpoint);
  await expect(peer.call("client_connect", clientId)).rejects.toMatchObject({ code: -32010 });
  await expect(peer.call("client_new_task", clientId, "add", [])).rejects.toMatchObject({ code: -32070 });
  await expect(peer.call("client_disconnect", clientId)).rejects.toMatchObject({ code: -32070 });
  expect(await handle.status()).toBe("QUEUED");
});
