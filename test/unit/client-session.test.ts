import { afterEach, expect, it, vi } from "vitest";
import { Client } from "zerotask-client";
import type { ConnectionHandlers, Dial, Request } from "zerotask-core";

afterEach(() => void vi.useRealTimers());

/** A broker that takes every introduction, and notes what else is sent. */
function fakeBroker(): {
  dial: Dial;
  sent: Request[];
  push: (message: object) => void;
  connections: () => number;
} {
  const sent: Request[] = [];
  let current: ConnectionHandlers | undefined;
  let connections = 0;
  const push = (message: object): void => current?.onMessage(Buffer.from(JSON.stringify(message)));
  const dial: Dial = (_endpoint, handlers) => {
    current = handlers;
    connections++;
    return {
      send: (text) => {
        const request = JSON.parse(text) as Request;
        if (request.id !== "introduction") sent.push(request);
        else
          queueMicrotask(() =>
            push({
              jsonrpc: "2.0",
              id: "introduction",
              result: { limits: { message_bytes: 1_000, batch: 10 } },
            }),
          );
      },
      limit: () => undefined,
      close: () => undefined,
    };
  };
  return { dial, sent, push, connections: () => connections };
}

it("says something every 5 s, so that it learns when its session is gone, and then begins anew", async () => {
  vi.useFakeTimers();
  const { dial, sent, push, connections } = fakeBroker();
  const client = new Client({ dial });
  const pending = client.slow();
  pending.catch(() => undefined);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(sent.map(({ method }) => method)).toEqual(["slow", "zerotask.broker.client_ack"]);
  push({ jsonrpc: "2.0", id: null, error: { code: -32010, message: "This connection's session is over" } });
  await vi.advanceTimersByTimeAsync(2_000);
  expect(connections()).toBe(2);
  expect(sent.at(-1)).toMatchObject({ method: "slow", id: 1 });
  await client.$close();
  await expect(pending).rejects.toThrow("The client was closed");
});

it("acknowledges answers after a second, and at once after 500", async () => {
  vi.useFakeTimers();
  const { dial, sent, push } = fakeBroker();
  const client = new Client({ dial });
  const calls = Array.from({ length: 501 }, () => client.add());
  await vi.advanceTimersByTimeAsync(0);
  const answer = (id: number): object => ({ jsonrpc: "2.0", id, result: id });
  push(answer(1));
  const acks = (): unknown[] =>
    sent.filter(({ method }) => method.endsWith("client_ack")).map(({ params }) => params);
  expect(acks()).toEqual([]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(acks()).toEqual([{ received: 1 }]);
  push(Array.from({ length: 500 }, (_, i) => answer(i + 2)));
  expect(acks()).toEqual([{ received: 1 }, { received: 501 }]);
  expect(await Promise.all(calls)).toHaveLength(501);
  await client.$close();
});
