// Bytes from nobody in particular change nothing (docs/reliability.md): 100,000 messages that try.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it, onTestFinished } from "vitest";
import { type BrokerOptions, sqliteStore } from "zerotask-broker";
import { startBroker } from "../support/cluster.ts";
import { Honest } from "./honest.ts";
import { aimedFrames, type Frames, mutatedFrames, randomBody, randomFrames } from "./messages.ts";
import { type Answers, noAnswers, type Role, request, roles, send } from "./outlaw.ts";
import type { Stolen } from "./vocabulary.ts";
import { heapMiB, watch } from "./watch.ts";

/** How many messages each test sends. */
const cases = {
  random: 24_000,
  mutated: 36_000,
  aimed: 16_000,
  stored: 12_000,
  requests: 3_000,
  sessions: 9_000,
} as const;
const total = 100_000;

const boundMs = 120_000;
const outlawsPerRun = 4;
const messagesPerOutlaw = 50;
const requestsPerRun = 50;
/** What may live on the heap afterwards beside what did before: tasks that outlaws left in the queue, among others. */
const maxGrowthMiB = 8;

/** What ends by itself ends soon, so that what doesn't shows. */
const shortLives: BrokerOptions = {
  graceMs: 50,
  leaseMs: 1_000,
  sessionTtlMs: 1_000,
  resultTtlMs: 60_000,
  replayMs: 1_000,
  maxClientTasks: 2_000,
  maxWaiters: 2_000,
};

/** A broker that was broken by one message gives no smaller counterexample: the seed that is printed repeats it. */
const endOnFailure = true;

let sent = 0;

interface Outlaw {
  readonly role: Role;
  readonly messages: readonly Frames[];
}

function outlaws(message: fc.Arbitrary<Frames>): fc.Arbitrary<Outlaw[]> {
  const length = { minLength: messagesPerOutlaw, maxLength: messagesPerOutlaw };
  const outlaw = fc.record({ role: fc.constantFrom(...roles), messages: fc.array(message, length) });
  return fc.array(outlaw, { minLength: outlawsPerRun, maxLength: outlawsPerRun });
}

/** Sends so many messages beside an honest client and node, and looks whether anything came of it. */
async function attack(
  count: number,
  messagesFor: (stolen: Stolen) => fc.Arbitrary<Frames>,
  options: BrokerOptions = {},
): Promise<Answers> {
  const { logger, problems } = watch();
  const { requestEndpoint } = await startBroker({ ...shortLives, ...options, logger });
  const honest = await Honest.start(requestEndpoint);
  const answers = noAnswers();
  const attackOnce = async (some: readonly Outlaw[]): Promise<void> => {
    const attacks = some.map(({ role, messages }) => send(requestEndpoint, role, messages, answers));
    await Promise.all([...attacks, honest.work()]);
    expect([...problems, ...answers.faults]).toEqual([]);
    sent += outlawsPerRun * messagesPerOutlaw;
  };
  const property = fc.asyncProperty(outlaws(messagesFor(honest.stolen)), attackOnce);
  const numRuns = count / (outlawsPerRun * messagesPerOutlaw);
  // A tenth of it first: what is made once is there then.
  await fc.assert(property, { numRuns: Math.ceil(numRuns / 10), endOnFailure });
  const before = await heapMiB();
  await fc.assert(property, { numRuns: numRuns - Math.ceil(numRuns / 10), endOnFailure });
  expect((await heapMiB()) - before).toBeLessThan(maxGrowthMiB);
  await honest.work();
  await honest.expectUntouched();
  expect(problems).toEqual([]);
  return answers;
}

it(
  "answers random bytes and frames with errors",
  async () => {
    const answers = await attack(cases.random, () => randomFrames);
    expect([...answers.codes.keys()].sort()).toEqual([-32600, -32700]);
  },
  boundMs,
);

it(
  "stands what was valid before something was done to it",
  async () => {
    const answers = await attack(cases.mutated, mutatedFrames);
    const expected = [-32700, -32601, -32602, -32010, -32020, -32030, -32061, -32070];
    expect([...answers.codes.keys()]).toEqual(expect.arrayContaining(expected));
  },
  boundMs,
);

it(
  "lets nobody touch others' tasks and sessions, who knows their ids but no token",
  async () => {
    const answers = await attack(cases.aimed, aimedFrames);
    expect([...answers.codes.keys()]).toEqual(
      expect.arrayContaining([-32010, -32020, -32021, -32030, -32070]),
    );
  },
  boundMs,
);

it(
  "keeps all of that up where tasks are on disk",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "zerotask-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const any = (stolen: Stolen): fc.Arbitrary<Frames> =>
      fc.oneof(randomFrames, mutatedFrames(stolen), aimedFrames(stolen));
    await attack(cases.stored, any, { store: sqliteStore(folder) });
  },
  boundMs,
);

it(
  "gives a REQ socket exactly one reply, whatever it sent",
  async () => {
    const { logger, problems } = watch();
    const { requestEndpoint } = await startBroker({ ...shortLives, logger });
    const answers = noAnswers();
    const bodies = fc.array(randomBody, { minLength: requestsPerRun, maxLength: requestsPerRun });
    const numRuns = cases.requests / requestsPerRun;
    const ask = async (some: readonly Uint8Array[]): Promise<void> => {
      await Promise.all(some.map((body) => request(requestEndpoint, body, answers)));
      expect([...problems, ...answers.faults]).toEqual([]);
      sent += requestsPerRun;
    };
    await fc.assert(fc.asyncProperty(bodies, ask), { numRuns, endOnFailure });
    expect(answers.count).toBe(cases.requests);
  },
  boundMs,
);

it("takes no more sessions than it may, and tells the others that it is busy", async () => {
  const maxSessions = 100;
  const { logger, problems } = watch();
  const broker = await startBroker({
    ...shortLives,
    sessionTtlMs: 60_000,
    leaseMs: 60_000,
    maxSessions,
    logger,
  });
  const honest = await Honest.start(broker.requestEndpoint);
  const answers = noAnswers();
  const before = await heapMiB();
  const connects = Array.from({ length: cases.sessions }, (_, i) => {
    const [kind, name] = i % 2 === 0 ? ["client", "client_id"] : ["node", "node_id"];
    const params = { [String(name)]: `one-of-many-${i}` };
    return [JSON.stringify({ jsonrpc: "2.0", method: `zerotask.broker.${kind}_connect`, params, id: i })];
  });
  await send(
    broker.requestEndpoint,
    "stranger",
    connects.map(([text = ""]) => [Buffer.from(text)]),
    answers,
  );
  sent += cases.sessions;
  expect(broker.counts.sessions).toBe(maxSessions);
  // The sentinel is one more client that is refused; the honest client, its second and its node are sessions, too.
  expect(answers.codes).toEqual(new Map([[-32060, cases.sessions + 1 - (maxSessions - 3)]]));
  expect((await heapMiB()) - before).toBeLessThan(maxGrowthMiB);
  await honest.work();
  await honest.expectUntouched();
  expect(problems).toEqual([]);
});

it("sent as many as it says", () => {
  expect(Object.values(cases).reduce((sum, count) => sum + count, 0)).toBe(total);
  expect(sent).toBe(total);
});
