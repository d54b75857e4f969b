import { expect, it, onTestFinished } from "vitest";
import { XSubscriber } from "zeromq";
import { listenSubscriber } from "zerotask-core";
import { PublishSocket } from "../../packages/core/src/socket/publisher.ts";
import { until } from "../support/wait.ts";

interface Counts {
  subscribed: number;
  dropped: number;
}

async function bound(): Promise<{ socket: PublishSocket; endpoint: string; counts: Counts }> {
  const counts = { subscribed: 0, dropped: 0 };
  const socket: PublishSocket = new PublishSocket({
    onSubscriptions: () => counts.subscribed++,
    onDropped: () => counts.dropped++,
  });
  onTestFinished(() => socket.close());
  return { socket, endpoint: await socket.bind("127.0.0.1", 0), counts };
}

it("publishes what was published in a turn, in order", async () => {
  const { socket, endpoint, counts } = await bound();
  const heard: string[] = [];
  const listener = listenSubscriber(endpoint, { onAnnouncement: (text) => heard.push(text) });
  onTestFinished(() => listener.close());
  listener.subscribe("e");
  await until("a subscription", () => counts.subscribed > 0);
  for (let i = 0; i < 900; i++) socket.publish(`e${i}`);
  await until("all of them", () => heard.length === 900);
  expect(heard).toEqual(Array.from({ length: 900 }, (_, i) => `e${i}`));
  expect(counts.dropped).toBe(0);
});

it("drops what is more than may wait, says so once the rest has left, and goes on", async () => {
  const { socket, endpoint, counts } = await bound();
  const heard: string[] = [];
  const listener = listenSubscriber(endpoint, { onAnnouncement: (text) => heard.push(text.slice(0, 4)) });
  onTestFinished(() => listener.close());
  listener.subscribe("e");
  await until("a subscription", () => counts.subscribed > 0);
  const large = `e${"x".repeat(1024 * 1024)}`;
  for (let i = 0; i < 40; i++) socket.publish(large);
  expect(counts.dropped).toBe(0);
  await until("it to say so", () => counts.dropped === 1);
  socket.publish("end");
  await until("what comes later", () => heard.includes("end"));
  expect(heard).toEqual([...Array.from({ length: 15 }, () => "exxx"), "end"]);
  expect(counts.dropped).toBe(1);
});

it("cuts off who subscribes to more than an announcement can begin with", async () => {
  const { socket, endpoint, counts } = await bound();
  const outlaw = new XSubscriber({ linger: 0, reconnectInterval: -1 });
  onTestFinished(() => outlaw.close());
  let isCutOff = false;
  outlaw.events.on("disconnect", () => {
    isCutOff = true;
  });
  outlaw.connect(endpoint);
  await outlaw.send(Buffer.from("\x01short"));
  await until("a subscription", () => socket.hasListeners("short"));
  await outlaw.send(Buffer.from(`\x01${"x".repeat(10_000)}`));
  await until("the connection to end", () => isCutOff);
  await until("the subscription to be gone", () => !socket.hasListeners("short"));
  expect([socket.hasListeners("x"), counts.dropped]).toEqual([false, 0]);
});
