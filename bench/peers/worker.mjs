// The side that answers, in a process of its own: `worker.mjs SYSTEM PORT [PORT]`. Says "ready" when it is.
const [, , system, port, other] = process.argv;

const workers = {
  async nats() {
    const { connect } = await import("@nats-io/transport-node");
    const connection = await connect({ servers: `127.0.0.1:${port}` });
    connection.subscribe("add", {
      callback: (_error, message) => {
        const [first, second] = message.json();
        message.respond(JSON.stringify(first + second));
      },
    });
    await connection.flush();
  },
  async bullmq() {
    const { Worker } = await import("bullmq");
    const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };
    const worker = new Worker("add", async ({ data: [first, second] }) => first + second, {
      connection,
      concurrency: 100,
    });
    await worker.waitUntilReady();
  },
  async moleculer() {
    const { moleculerBroker } = await import("./moleculer.mjs");
    const broker = moleculerBroker("worker", Number(port), Number(other));
    broker.createService({
      name: "calculator",
      actions: { add: ({ params: [first, second] }) => first + second },
    });
    await broker.start();
  },
};

process.on("SIGTERM", () => process.exit(0));
await workers[system]();
process.stdout.write("ready\n");
