// The check of a faults run finds what it is there to find.
import { expect, it } from "vitest";
import { History, isGood, type Look, type Verdict } from "./history.ts";
import type { Kind, ReportLine } from "./report-lines.ts";
import type { Method, Told } from "./workload.ts";

const right: Told = { result: { n: 3, square: 9, run: "a" } };
const otherRun: Told = { result: { n: 3, square: 9, run: "b" } };
const lost: Told = { error: { name: "NodeLostError", message: "Its node was lost 4 times" } };
const settled: Look = { waited: right, got: right, attempt: 1 };

const accept: ReportLine = { event: "accept", serial: 1, level: "disk" };
const settle = (told: Told): ReportLine => ({ event: "settle", serial: 1, told });

interface Scene {
  readonly kind?: Kind;
  readonly method?: Method;
  readonly lines?: readonly ReportLine[];
  readonly look?: Look;
  readonly isKilled?: boolean;
}

/** What is said of one task, of which clients told these lines. */
function verdictOn({ kind = "disk", method = "echo", lines = [], look = settled, isKilled }: Scene): Verdict {
  const history = new History();
  history.add("client", { event: "submit", serial: 1, id: "id", kind, method, n: 3 });
  for (const line of lines) history.add("client", line);
  if (isKilled === true) history.kill("client");
  return history.check(new Map([["id", look]]));
}

it("finds nothing wrong with a task that was accepted and settled", () => {
  const verdict = verdictOn({ lines: [accept, settle(right)] });
  expect(isGood(verdict)).toBe(true);
  expect(verdict).toMatchObject({ submits: 1, acceptedOnDisk: 1, outcomes: new Map([["result", 1]]) });
});

it("finds a task lost that was acknowledged and is not settled, though its client was killed", () => {
  expect(verdictOn({ lines: [accept], look: {}, isKilled: true }).lost).toHaveLength(1);
  expect(isGood(verdictOn({ look: {}, isKilled: true }))).toBe(true);
});

it("finds a double outcome wherever two are told", () => {
  expect(verdictOn({ lines: [accept, settle(right), settle(right)] }).double).toHaveLength(1);
  expect(verdictOn({ lines: [accept, settle(otherRun)] }).double).toHaveLength(1);
  expect(
    verdictOn({ lines: [accept], look: { ...settled, got: otherRun }, isKilled: true }).double,
  ).toHaveLength(1);
});

it("finds what hangs, but not of a client that was killed", () => {
  for (const lines of [[], [accept], [settle(right)]]) {
    expect(verdictOn({ lines }).hung).toHaveLength(1);
    expect(verdictOn({ lines, isKilled: true }).hung).toEqual([]);
  }
  expect(verdictOn({ kind: "call", lines: [settle(right)] }).hung).toEqual([]);
});

it("finds stops that hang, and that were answered with what is not so", () => {
  const stopped: Told = { error: { name: "TaskStoppedError", message: "Stopped" } };
  const halted = (how: string, told: Told): Verdict =>
    verdictOn({
      kind: "halted",
      method: "watch",
      lines: [accept, { event: "halt", serial: 1, how }, settle(told)],
      look: { waited: told, got: told, attempt: 1 },
    });
  expect(isGood(halted("killed", stopped))).toBe(true);
  expect(isGood(halted("finished-first", right))).toBe(true);
  expect(halted("finished-first", stopped).wrong).toHaveLength(1);
  expect(halted("cooperative", right).wrong).toHaveLength(1);
  expect(halted("BusyError: no", stopped).wrong).toHaveLength(1);
  expect(verdictOn({ kind: "halted", lines: [accept, settle(right)] }).hung).toHaveLength(1);
});

it("finds outcomes that can't be the task's", () => {
  const wrong: Told = { result: { n: 3, square: 10, run: "a" } };
  expect(verdictOn({ lines: [accept, settle(wrong)] }).wrong).not.toEqual([]);
  expect(verdictOn({ method: "fail", lines: [accept, settle(right)] }).wrong).not.toEqual([]);
  const message = "Its worker process was ended by SIGKILL";
  const dead: Told = { error: { name: "TaskFailedError", message } };
  expect(verdictOn({ lines: [accept, settle(dead)] }).wrong).not.toEqual([]);
  expect(verdictOn({ method: "crash", lines: [accept, settle(dead)], look: {} }).wrong).toEqual([]);
  const givenUp = { waited: lost, got: lost };
  expect(verdictOn({ lines: [settle(lost)], look: { ...givenUp, attempt: 3 } }).wrong).not.toEqual([]);
  expect(verdictOn({ lines: [settle(lost)], look: { ...givenUp, attempt: 4 } }).wrong).toEqual([]);
  const refused: ReportLine = { event: "refuse", serial: 1, reason: "BusyError" };
  expect(verdictOn({ lines: [refused] }).wrong).not.toEqual([]);
});
