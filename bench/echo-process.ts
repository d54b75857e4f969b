// A bare ROUTER that sends back what it receives: what the machine can do at best.
import { Router } from "zeromq";

// No high-water mark: a ROUTER drops what is over it.
const router = new Router({ sendHighWaterMark: 0, receiveHighWaterMark: 0 });
await router.bind("tcp://127.0.0.1:*");
process.on("SIGTERM", () => process.exit(0));
process.stdout.write(`${router.lastEndpoint}\n`);
for await (const frames of router) await router.send(frames);
