// The clock and the network under `testCluster`.
import { expect, it } from "vitest";
import { VirtualClock } from "../../packages/testing/src/clock.ts";
import { Network } from "../../packages/testing/src/network.ts";
import { RealTime } from "../../packages/testing/src/real-time.ts";
import { SimulatedProcess } from "../../packages/testing/src/timeline.ts";
import { begin, VirtualTime } from "../../packages/testing/src/virtual-time.ts";

it("keeps what is due at one time in the order in which it was made, also far in the future", async () => {
  const time = new VirtualTime(1);
  const clock = new VirtualClock(time);
  const seen: number[] = [];
  const century = 100 * 365 * 86_400_000;
  for (let n = 0; n < 1_000; n++) time.after(century / 1_000, () => seen.push(n));
  await clock.advance(century / 1_000);
  expect(seen).toEqual(Array.from({ length: 1_000 }, (_, n) => n));
  expect(clock.now()).toBe(begin + century / 1_000);
});

it("stands at the very time, however many events there were", async () => {
  const time = new VirtualTime(1);
  const clock = new VirtualClock(time);
  let count = 0;
  const again = (): void => {
    if (++count < 20_000) time.after(0, again);
  };
  time.after(10, again);
  await clock.advance("1 second");
  expect([count, clock.now()]).toEqual([20_000, begin + 1_000]);
});

it("forgets what is cancelled, and what belongs to a killed process", async () => {
  const time = new VirtualTime(1);
  const clock = new VirtualClock(time);
  const seen: string[] = [];
  time.after(5, () => seen.push("cancelled")).cancel();
  expect(time.next).toBeUndefined();
  const process = new SimulatedProcess(time, "node1");
  process.after(5, () => seen.push("of a killed process"));
  const other = time.after(5, () => seen.push("other"));
  process.kill();
  await clock.advance(10);
  other.cancel();
  expect(seen).toEqual(["other"]);
});

it("lets what follows from promises happen before time goes on", async () => {
  const time = new VirtualTime(1);
  const clock = new VirtualClock(time);
  const seen: string[] = [];
  const sleeper = async (name: string): Promise<void> => {
    await clock.sleep(10);
    for (let n = 0; n < 50; n++) await undefined;
    await new Promise(setImmediate);
    seen.push(`${name} at ${clock.now() - begin}`);
    await clock.sleep(10);
    seen.push(`${name} at ${clock.now() - begin}`);
  };
  void sleeper("one");
  time.after(15, () => seen.push("other"));
  await clock.advance(30);
  expect(seen).toEqual(["one at 10", "other", "one at 20"]);
});

it("ends the real timers of a process with it", async () => {
  const time = new RealTime();
  const process = new SimulatedProcess(time, "node1");
  const seen: string[] = [];
  process.after(0, () => seen.push("killed"));
  process.after(1, () => seen.push("killed"));
  process.after(0, () => seen.push("cancelled")).cancel();
  process.kill();
  time.forget(process);
  await new Promise<void>((resolve) => time.after(5, resolve));
  expect(seen).toEqual([]);
});

it("carries announcements to whoever subscribed to their beginning", async () => {
  const time = new VirtualTime(1);
  const network = new Network(time, { latency: () => 0, refusalMs: () => 1 });
  const broker = new SimulatedProcess(time, "broker1");
  let subscriptions = 0;
  const transport = network.transportOf(broker);
  const socket = (
    transport.announcements as (handlers: {
      onSubscriptions(): void;
    }) => ReturnType<typeof transport.announcements>
  )({ onSubscriptions: () => void subscriptions++ });
  await socket.bind("127.0.0.1", 0);
  expect(socket.hasListeners("task.")).toBe(false);
  const heard: string[] = [];
  const listen = network.listenOf(new SimulatedProcess(time, "client1"));
  const listener = listen("tcp://in-process:5556", { onAnnouncement: (text) => heard.push(text) });
  listener.subscribe("task.a");
  listener.subscribe("task.a");
  listener.unsubscribe("task.a");
  expect([subscriptions, socket.hasListeners("task."), socket.hasListeners("node.")]).toEqual([
    2,
    true,
    false,
  ]);
  socket.publish("task.b");
  socket.publish("task.a 1");
  while (await time.step());
  listener.unsubscribe("task.a");
  socket.publish("task.a 2");
  listener.close();
  while (await time.step());
  expect(heard).toEqual(["task.a 1"]);
});
