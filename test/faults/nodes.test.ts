// Nodes that stop, end, block and answer what can't be sent: what becomes of their tasks.
import { expect, it } from "vitest";
import { NodeLostError, type TaskHandle } from "zerotask-client";
import { connect, connectAsync, gate, startBroker, startNode } from "../support/cluster.ts";
import { until } from "../support/wait.ts";
import { keepNodes, startNodeProcess } from "./nodes.ts";
import { redeliveries } from "./workload.ts";

const get = "zerotask.broker.client_task_get";

interface TaskRecord {
  readonly status: string;
  readonly attempt: number;
  readonly node_id: string | null;
}

async function recordOf(endpoint: string, { id }: TaskHandle): Promise<TaskRecord> {
  return connect(endpoint).$call(get, [id]) as Promise<TaskRecord>;
}

it("refuses the late answer of a node that was stopped past its lease, and gives the other's", async () => {
  // Its connection lives on meanwhile: the late answer does arrive.
  const broker = await startBroker({ heartbeatMs: 50, stalledMs: 300 });
  const stopped = await startNodeProcess(broker.requestEndpoint);
  const client = connect(broker.requestEndpoint);
  const handle = connectAsync(broker.requestEndpoint).slow(7, 100);
  await until("the task to run", async () => (await handle.status()) === "RUNNING");
  stopped.stop();
  const { opened, open } = gate<string>();
  await startNode(broker.requestEndpoint, (dispatcher) => dispatcher.add("slow", () => opened));
  const record = (): Promise<TaskRecord> => client.$call(get, [handle.id]) as Promise<TaskRecord>;
  await until("the other node to have it", async () => {
    const { status, attempt } = await record();
    return status === "RUNNING" && attempt === 2;
  });
  stopped.continue();
  // It is back, and so has said all that it had to say, when it takes tasks again.
  await until("the late node to be back", async () => {
    const answer = (await client.echo(3)) as { square: number };
    return answer.square === 9;
  });
  expect(broker.counts.refusedAnswers).toBe(1);
  expect(await record()).toMatchObject({ status: "RUNNING", attempt: 2 });
  open("of the other");
  expect(await handle.wait()).toBe("of the other");
  expect(await client.$call(get, [handle.id])).toMatchObject({ result: "of the other", attempt: 2 });
});

it("refuses the answer of a node that was stopped until its connection was gone", async () => {
  const broker = await startBroker();
  const stopped = await startNodeProcess(broker.requestEndpoint);
  const client = connect(broker.requestEndpoint);
  const handle = connectAsync(broker.requestEndpoint).slow(7, 100);
  await until("the task to run", async () => (await handle.status()) === "RUNNING");
  stopped.stop();
  const { opened, open } = gate<string>();
  await startNode(broker.requestEndpoint, (dispatcher) => dispatcher.add("slow", () => opened));
  await until("the other node to have it", async () => {
    return (await recordOf(broker.requestEndpoint, handle)).attempt === 2;
  });
  stopped.continue();
  expect(await client.echo(3)).toMatchObject({ square: 9 });
  expect(await recordOf(broker.requestEndpoint, handle)).toMatchObject({ attempt: 2 });
  open("of the other");
  expect(await handle.wait()).toBe("of the other");
});

it("fails a task that ends every node it is given to, and serves the others", async () => {
  const { requestEndpoint } = await startBroker({ redeliveries });
  await keepNodes(requestEndpoint, 2);
  const later = connectAsync(requestEndpoint);
  const poison = later.poison(1);
  await expect(poison.wait()).rejects.toBeInstanceOf(NodeLostError);
  await expect(poison.wait()).rejects.toThrow(`Its node was lost ${redeliveries + 1} times`);
  expect(await recordOf(requestEndpoint, poison)).toMatchObject({
    status: "FAILED",
    attempt: redeliveries + 1,
  });
  expect(await later.echo(3).wait()).toMatchObject({ square: 9 });
});

it("does not take a node for dead whose event loop is blocked for seconds", async () => {
  const { requestEndpoint } = await startBroker();
  await startNodeProcess(requestEndpoint);
  await startNodeProcess(requestEndpoint);
  const handle = connectAsync(requestEndpoint).block(5, 4_000);
  // The run's name tells the attempt: it was run once.
  expect(await handle.wait()).toMatchObject({ square: 25, run: expect.stringMatching(/^\d+\/1\//) });
  expect(await recordOf(requestEndpoint, handle)).toMatchObject({ status: "FINISHED", attempt: 1 });
});

it("fails a task whose result JSON can't hold, and tells why", async () => {
  const { requestEndpoint } = await startBroker();
  await startNodeProcess(requestEndpoint);
  const expected = { name: "TaskFailedError", message: expect.stringContaining("BigInt") };
  await expect(connectAsync(requestEndpoint).unserialisable(1).wait()).rejects.toMatchObject(expected);
  await expect(connect(requestEndpoint).unserialisable(1)).rejects.toMatchObject(expected);
  expect(await connect(requestEndpoint).echo(2)).toMatchObject({ square: 4 });
});
