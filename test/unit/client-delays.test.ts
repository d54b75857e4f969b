// What a delay counts from: when the user asked, however late and how often a broker hears of it.
import { expect, it, onTestFinished } from "vitest";
import { AsyncClient, Client } from "zerotask-client";
import {
  type ConnectionHandlers,
  type Dial,
  ErrorCode,
  failure,
  type Request,
  type Runtime,
  success,
} from "zerotask-core";

interface Virtual {
  readonly options: { readonly dial: Dial; readonly runtime: Runtime };
  /** Submissions, as they were sent. */
  readonly sent: Request[];
  advance(ms: number): void;
  /** There is a broker from now on. */
  begin(): void;
  hangUp(): void;
  answer(message: object): void;
}

/** A broker that answers introductions alone, on a clock of the test's own. */
function virtual(): Virtual {
  let now = 1_000_000;
  let connection: ConnectionHandlers | undefined;
  let isUp = false;
  const timers = new Map<object, { due: number; callback: () => void }>();
  const sent: Request[] = [];
  const dial: Dial = (_endpoint, handlers) => {
    connection = handlers;
    const take = (request: Request): void => {
      if (request.id === "introduction") {
        if (isUp)
          after(1, () => answer(success("introduction", { limits: { message_bytes: 10_000, batch: 10 } })));
      } else if (!request.method.endsWith("client_ack")) sent.push(request);
    };
    return { send: (text) => take(JSON.parse(text)), limit: () => undefined, close: () => undefined };
  };
  const answer = (message: object): void => connection?.onMessage(Buffer.from(JSON.stringify(message)));
  const hangUp = (): void => connection?.onLost();
  const after = (ms: number, callback: () => void): { cancel(): void } => {
    const timer = { cancel: () => void timers.delete(timer) };
    timers.set(timer, { due: now + ms, callback });
    return timer;
  };
  const advance = (ms: number): void => {
    const end = now + ms;
    for (;;) {
      const [next] = [...timers].sort(([, a], [, b]) => a.due - b.due);
      if (next === undefined || next[1].due > end) break;
      const [timer, { due, callback }] = next;
      timers.delete(timer);
      now = due;
      callback();
    }
    now = end;
  };
  const runtime = {
    now: () => now,
    wall: () => now,
    after,
    random: () => 0.5,
    id: () => "c",
    token: () => "t",
  };
  const begin = (): void => {
    isUp = true;
    hangUp();
  };
  return { options: { dial, runtime }, sent, advance, begin, hangUp, answer };
}

const delays = (sent: readonly Request[]): unknown[] =>
  sent.map(({ params }) => {
    const options = Array.isArray(params) ? params[2] : (params as { options: object }).options;
    return (options as { delay_ms: number }).delay_ms;
  });

function clientOf({ options }: Virtual): Client {
  const client = new Client({ ...options, connectTimeoutMs: 600_000, closeTimeoutMs: 0 });
  onTestFinished(() => client.$close());
  return client;
}

it("puts a delayed call off no further when it is sent again after a reconnection", () => {
  const broker = virtual();
  const client = clientOf(broker);
  broker.begin();
  client
    .$with({ at: "1 minute" })
    .add(5, 6)
    .catch(() => undefined);
  broker.advance(20_000);
  expect(delays(broker.sent)[0]).toBeGreaterThan(59_000);
  broker.hangUp();
  broker.advance(1_000);
  expect(delays(broker.sent)[1]).toBeLessThanOrEqual(40_000);
  expect(delays(broker.sent)[1]).toBeGreaterThan(38_000);
  broker.advance(100_000);
  broker.hangUp();
  broker.advance(1_000);
  expect(delays(broker.sent)[2]).toBe(0);
});

it("sends again what was asked, whatever became of the params since", () => {
  const broker = virtual();
  const client = clientOf(broker);
  broker.begin();
  const options = { delay_ms: 17, options: "mine" };
  client
    .$with({ at: "1 minute" })
    .$call("add", [options])
    .catch(() => undefined);
  options.options = "changed";
  broker.advance(5_000);
  broker.hangUp();
  broker.advance(1_000);
  const asked = { delay_ms: 17, options: "mine" };
  expect(broker.sent.map(({ params }) => params)).toEqual(
    broker.sent.map(() => ["add", [asked], { delay_ms: expect.any(Number) }]),
  );
});

it("counts the delay of a submission from when it was made, not from when a broker is there", () => {
  const broker = virtual();
  const later = new AsyncClient({ ...broker.options, connectTimeoutMs: 600_000, closeTimeoutMs: 0 });
  onTestFinished(() => later.$close());
  later.$with({ at: "1 minute" }).refresh();
  later.$with({ at: "2 minutes" }).$ignore.refresh();
  later.$with({ at: new Date(7) }).refresh();
  broker.advance(30_000);
  expect(broker.sent).toEqual([]);
  broker.begin();
  broker.advance(2_000);
  const [kept, ignored, byTheClock] = delays(broker.sent) as number[];
  expect(kept).toBeLessThanOrEqual(30_000);
  expect(kept).toBeGreaterThanOrEqual(28_000);
  expect((ignored as number) - (kept as number)).toBe(60_000);
  expect(byTheClock).toBeUndefined();
});

it("counts on while the broker is too busy to take it", () => {
  const broker = virtual();
  const client = clientOf(broker);
  broker.begin();
  client
    .$with({ at: "1 minute", whenBusy: "wait" })
    .add(5, 6)
    .catch(() => undefined);
  broker.advance(1_000);
  const busy = { code: ErrorCode.Busy, message: "no room", data: { retry_after_ms: 10_000 } };
  const { id = null } = broker.sent[0] as Request;
  broker.answer(failure(id, busy));
  broker.advance(10_000);
  const [first, second] = delays(broker.sent) as number[];
  expect((first as number) - (second as number)).toBeGreaterThanOrEqual(10_000);
});
