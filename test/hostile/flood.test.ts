// Floods: connections by the hundred, and bytes that are not even ZeroMQ. They are borne, and leave nothing behind.
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import fc from "fast-check";
import { expect, it, onTestFinished } from "vitest";
import { Dealer } from "zeromq";
import { startBroker } from "../support/cluster.ts";
import { until } from "../support/wait.ts";
import { Honest } from "./honest.ts";
import { heapMiB, watch } from "./watch.ts";

const rounds = 5;
const connectionsPerRound = 200;
const maxGrowthMiB = 8;

const descriptorFolder = "/proc/self/fd";
/** How many descriptors this process has open, where the system tells. */
const openDescriptors = (): number =>
  existsSync(descriptorFolder) ? readdirSync(descriptorFolder).length : 0;
const discover = JSON.stringify({ jsonrpc: "2.0", method: "rpc.discover", id: 1 });

it("serves an honest client beside floods of connections, and keeps nothing of them", async () => {
  const { logger, problems } = watch();
  const broker = await startBroker({ logger });
  const honest = await Honest.start(broker.requestEndpoint);
  const flood = async (): Promise<void> => {
    const sockets = Array.from(
      { length: connectionsPerRound },
      () => new Dealer({ linger: 0, receiveTimeout: 10_000 }),
    );
    try {
      for (const socket of sockets) socket.connect(broker.requestEndpoint);
      await Promise.all([honest.work(), ...sockets.map((socket) => socket.send(discover))]);
      await Promise.all([honest.work(), ...sockets.map((socket) => socket.receive())]);
    } finally {
      for (const socket of sockets) socket.close();
    }
  };
  await flood();
  const [heap, sessions, descriptors] = [await heapMiB(), broker.counts.sessions, openDescriptors()];
  for (let i = 1; i < rounds; i++) await flood();
  expect(broker.counts.sessions).toBe(sessions);
  await until(
    "the connections to be closed",
    () => openDescriptors() <= descriptors + connectionsPerRound / 10,
  );
  expect((await heapMiB()) - heap).toBeLessThan(maxGrowthMiB);
  await honest.work();
  await honest.expectUntouched();
  expect(problems).toEqual([]);
});

it("stands connections that send anything but ZeroMQ, or nothing at all", async () => {
  const { logger, problems } = watch();
  const broker = await startBroker({ logger });
  const port = Number(new URL(broker.requestEndpoint).port);
  const honest = await Honest.start(broker.requestEndpoint);
  const silent = await Promise.all(Array.from({ length: 50 }, () => dial(port)));
  onTestFinished(() => {
    for (const socket of silent) socket.destroy();
  });
  const send = async (bodies: readonly Uint8Array[]): Promise<void> => {
    const sockets = await Promise.all(bodies.map(() => dial(port)));
    for (const [i, socket] of sockets.entries()) socket.end(bodies[i] ?? "");
    await honest.work();
    for (const socket of sockets) socket.destroy();
  };
  await fc.assert(fc.asyncProperty(fc.array(bytes, { minLength: 20, maxLength: 20 }), send), {
    numRuns: 50,
    endOnFailure: true,
  });
  await honest.work();
  await honest.expectUntouched();
  expect(problems).toEqual([]);
});

/** How a ZMTP 3 connection begins: a signature, a version and a mechanism. */
const greeting = Buffer.concat([
  Buffer.from("ff00000000000000017f0301", "hex"),
  Buffer.from("NULL"),
  Buffer.alloc(48),
]);

/** Nothing of ZMTP, or a beginning of it that goes astray somewhere. */
const bytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.tuple(fc.nat(greeting.length), fc.uint8Array({ maxLength: 200 })).map(([length, rest]) => {
    return Buffer.concat([greeting.subarray(0, length), rest]);
  }),
  fc.uint8Array({ maxLength: 200 }).map((rest) => Buffer.concat([greeting, rest])),
);

async function dial(port: number): Promise<Socket> {
  const socket = connectTcp(port, "127.0.0.1");
  socket.on("error", () => undefined).resume();
  await once(socket, "connect");
  return socket;
}
