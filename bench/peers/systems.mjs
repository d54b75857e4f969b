// How each system is asked for add(5, 6). Each gives a `call`, and a `close`.
import { startPart, stopPart } from "../processes.ts";
import { findProgram, freePort, startServer, stopServer } from "./servers.mjs";

const worker = (...args) => startPart([new URL("worker.mjs", import.meta.url).pathname, ...args.map(String)]);

/** Runs `open` beside a server, or says what is missing. */
async function withServer(program, args, open) {
  const path = findProgram(program);
  if (path === undefined) return { missing: `${program} is not on this machine` };
  const port = await freePort();
  const server = await startServer(path, args(port), port);
  const { call, close } = await open(port);
  const closeAll = async () => {
    await close();
    await stopServer(server);
  };
  return { call, close: closeAll };
}

export const systems = {
  "NATS request/reply": () =>
    withServer(
      "nats-server",
      (port) => ["-a", "127.0.0.1", "-p", String(port)],
      async (port) => {
        const { connect } = await import("@nats-io/transport-node");
        const part = await worker("nats", port);
        const connection = await connect({ servers: `127.0.0.1:${port}` });
        const params = JSON.stringify([5, 6]);
        return {
          call: async () => (await connection.request("add", params, { timeout: 10_000 })).json(),
          close: async () => {
            await connection.close();
            await stopPart(part);
          },
        };
      },
    ),

  "BullMQ with Redis": () =>
    withServer(
      "redis-server",
      (port) => ["--port", String(port), "--save", "", "--appendonly", "no"],
      async (port) => {
        const { Queue, QueueEvents } = await import("bullmq");
        const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null };
        const part = await worker("bullmq", port);
        const queue = new Queue("add", { connection });
        const events = new QueueEvents("add", { connection });
        for (const emitter of [queue, events]) emitter.setMaxListeners(0);
        await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
        return {
          call: async () => {
            const job = await queue.add("add", [5, 6], { removeOnComplete: 10_000 });
            return job.waitUntilFinished(events);
          },
          close: async () => {
            await events.close();
            await queue.close();
            await stopPart(part);
          },
        };
      },
    ),

  "Moleculer over TCP": async () => {
    const { moleculerBroker } = await import("./moleculer.mjs");
    const [workerPort, callerPort] = [await freePort(), await freePort()];
    const part = await worker("moleculer", workerPort, callerPort);
    const broker = moleculerBroker("caller", workerPort, callerPort);
    await broker.start();
    await broker.waitForServices("calculator", 10_000);
    return {
      call: () => broker.call("calculator.add", [5, 6]),
      close: async () => {
        await broker.stop();
        await stopPart(part);
      },
    };
  },
};
