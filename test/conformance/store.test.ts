// The contract of a store, for every store that there is.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OptionError } from "zerotask-core";
import type { FailedFilter, StoreChange } from "../../packages/broker/src/state/storage/stored-task.ts";
import { memoryStore } from "../../packages/broker/src/store/memory-store.ts";
import { sqliteStore } from "../../packages/broker/src/store/sqlite-store.ts";
import type { Store, TaskFilter } from "../../packages/broker/src/store/store.ts";
import {
  add,
  addClaimed,
  expire,
  idsOf,
  remove,
  reschedule,
  revive,
  settle,
  storedTask,
} from "../support/stored-tasks.ts";

const stores: [string, (folder: string) => Store][] = [
  ["memory", () => memoryStore()],
  ["SQLite", (folder) => sqliteStore(join(folder, "data"))],
];

describe.each(stores)("a store in %s", (_, make) => {
  let folder: string;
  let store: Store;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "zerotask-store-"));
    store = make(folder);
    await store.open();
  });

  afterEach(async () => {
    await store.close();
    rmSync(folder, { recursive: true });
  });

  const claimIds = async (limit = 100, maxBytes = 1e9, method = "add", ...groups: string[]) =>
    idsOf((await store.claim({ method, groups: ["", ...groups], limit, maxBytes })).tasks);

  const getOne = async (id: string) => (await store.get([id]))[0];

  async function listAll(filter: TaskFilter): Promise<string[]> {
    const ids: string[] = [];
    for (let after: string | undefined; ; ) {
      const page = await store.list({ ...filter, ...(after !== undefined && { after }) });
      expect(page.tasks.length).toBeLessThanOrEqual(filter.limit);
      ids.push(...idsOf(page.tasks));
      if (page.next === undefined) return ids;
      after = page.next;
    }
  }

  it("begins empty", async () => {
    await store.close();
    expect(await store.open()).toEqual({
      backlog: [],
      items: [],
      nextDue: undefined,
      unsettled: 0,
      unsettledBytes: 0,
      nextExpiry: undefined,
      sessions: [],
      time: 0,
    });
    expect(await claimIds()).toEqual([]);
    expect(await store.counts()).toEqual([]);
    expect(await store.list({ limit: 10 })).toEqual({ tasks: [], next: undefined });
  });

  describe("keeps", () => {
    it("every field of a task, given or not", async () => {
      const bare = storedTask("bare", { params: undefined });
      const full = storedTask("full", {
        options: "{}",
        status: "SCHEDULED",
        attempt: 2,
        losses: 1,
        failures: 1,
        dueAt: 1_800_000_000_001,
        expiresAt: 1_800_000_000_000,
      });
      const settled = storedTask("settled", {
        status: "FAILED",
        outcome: '{"error":1}',
        settledAt: 2_000,
        forgetAt: 3_000,
      });
      const changes = [bare, full, settled].map((task) => ({
        type: "add" as const,
        task,
        isClaimed: false,
      }));
      expect(await store.commit(changes)).toEqual({ known: [], revived: [], expireMore: false });
      expect(await store.get(["settled", "none", "bare", "full"])).toStrictEqual([settled, bare, full]);
    });

    it("any string as a name, and any JSON", async () => {
      const names = ["ü–漢字-🚀", "nul\0after", "half\ud83d", "\u0001mark", "'; DROP TABLE task;--", " "];
      const params = JSON.stringify(["🚀\0\ud83d", "x".repeat(3_000_000)]);
      const tasks = names.map((name) => storedTask(name, { ownerId: name, method: name, params }));
      await store.commit(tasks.map((task) => ({ type: "add", task, isClaimed: false })));
      await store.commit([{ type: "save-session", id: "id\0", token: "token\0" }]);
      expect(await store.get(names)).toStrictEqual(tasks);
      expect((await store.counts()).map(({ method }) => method).sort()).toEqual([...names].sort());
      expect(idsOf((await store.list({ method: "nul\0after", limit: 9 })).tasks)).toEqual(["nul\0after"]);
      for (const name of names) expect(await claimIds(9, 1e9, name)).toEqual([name]);
      await store.commit(names.map((name) => settle(name)));
      expect((await store.take(names)).map(({ task }) => task.status)).toEqual(names.map(() => "FINISHED"));
      await store.close();
      expect((await store.open()).sessions).toEqual([{ id: "id\0", token: "token\0" }]);
      await store.commit(names.map(remove));
      expect(await store.counts()).toEqual([]);
    });

    it("what was answered as it was, whatever comes after", async () => {
      await store.commit([add("a")]);
      const before = await store.get(["a"]);
      await store.commit([settle("a"), remove("a")]);
      expect(before).toStrictEqual([storedTask("a")]);
    });
  });

  describe("changes", () => {
    it("answers with what is there when an id is added again, and leaves it alone", async () => {
      await store.commit([addClaimed("a"), settle("a")]);
      const again = await store.commit([add("b"), add("a", { method: "other" }), add("b", { attempt: 9 })]);
      expect(again.known).toStrictEqual([
        storedTask("a", { status: "FINISHED", attempt: 1, outcome: "3", settledAt: 2_000, forgetAt: 9_000 }),
        storedTask("b"),
      ]);
      expect(await claimIds(9, 1e9, "other")).toEqual([]);
      expect(await claimIds()).toEqual(["b"]);
    });

    it("adds a settled task as a record", async () => {
      await store.commit([add("a", { status: "EXPIRED", settledAt: 1_500, forgetAt: 1_600 })]);
      expect(await claimIds()).toEqual([]);
      await store.commit([settle("a"), reschedule("a"), expire({ now: 1_599 })]);
      expect((await getOne("a"))?.status).toBe("EXPIRED");
      await store.commit([expire({ now: 1_600 })]);
      expect(await getOne("a")).toBeUndefined();
    });

    it("settles a task once, claimed or not", async () => {
      await store.commit([add("free"), addClaimed("held")]);
      await store.commit([settle("free"), settle("held", { outcome: undefined })]);
      await store.commit([settle("free", { status: "FAILED", outcome: "4" }), reschedule("held")]);
      expect(await store.get(["free", "held"])).toStrictEqual([
        storedTask("free", {
          status: "FINISHED",
          attempt: 1,
          outcome: "3",
          settledAt: 2_000,
          forgetAt: 9_000,
        }),
        storedTask("held", { status: "FINISHED", attempt: 1, settledAt: 2_000, forgetAt: 9_000 }),
      ]);
      expect(await claimIds()).toEqual([]);
    });

    it("reschedules a task for its next attempt", async () => {
      await store.commit([addClaimed("a"), addClaimed("b"), add("c")]);
      await store.commit([
        reschedule("a", { status: "SCHEDULED", attempt: 3, losses: 1, failures: 2, dueAt: 1_500 }),
        reschedule("b", { isClaimed: true }),
        reschedule("c", { dueAt: 1_400 }),
      ]);
      expect(await getOne("a")).toStrictEqual(
        storedTask("a", { status: "SCHEDULED", attempt: 3, losses: 1, failures: 2, dueAt: 1_500 }),
      );
      expect(await claimIds()).toEqual(["c"]);
      expect(idsOf((await store.claimDue(1_500, 9)).tasks)).toEqual(["a"]);
    });

    it("offers a rescheduled task once, however often it went to and fro", async () => {
      await store.commit([add("a", { expiresAt: 3_000 }), add("b", { dueAt: 1_200 })]);
      for (let i = 0; i < 5; i++) {
        await store.take(["a"]);
        await store.commit([reschedule("a", { dueAt: 1_500 - i }), reschedule("a", { dueAt: 1_300 })]);
      }
      expect(await claimIds()).toEqual(["b", "a"]);
    });

    it("counts the wait for the first run only: what was rescheduled does not expire", async () => {
      await store.commit([add("a", { expiresAt: 3_000 }), add("b", { expiresAt: 3_000 })]);
      await store.take(["a"]);
      await store.commit([reschedule("a", { dueAt: 5_000 })]);
      expect(idsOf((await store.claimExpired(3_000, 9)).tasks)).toEqual(["b"]);
      expect((await store.get(["a"]))[0]?.expiresAt).toBeUndefined();
    });

    it("removes a task in any status", async () => {
      await store.commit([add("a"), addClaimed("b"), addClaimed("c"), settle("c")]);
      await store.commit([remove("a"), remove("b"), remove("c")]);
      expect(await store.get(["a", "b", "c"])).toEqual([]);
      expect(await claimIds()).toEqual([]);
      await store.commit([add("a", { dueAt: 1_100 })]);
      expect(await claimIds()).toEqual(["a"]);
    });

    it("ignores what names a task that is not there", async () => {
      await store.commit([
        settle("x"),
        reschedule("x"),
        remove("x"),
        { type: "remove-session", id: "x" },
        add("y"),
      ]);
      expect(idsOf((await store.list({ limit: 9 })).tasks)).toEqual(["y"]);
    });

    it("takes effect in order, and before whatever is asked next", async () => {
      const answers = await Promise.all([
        store.commit([add("a"), add("b")]),
        claimIds(1),
        store.commit([settle("a"), add("a")]),
        store.get(["a"]),
        claimIds(),
        store.commit([remove("a")]),
        store.get(["a"]),
      ]);
      expect([answers[1], answers[4], answers[6]]).toEqual([["a"], ["b"], []]);
      expect(answers[2].known[0]?.status).toBe("FINISHED");
      expect(answers[3][0]?.status).toBe("FINISHED");
    });

    it("answers in the order of the requests", async () => {
      const order: string[] = [];
      const note = (what: string) => () => void order.push(what);
      await Promise.all([
        store.commit([add("a")]).then(note("commit")),
        store.claim({ method: "add", groups: [""], limit: 1, maxBytes: 1 }).then(note("claim")),
        store.take(["a"]).then(note("take")),
        store.get(["a"]).then(note("get")),
      ]);
      expect(order).toEqual(["commit", "claim", "take", "get"]);
    });
  });

  it("removes what is settled, and nothing else where only that is to go", async () => {
    await store.commit([add("a"), addClaimed("b"), settle("b")]);
    const only = (id: string) => ({ ...remove(id), onlySettled: true }) as StoreChange;
    await store.commit([only("a"), only("b"), only("none")]);
    expect(idsOf(await store.get(["a", "b"]))).toEqual(["a"]);
  });

  it("tells under any name which task was revived", async () => {
    const id = "\u0001nul\0";
    expect((await store.commit([add(id), settle(id), revive(id)])).revived).toEqual([id]);
  });

  describe("claims", () => {
    it("in the order of ranks; and of equal ones, what was added first", async () => {
      const ranks = [1_500, 1_200, 1_200, 1_900, -1_000, 1_500];
      await store.commit(ranks.map((rank, i) => add(`${rank}-${i}`, { rank })));
      expect(await claimIds(2)).toEqual(["-1000-4", "1200-1"]);
      await store.commit([add("overtakes", { rank: 1_199 })]);
      expect(await claimIds()).toEqual(["overtakes", "1200-2", "1500-0", "1500-5", "1900-3"]);
    });

    it("some of each group that is asked for, and says which have more", async () => {
      const groups = ["", "a", "b", "a", "a", "", "c"];
      await store.commit(groups.map((group, i) => add(`${group}${i}`, { group, rank: i })));
      const first = await store.claim({ method: "add", groups: ["a", "none", ""], limit: 1, maxBytes: 1e9 });
      expect(idsOf(first.tasks)).toEqual(["a1", "0"]);
      expect(first.left).toEqual([
        ["a", 3],
        ["", 5],
      ]);
      const second = await store.claim({ method: "add", groups: ["a", "b"], limit: 2, maxBytes: 1e9 });
      expect(idsOf(second.tasks)).toEqual(["a3", "a4", "b2"]);
      expect(second.left).toEqual([]);
    });

    it("what is due, of any method, the earliest first; and says when the next is", async () => {
      const status = "SCHEDULED";
      const dueAts = [1_500, 1_200, 1_900, 2_001];
      await store.commit(
        dueAts.map((dueAt, i) => add(`${i}`, { status, dueAt, method: `m${i}`, rank: -dueAt })),
      );
      await store.commit([add("ready", { dueAt: 1 }), addClaimed("held", { status, dueAt: 1 })]);
      const one = await store.claimDue(2_000, 1);
      expect([idsOf(one.tasks), one.nextAt]).toEqual([["1"], 1_500]);
      const rest = await store.claimDue(2_000, 9);
      expect([idsOf(rest.tasks), rest.nextAt]).toEqual([["0", "2"], 2_001]);
      expect(await claimIds()).toEqual(["ready"]);
      await store.commit([settle("3")]);
      expect(await store.claimDue(9_000, 9)).toEqual({ tasks: [], nextAt: undefined });
    });

    it("what has become due after it went to and fro", async () => {
      const later = { status: "SCHEDULED", dueAt: 1_500 } as const;
      await store.commit([add("a")]);
      for (let i = 0; i < 3; i++) {
        await store.commit([reschedule("a", later)]);
        expect(await claimIds()).toEqual([]);
        expect(idsOf((await store.claimDue(1_500, 9)).tasks)).toEqual(["a"]);
        await store.commit([reschedule("a", { rank: 7 })]);
        expect((await store.claimDue(9_000, 9)).tasks).toEqual([]);
        expect(await claimIds()).toEqual(["a"]);
      }
    });

    it("the unsettled tasks of one instance, as far as it can, and tells what it found", async () => {
      const instance = "batch:mails";
      await store.commit([
        add("a", { instance, status: "SCHEDULED", dueAt: 9_000 }),
        addClaimed("b", { instance }),
        add("c", { instance }),
        settle("c"),
        add("d", { instance: "batch:others" }),
        add("e"),
      ]);
      const taken = await store.takeInstance(instance);
      expect(taken.map(({ task, isTaken }) => [task.id, isTaken])).toEqual([
        ["a", true],
        ["b", false],
      ]);
      expect((await store.takeInstance(instance)).map(({ isTaken }) => isTaken)).toEqual([false, false]);
      expect((await store.claimDue(9_000, 9)).tasks).toEqual([]);
      await store.commit([settle("a"), remove("b")]);
      expect(await store.takeInstance(instance)).toEqual([]);
    });

    it("only tasks of that method", async () => {
      await store.commit([add("a"), add("b", { method: "other" })]);
      expect(await claimIds(9, 1e9, "other")).toEqual(["b"]);
      expect(await claimIds(9, 1e9, "none")).toEqual([]);
    });

    it("each task once", async () => {
      await store.commit([add("a"), addClaimed("b"), add("c")]);
      const claims = await Promise.all([claimIds(1), claimIds(1), claimIds()]);
      expect(claims).toEqual([["a"], ["c"], []]);
      expect((await store.take(["a", "b"])).map(({ isTaken }) => isTaken)).toEqual([false, false]);
    });

    it("up to a limit, and says whether there are more", async () => {
      await store.commit([add("a", { rank: 1 }), add("b", { rank: 2 }), add("c", { rank: 3 })]);
      const claim = { method: "add", groups: [""], limit: 2, maxBytes: 1e9 };
      const first = await store.claim(claim);
      expect([idsOf(first.tasks), first.left]).toEqual([["a", "b"], [["", 3]]]);
      const second = await store.claim(claim);
      expect([idsOf(second.tasks), second.left]).toEqual([["c"], []]);
    });

    it("up to a number of bytes, but at least one task", async () => {
      const params = `"${"ü".repeat(49)}"`; // 100 bytes
      await store.commit(["a", "b", "c", "d", "e"].map((id) => add(id, { params })));
      expect(await claimIds(9, 0)).toEqual(["a"]);
      expect(await claimIds(9, 200)).toEqual(["b", "c"]);
      expect(await claimIds(9, 101)).toEqual(["d", "e"]);
    });

    it("what has waited too long, of any method", async () => {
      await store.commit([
        add("late", { expiresAt: 1_900, dueAt: 99_000, status: "SCHEDULED" }),
        add("early", { expiresAt: 1_800, method: "other" }),
        add("never"),
        addClaimed("held", { expiresAt: 1_700 }),
        add("later", { expiresAt: 2_001 }),
      ]);
      const one = await store.claimExpired(2_000, 1);
      expect([idsOf(one.tasks), one.nextAt]).toEqual([["early"], 1_900]);
      const rest = await store.claimExpired(2_000, 9);
      expect([idsOf(rest.tasks), rest.nextAt]).toEqual([["late"], 2_001]);
      expect(await claimIds(9, 1e9, "other")).toEqual([]);
      await store.commit([settle("later")]);
      expect(await store.claimExpired(9_000, 9)).toEqual({ tasks: [], nextAt: undefined });
    });

    it("by id, as far as it can, and tells what it found", async () => {
      await store.commit([add("a"), addClaimed("b"), add("c"), settle("c")]);
      const taken = await store.take(["c", "none", "a", "b", "a"]);
      expect(taken.map(({ task, isTaken }) => [task.id, task.status, isTaken])).toEqual([
        ["c", "FINISHED", false],
        ["a", "QUEUED", true],
        ["b", "QUEUED", false],
        ["a", "QUEUED", false],
      ]);
      expect(await claimIds()).toEqual([]);
    });

    it("in order still, after many came, went and were moved", async () => {
      const count = 5_000;
      const due = (i: number) => 1_000 + ((i * 7_919) % count);
      const ids = Array.from({ length: count }, (_, i) => `t${i}`);
      await store.commit(ids.map((id, i) => add(id, { dueAt: due(i), expiresAt: 99_999 - i })));
      await store.commit(
        ids.flatMap((id, i) => (i % 3 === 0 ? [settle(id)] : i % 3 === 1 ? [remove(id)] : [])),
      );
      const left = ids.map((id, i) => ({ id, i })).filter(({ i }) => i % 3 === 2);
      await store.commit(left.slice(0, 100).map(({ id, i }) => reschedule(id, { dueAt: due(i) })));
      const expected = [...left].sort((a, b) => due(a.i) - due(b.i)).map(({ id }) => id);
      expect([...(await claimIds(99_999, 700)), ...(await claimIds(99_999, 9_999))]).toEqual(expected);
      expect((await store.claimExpired(99_999, 9)).tasks).toEqual([]);
    });
  });

  describe("lists", () => {
    beforeEach(async () => {
      const changes = Array.from({ length: 20 }, (_, i) =>
        addClaimed(`t${i}`, { createdAt: 1_000 + i, method: i % 2 === 0 ? "even" : "odd" }),
      );
      await store.commit([...changes, settle("t3"), settle("t4"), settle("t5", { status: "FAILED" })]);
    });

    it("in order of submission, page by page", async () => {
      const all = Array.from({ length: 20 }, (_, i) => `t${i}`);
      for (const limit of [1, 7, 20, 100]) expect(await listAll({ limit })).toEqual(all);
    });

    it("what the filters let through", async () => {
      expect(await listAll({ limit: 2, status: "FINISHED" })).toEqual(["t3", "t4"]);
      expect(await listAll({ limit: 2, method: "odd", from: 1_003, to: 1_009 })).toEqual(["t3", "t5", "t7"]);
      expect(await listAll({ limit: 2, method: "odd", status: "FAILED" })).toEqual(["t5"]);
      expect(await listAll({ limit: 2, status: "EXPIRED" })).toEqual([]);
    });

    it("each task once, though some are removed and added between pages", async () => {
      const first = await store.list({ limit: 5 });
      await store.commit([remove("t4"), remove("t7"), remove("t19"), add("new")]);
      const rest = await store.list({ limit: 100, ...(first.next !== undefined && { after: first.next }) });
      expect(idsOf(first.tasks)).toEqual(["t0", "t1", "t2", "t3", "t4"]);
      expect(idsOf(rest.tasks)).toEqual(
        [...Array.from({ length: 14 }, (_, i) => `t${i + 5}`), "new"].filter((id) => id !== "t7"),
      );
    });

    it("nothing for what is not the end of a page, but says so", async () => {
      for (const after of ["", "t4", "-1", "1e3"]) {
        await expect(store.list({ limit: 1, after })).rejects.toThrow(OptionError);
      }
      expect(idsOf((await store.list({ limit: 1 })).tasks)).toEqual(["t0"]);
    });

    it("how many there are of each method and status", async () => {
      const counts = await store.counts();
      expect(counts.map(({ method, status, count }) => `${method} ${status} ${count}`).sort()).toEqual([
        "even FINISHED 1",
        "even QUEUED 9",
        "odd FAILED 1",
        "odd FINISHED 1",
        "odd QUEUED 8",
      ]);
    });
  });

  it("lists a rare status among many in pages that may be empty", async () => {
    await store.commit(Array.from({ length: 45_000 }, (_, i) => add(`t${i}`, { params: undefined })));
    await store.commit([settle("t44999")]);
    const first = await store.list({ limit: 10, status: "FINISHED" });
    expect([first.tasks, first.next === undefined]).toEqual([[], false]);
    expect(await listAll({ limit: 10, status: "FINISHED" })).toEqual(["t44999"]);
  });

  describe("expires", () => {
    const record = (id: string, forgetAt: number, size = 100) => [
      addClaimed(id, { params: undefined }),
      settle(id, { forgetAt, outcome: "x".repeat(size) }),
    ];
    const left = async () => idsOf((await store.list({ limit: 100 })).tasks);

    it("records whose time has come, and no others", async () => {
      await store.commit([...record("a", 3_000), ...record("b", 2_000), ...record("c", 4_000), add("d")]);
      expect(await store.commit([expire({ now: 3_000 })])).toEqual({
        known: [],
        revived: [],
        expireMore: false,
      });
      expect(await left()).toEqual(["c", "d"]);
    });

    it("the oldest records above a number", async () => {
      await store.commit([...record("a", 3_000), ...record("b", 2_000), ...record("c", 4_000), add("d")]);
      await store.commit([expire({ maxRecords: 2 })]);
      expect(await left()).toEqual(["a", "c", "d"]);
      await store.commit([remove("a"), expire({ maxRecords: 1 })]);
      expect(await left()).toEqual(["c", "d"]);
    });

    it("the oldest records above a size", async () => {
      await store.commit([...record("a", 1, 50_000), ...record("b", 2, 50_000), ...record("c", 3, 50_000)]);
      await store.commit([expire({ maxRecordBytes: 152_000 })]);
      expect(await left()).toEqual(["a", "b", "c"]);
      await store.commit([expire({ maxRecordBytes: 110_000 })]);
      expect(await left()).toEqual(["b", "c"]);
      await store.commit([remove("b"), ...record("d", 4, 50_000), expire({ maxRecordBytes: 110_000 })]);
      expect(await left()).toEqual(["c", "d"]);
    });

    it("some at a time, and says when there are more", async () => {
      const many = Array.from({ length: 5_000 }, (_, i) => record(`t${i}`, 3_000 + i, 1));
      await store.commit(many.flat());
      let rounds = 1;
      while ((await store.commit([expire({ maxRecords: 10 })])).expireMore) rounds++;
      expect(rounds).toBeGreaterThan(1);
      expect(await left()).toEqual(Array.from({ length: 10 }, (_, i) => `t${4_990 + i}`));
      expect((await store.commit([expire({ now: 99_999 })])).expireMore).toBe(false);
      expect(await left()).toEqual([]);
    });
  });

  describe("failed records", () => {
    const fine = (id: string, size = 100) => [
      addClaimed(id, { params: undefined }),
      settle(id, { forgetAt: 9_000, outcome: "x".repeat(size) }),
    ];
    let failures = 0;
    const bad = (id: string, size = 100, status: "FAILED" | "EXPIRED" = "FAILED") => [
      addClaimed(id, { params: undefined }),
      settle(id, { status, settledAt: 3_000 + ++failures, forgetAt: 99_000, outcome: "x".repeat(size) }),
    ];
    const left = async () =>
      idsOf((await store.list({ limit: 100 })).tasks)
        .sort()
        .join("");

    it("take up half of the number of records at most: then the oldest of them go first", async () => {
      await store.commit([...bad("a"), ...fine("m"), ...bad("b"), ...bad("c", 1, "EXPIRED"), ...fine("n")]);
      await store.commit([expire({ maxRecords: 5 })]);
      expect(await left()).toBe("abcmn");
      await store.commit([expire({ maxRecords: 4 })]);
      expect(await left()).toBe("bcmn");
      await store.commit([expire({ maxRecords: 3 })]);
      expect(await left()).toBe("cmn");
      await store.commit([expire({ maxRecords: 2 })]);
      expect(await left()).toBe("cn");
      await store.commit([expire({ maxRecords: 0 })]);
      expect(await left()).toBe("");
    });

    it("take up half of the bytes at most", async () => {
      await store.commit([...bad("a", 50_000), ...bad("b", 50_000), ...fine("m", 40_000)]);
      await store.commit([expire({ maxRecordBytes: 150_000 })]);
      expect(await left()).toBe("abm");
      await store.commit([expire({ maxRecordBytes: 130_000 })]);
      expect(await left()).toBe("bm");
      await store.commit([...fine("n", 60_000), expire({ maxRecordBytes: 130_000 })]);
      expect(await left()).toBe("bn");
    });

    it("may take up more while there is room", async () => {
      await store.commit([...bad("a"), ...bad("b"), ...bad("c"), expire({ maxRecords: 3 })]);
      expect(await left()).toBe("abc");
    });

    it("go many at a time, and some of the others with them", async () => {
      await store.commit(
        Array.from({ length: 3_000 }, (_, i) => [...bad(`b${i}`, 1), ...fine(`f${i}`, 1)]).flat(),
      );
      let rounds = 1;
      while ((await store.commit([expire({ maxRecords: 10 })])).expireMore) rounds++;
      expect(rounds).toBe(3);
      const tasks = idsOf((await store.list({ limit: 100 })).tasks);
      const expected = Array.from({ length: 5 }, (_, i) => [`b${2_995 + i}`, `f${2_995 + i}`]);
      expect(tasks).toEqual(expected.flat());
    });

    it("are counted right, whatever became of them", async () => {
      await store.commit([...bad("a"), ...bad("b"), ...bad("c"), ...bad("d"), ...fine("m"), ...fine("n")]);
      // Of these only `e` is a failed record then, and `b`, `m` and `n` are others.
      await store.commit([remove("a"), revive("b"), settle("b"), revive("c"), revive("d")]);
      await store.commit([add("e", { status: "FAILED", settledAt: 1, forgetAt: 99_000 })]);
      await store.close();
      await store.open();
      await store.commit([expire({ maxRecords: 3 })]);
      expect(await left()).toBe("cdemn");
      // Two failed ones of four are half of them.
      await store.commit([settle("d", { status: "EXPIRED", settledAt: 8_000, forgetAt: 99_000 })]);
      await store.commit([expire({ maxRecords: 4 })]);
      expect(await left()).toBe("cdemn");
      await store.commit([settle("c", { status: "FAILED", settledAt: 8_001, forgetAt: 99_000 })]);
      await store.commit([expire({ maxRecords: 4 })]);
      expect(await left()).toBe("cdmn");
    });
  });

  it("sums up what there is when it is opened, with nothing claimed", async () => {
    await store.commit([
      addClaimed("a", { rank: 3_000, expiresAt: 8_000, createdAt: 1_234 }),
      add("b", { rank: 2_000 }),
      add("c", { method: "other", group: "g", params: undefined, rank: 1_000, expiresAt: 7_000 }),
      add("f", { status: "SCHEDULED", dueAt: 4_000 }),
      { type: "save-item", kind: "limits", name: "add", value: "old" },
      { type: "save-item", kind: "limits", name: "add", value: "{}" },
      { type: "save-item", kind: "schedule", name: "add", value: "1" },
      { type: "save-item", kind: "schedule", name: "gone", value: "2" },
      { type: "remove-item", kind: "schedule", name: "gone" },
      addClaimed("d", { expiresAt: 6_000 }),
      settle("d", { settledAt: 5_678 }),
      add("e"),
      remove("e"),
      { type: "save-session", id: "one", token: "old" },
      { type: "save-session", id: "two", token: "2" },
      { type: "save-session", id: "one", token: "1" },
      { type: "save-session", id: "three", token: "3" },
      { type: "remove-session", id: "three" },
    ]);
    await store.close();
    const { backlog, items, sessions, ...rest } = await store.open();
    expect(items).toHaveLength(2);
    expect(items).toContainEqual({ kind: "limits", name: "add", value: "{}" });
    expect(items).toContainEqual({ kind: "schedule", name: "add", value: "1" });
    expect(backlog).toHaveLength(2);
    expect(backlog).toContainEqual({ method: "add", group: "", count: 2, rank: 2_000 });
    expect(backlog).toContainEqual({ method: "other", group: "g", count: 1, rank: 1_000 });
    expect(sessions).toHaveLength(2);
    expect(sessions).toContainEqual({ id: "one", token: "1" });
    expect(sessions).toContainEqual({ id: "two", token: "2" });
    expect(rest).toEqual({
      ...{ unsettled: 4, unsettledBytes: 15 },
      ...{ nextDue: 4_000, nextExpiry: 7_000, time: 5_678 },
    });
    expect(await claimIds()).toEqual(["b", "a"]);
    await store.commit([expire({ maxRecords: 0 })]);
    expect(await getOne("d")).toBeUndefined();
  });

  describe("failures", () => {
    const failed = (id: string, settledAt: number, fields: Parameters<typeof settle>[1] = {}) =>
      settle(id, {
        status: "FAILED",
        settledAt,
        outcome: '{"error":{"message":"too \\"big\\""}}',
        ...fields,
      });

    const failedIds = async (filter: Omit<FailedFilter, "limit"> = {}, limit = 9) => {
      const ids: string[][] = [];
      for (let after: string | undefined; ; ) {
        const page = await store.failed({ ...filter, limit, ...(after !== undefined && { after }) });
        ids.push(idsOf(page.tasks));
        after = page.next;
        if (after === undefined) return ids.flat();
      }
    };

    beforeEach(async () => {
      await store.commit([..."abcdef"].map((id) => add(id, { method: id < "c" ? "add" : "other" })));
      await store.commit([
        failed("c", 2_000, { status: "EXPIRED", outcome: undefined }),
        settle("d"),
        failed("a", 3_000),
        failed("b", 3_000),
        settle("e", { status: "STOPPED" }),
      ]);
    });

    it("are listed, what was settled last first", async () => {
      const ids = await failedIds();
      expect(ids).toEqual(["b", "a", "c"]);
      for (const limit of [1, 2, 3]) expect(await failedIds({}, limit)).toEqual(ids);
    });

    it("are found by method, time and error", async () => {
      expect(await failedIds({ method: "other" })).toEqual(["c"]);
      expect(await failedIds({ method: "none" })).toEqual([]);
      expect(await failedIds({ to: 3_000 })).toEqual(["c"]);
      expect(await failedIds({ from: 2_001 }, 1)).toHaveLength(2);
      expect(await failedIds({ error: 'too "big"' })).toHaveLength(2);
      expect(await failedIds({ error: "small" })).toEqual([]);
    });

    it("come in pages of a few megabytes", async () => {
      const outcome = JSON.stringify("x".repeat(1_500_000));
      const ids = Array.from({ length: 7 }, (_, i) => `large${i}`);
      await store.commit(ids.flatMap((id, i) => [add(id), failed(id, 4_000 + i, { outcome })]));
      const first = await store.failed({ limit: 100 });
      expect(idsOf(first.tasks)).toEqual(["large6", "large5", "large4"]);
      expect(await failedIds({ error: "xxx" }, 100)).toEqual([...ids].reverse());
    });

    it("are found among many, in pages that may be empty", async () => {
      const many = Array.from({ length: 25_000 }, (_, i) => [
        add(`t${i}`, { params: undefined }),
        failed(`t${i}`, 4_000 + i),
      ]);
      await store.commit(many.flat());
      expect((await store.failed({ limit: 9, method: "other" })).tasks).toEqual([]);
      expect(await failedIds({ method: "other" })).toEqual(["c"]);
      expect(await failedIds({ method: "other", from: 3_000 })).toEqual([]);
      expect(await failedIds({ to: 3_001 })).toEqual(["b", "a", "c"]);
      expect(await failedIds({ from: 4_010, to: 4_012 }, 1)).toEqual(["t11", "t10"]);
    });

    it("are queued again, as if they had not failed, and then are none any more", async () => {
      const before = await getOne("b");
      await store.commit([revive("b")]);
      expect(await getOne("b")).toStrictEqual(
        storedTask("b", { attempt: before?.attempt ?? 0, dueAt: 5_000, rank: 4 }),
      );
      expect(await failedIds()).toEqual(["a", "c"]);
      expect(await claimIds(9, 1e9, "add")).toEqual(["b"]);
      await store.commit([failed("b", 6_000, { attempt: 2 })]);
      expect(await failedIds({}, 1)).toEqual(["b", "a", "c"]);
    });

    it("can't be queued again while they are none", async () => {
      const result = await store.commit([revive("f"), revive("none"), revive("b"), revive("b")]);
      expect(result.revived).toEqual(["b"]);
      expect(await getOne("f")).toStrictEqual(storedTask("f", { method: "other" }));
    });

    it("count as records no more when they are queued again", async () => {
      await store.commit([revive("b")]);
      await store.commit([expire({ maxRecords: 0 })]);
      expect(await failedIds()).toEqual([]);
      expect(await getOne("b")).toBeDefined();
      await store.commit([expire({ maxRecords: 0, maxRecordBytes: 0 }), failed("b", 7_000)]);
      await store.commit([expire({ maxRecords: 1, maxRecordBytes: 1_000 })]);
      expect(await failedIds()).toEqual(["b"]);
    });
  });

  it("counts the tasks of its group before one", async () => {
    const ranks = [5, 3, 9, 3];
    await store.commit(ranks.map((rank, i) => add(`${i}`, { rank, group: "g" })));
    await store.commit([add("other", { rank: 1 }), addClaimed("held", { rank: 1, group: "g" })]);
    expect(await Promise.all(["0", "1", "2", "3"].map((id) => store.countBefore(id)))).toEqual([2, 0, 3, 1]);
    expect(await store.countBefore("other")).toBe(0);
    expect(await store.countBefore("none")).toBe(0);
  });

  it("ends only when what was asked before is done", async () => {
    const committed = store.commit([add("a")]).then(() => "committed");
    const closed = store.close().then(() => "closed");
    expect(await Promise.race([closed, committed])).toBe("committed");
    await closed;
    expect((await store.open()).unsettled).toBe(1);
  });
});

it("counts records in SQLite as they were when a commit fails", async () => {
  const folder = mkdtempSync(join(tmpdir(), "zerotask-store-"));
  const store = sqliteStore(join(folder, "data"));
  await store.open();
  await store.commit([..."abmnx"].map((id) => addClaimed(id)));
  await store.commit([settle("a", { status: "FAILED" }), settle("b", { status: "EXPIRED" })]);
  await store.commit([settle("m"), settle("n")]);
  const changes = [remove("a"), revive("b"), settle("x", { status: "FAILED" })];
  await expect(store.commit([...changes, reschedule("none"), add("y", { attempt: 0.5 })])).rejects.toThrow();
  await store.commit([expire({ maxRecords: 4 })]);
  expect(idsOf((await store.list({ limit: 9 })).tasks)).toEqual(["a", "b", "m", "n", "x"]);
  await store.commit([expire({ maxRecords: 3 })]);
  expect(idsOf((await store.list({ limit: 9 })).tasks)).toEqual(["b", "m", "n", "x"]);
  await store.close();
  rmSync(folder, { recursive: true });
});
