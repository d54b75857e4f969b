import { expect, it, onTestFinished } from "vitest";
import { AsyncClient, OptionError, type TaskEvent } from "zerotask-client";
import type { ListenerHandlers, Runtime } from "zerotask-core";
import { announcementPrefix, systemRuntime } from "zerotask-core";
import { publishEndpoint } from "../../packages/client/src/events/announcements.ts";
import { fakeBroker, unknownTask } from "../support/fake-broker.ts";
import { all, take } from "../support/telling-node.ts";
import { until } from "../support/wait.ts";

interface Told {
  readonly seq: number;
  readonly prev: number;
  readonly event: string;
}

interface Page {
  readonly events: readonly Told[];
  readonly seq: number;
  readonly more?: boolean;
  readonly next?: number;
  readonly lost?: boolean;
  readonly status?: string;
}

/** A client of a broker that answers with what `page` says, and announces what the test says. */
function setUp(page: (params: { after: number; limit: number; task_id?: string }) => Page | Promise<Page>) {
  const broker = fakeBroker((method, params) => {
    if (method === "client_events") return page(params as never);
    throw unknownTask();
  });
  const subscriptions: string[] = [];
  const endpoints: string[] = [];
  const handlers: ListenerHandlers[] = [];
  let [count, now] = [0, 0];
  const timers = new Set<() => void>();
  // Only waits of a second: those of a loop that hears nothing.
  const runtime: Runtime = {
    ...systemRuntime,
    now: () => now,
    after: (ms, callback) => {
      if (ms !== 1_000) return systemRuntime.after(ms, callback);
      timers.add(callback);
      return { cancel: () => void timers.delete(callback) };
    },
  };
  const client = new AsyncClient("tcp://broker.example:5555", {
    dial: broker.dial,
    runtime,
    closeTimeoutMs: 0,
    listen: (endpoint, own) => {
      endpoints.push(endpoint);
      handlers.push(own);
      return {
        subscribe: (prefix) => void subscriptions.push(prefix),
        unsubscribe: (prefix) => void subscriptions.splice(subscriptions.indexOf(prefix), 1),
        close: () => void count--,
      };
    },
  });
  onTestFinished(() => client.$close());
  const announce = (method: string, params: object): void => {
    handlers.at(-1)?.onAnnouncement(JSON.stringify({ jsonrpc: "2.0", method, params }));
  };
  const wire = ({ seq, prev, event }: Told): object => ({
    seq,
    prev,
    at: 1,
    task_id: "t",
    method: "add",
    event,
  });
  return {
    client,
    broker,
    subscriptions,
    endpoints,
    asked: (): unknown[] => broker.asked.map(({ params }) => (params as { after: number }).after),
    tell: (seq: number, prev: number, event = `e${seq}`) =>
      announce("zerotask.broker.event", wire({ seq, prev, event })),
    hello: (seq: number) => announce("zerotask.broker.hello", { epoch: "1", seq }),
    noise: (text: string) => handlers.at(-1)?.onAnnouncement(text),
    /** A second of silence. */
    second: () => {
      now += 1_000;
      for (const callback of [...timers]) {
        timers.delete(callback);
        callback();
      }
    },
  };
}

const events = (...seqs: number[]): Told[] =>
  seqs.map((seq, i) => ({
    seq,
    prev: seqs[i - 1] ?? 0,
    event: `e${seq}`,
    at: 1,
    task_id: "t",
    method: "add",
  }));

const names = (told: readonly TaskEvent[]): string[] => told.map(({ event }) => event);

it("takes what is announced as it comes, while its numbers follow one another", async () => {
  const { client, asked, tell, endpoints, subscriptions, noise } = setUp(() => ({ events: [], seq: 10 }));
  const loop = take(client.$events(), 3);
  await until("a subscription", () => subscriptions.length === 2);
  expect(endpoints).toEqual(["tcp://broker.example:7777"]);
  expect(subscriptions).toContain(announcementPrefix("zerotask.broker.event"));
  await until("the first question", () => asked().length >= 1);
  await until("what is announced to be taken", async () => {
    tell(11, 10);
    tell(11, 10);
    noise("no JSON");
    noise("null");
    tell(12, 11);
    tell(13, 12);
    return (await Promise.race([loop, undefined])) !== undefined;
  });
  expect(names(await loop)).toEqual(["e11", "e12", "e13"]);
  expect(subscriptions).toEqual([announcementPrefix("zerotask.broker.hello")]);
});

it("asks for what it missed: where numbers leap, where a hello tells of more, and on a new connection", async () => {
  let last = 10;
  const { client, asked, broker, tell, hello } = setUp(({ after }) => ({
    events: after === 0 ? [] : events(...Array.from({ length: last - after }, (_, i) => after + 1 + i)),
    seq: last,
  }));
  const loop = client.$events()[Symbol.asyncIterator]();
  const next = async (): Promise<string | undefined> => (await loop.next()).value?.event;
  const first = next();
  await until("the first question", () => asked().length > 0);
  // Whether its answer has come is not seen from here: what leaps is asked for either way.
  last = 12;
  tell(12, 11);
  expect([await first, await next()]).toEqual(["e11", "e12"]);
  last = 13;
  const third = next();
  hello(13);
  expect(await third).toBe("e13");
  last = 14;
  const fourth = next();
  broker.restart();
  expect(await fourth).toBe("e14");
  // One that was seen is not told again.
  tell(14, 13);
  last = 15;
  tell(15, 14);
  expect(await next()).toBe("e15");
});

it("reads pages until there are no more, and tells of a gap", async () => {
  const { client, asked, hello } = setUp(({ after }) =>
    after === 0
      ? { events: [], seq: 10 }
      : after === 10
        ? { events: events(20, 21), seq: 40, more: true, lost: true }
        : { events: events(30), seq: 40 },
  );
  const loop = client.$events()[Symbol.asyncIterator]();
  const all = [];
  const pending = loop.next();
  await until("the first question", () => asked().length > 0);
  await until("the loop to hear of more", async () => {
    hello(40);
    return (await Promise.race([pending, undefined])) !== undefined;
  });
  all.push((await pending).value?.event);
  for (let i = 0; i < 3; i++) all.push((await loop.next()).value?.event);
  expect(all).toEqual(["gap", "e20", "e21", "e30"]);
  expect(asked()).toEqual([0, 10, 21]);
  await loop.return?.();
});

it("reads on where a page says so, also where nothing is on it", async () => {
  let asking = 0;
  const pages: Page[] = [
    { events: [], seq: 40, more: true, next: 0, status: "RUNNING" },
    { events: events(12), seq: 40, more: true, next: 20, lost: true, status: "RUNNING" },
    { events: [], seq: 40, more: true, next: 30, status: "RUNNING" },
    { events: events(31), seq: 40, status: "FINISHED" },
  ];
  const { client, asked } = setUp(() => pages[asking++] as Page);
  const all: TaskEvent[] = [];
  for await (const event of client.$events({ task: "t" })) all.push(event);
  expect(all.map(({ event, seq }) => [event, seq])).toEqual([
    ["gap", 0],
    ["e12", 12],
    ["e31", 31],
    ["status", 40],
  ]);
  expect(asked()).toEqual([0, 0, 20, 30]);
});

it("tells of no gap where what is lost was announced while the broker was asked", async () => {
  let answer: (page: Page) => void = () => undefined;
  const pages: { readonly [after: number]: Page | Promise<Page> } = {
    0: { events: [], seq: 10 },
    10: new Promise<Page>((resolve) => {
      answer = resolve;
    }),
    12: { events: events(13), seq: 13 },
  };
  const { client, asked, tell, hello } = setUp(({ after }) => pages[after] as Page);
  const loop = take(client.$events(), 3);
  await until("the second question", () => {
    hello(12);
    return asked().length === 2;
  });
  tell(11, 10);
  tell(12, 11);
  answer({ events: events(12), seq: 12, lost: true });
  expect(names(await loop)).toEqual(["e11", "e12", "e13"]);
  expect(asked()).toEqual([0, 10, 12]);
});

it("makes up no end of a task that may be of another method", async () => {
  const { client } = setUp(() => ({ events: [], seq: 40, status: "FINISHED" }));
  expect(names(await all(client.$events({ task: "t" })))).toEqual(["status"]);
  expect(await all(client.$events({ task: "t", method: "other" }))).toEqual([]);
});

it("asks where an announcement knows of none before it", async () => {
  const { client, asked, tell } = setUp(({ after }) =>
    after === 0 ? { events: [], seq: 10 } : { events: events(11, 12), seq: 12, lost: true },
  );
  const loop = take(client.$events(), 3);
  await until("the first question", () => asked().length > 0);
  await until("the events", async () => {
    tell(12, 0);
    return (await Promise.race([loop, undefined])) !== undefined;
  });
  expect(names(await loop)).toEqual(["gap", "e11", "e12"]);
});

it("asks once a second where nothing is heard, and not where the broker says hello", async () => {
  const { client, asked, hello, second } = setUp(() => ({ events: [], seq: 10 }));
  const loop = client.$events()[Symbol.asyncIterator]();
  const pending = loop.next();
  await until("the first question", () => asked().length === 1);
  await until("another question", () => {
    second();
    return asked().length >= 3;
  });
  hello(10);
  // Answers on their way come before anything that is asked after them.
  await client
    .$handle("x")
    .status()
    .catch(() => undefined);
  const before = asked().filter((after) => after !== undefined).length;
  for (let i = 0; i < 6; i++) {
    second();
    await client
      .$handle("x")
      .status()
      .catch(() => undefined);
  }
  expect(asked().filter((after) => after !== undefined).length).toBeLessThanOrEqual(before + 1);
  await loop.return?.();
  expect(await pending).toEqual({ done: true, value: undefined });
});

it("starts over where a restarted broker's clock, and so its numbers, went back", async () => {
  let isNew = false;
  const { client, broker, asked } = setUp(({ after }) => {
    if (!isNew) return { events: [], seq: 1_000 };
    return after >= 502 ? { events: [], seq: 502 } : { events: events(501, 502), seq: 502 };
  });
  const loop = take(client.$events(), 2);
  await until("the first answer", () => asked().length > 0);
  await client
    .$handle("x")
    .status()
    .catch(() => undefined);
  isNew = true;
  broker.restart();
  expect(names(await loop)).toEqual(["e501", "e502"]);
});

it("refuses filters that can't be right, and reaches announcements where it reaches the broker", () => {
  const { client } = setUp(() => ({ events: [], seq: 0 }));
  for (const filter of [{ method: "" }, { task: 7 }, { id: "x" }, 7]) {
    expect(() => client.$events(filter as never)).toThrow(OptionError);
  }
  expect(() => client.$handle("x").logs({ follow: 1 } as never)).toThrow(OptionError);
  expect(publishEndpoint("tcp://[::]:5556", "tcp://[fe80::1]:5555")).toBe("tcp://[fe80::1]:5556");
  expect(publishEndpoint(undefined, "tcp://host:5555")).toBeUndefined();
  expect(publishEndpoint("announcements", "tcp://host:5555")).toBe("announcements");
});
