import { expect, it } from "vitest";
import { Journal, type JournalBounds } from "../../packages/broker/src/state/events/journal.ts";
import { Numbers } from "../../packages/broker/src/state/events/numbers.ts";

const wide: JournalBounds = { kept: 1_000_000, keptBytes: 1_000_000_000, keptPerTask: 1_000_000 };

interface Tried {
  readonly journal: Journal<number>;
  add(task: string, method?: string, bytes?: number): number;
  /** The bodies of what is found. */
  find(query?: { taskId?: string; method?: string; after?: number; limit?: number }): readonly number[];
  lost(query: { taskId?: string; method?: string; after: number }): boolean;
}

function journal(bounds: Partial<JournalBounds> = {}, numbers: Numbers = new Numbers()): Tried {
  const made = new Journal<number>(numbers, { ...wide, ...bounds });
  let count = 0;
  const page = (query: object) => made.find({ after: 0, limit: 1_000_000, ...query });
  return {
    journal: made,
    add: (taskId, method = "add", bytes = 0) =>
      made.append(1_000, { at: 1, taskId, method, body: ++count }, bytes).seq,
    find: (query = {}) => page(query).entries.map(({ body }) => body),
    lost: (query) => page(query).hasLost,
  };
}

it("numbers rise over restarts, and begin at the clock", () => {
  const numbers = new Numbers();
  expect(numbers.last).toBe(0);
  expect(numbers.next(1_000.7)).toBe(1_000_001);
  expect(numbers.next(999_999)).toBe(1_000_002);
  const later = new Numbers();
  expect(later.next(1_001)).toBeGreaterThan(numbers.last);
});

it("finds entries of a task, of a method and of all, in order, each with the number before it there", () => {
  const { journal: made, add, find } = journal();
  const [a, b, c, d] = [add("t1", "add"), add("t2", "add"), add("t1", "sub"), add("t1", "add")];
  expect(find()).toEqual([1, 2, 3, 4]);
  expect(find({ taskId: "t1" })).toEqual([1, 3, 4]);
  expect(find({ method: "add" })).toEqual([1, 2, 4]);
  expect(find({ taskId: "t1", method: "sub" })).toEqual([3]);
  expect(find({ taskId: "unknown" })).toEqual([]);
  const { entries } = made.find({ after: 0, limit: 10 });
  expect(entries.map(({ prev }) => prev)).toEqual([
    { task: 0, method: 0, all: 0 },
    { task: 0, method: a, all: a },
    { task: a, method: 0, all: b },
    { task: c, method: b, all: c },
  ]);
  expect(d).toBe(a + 3);
});

it("finds what comes after a number, in pages", () => {
  const { journal: made, add, find } = journal();
  const seqs = Array.from({ length: 10 }, (_, i) => add(`t${i % 2}`));
  expect(find({ after: seqs[6] ?? 0 })).toEqual([8, 9, 10]);
  expect(find({ taskId: "t0", after: seqs[6] ?? 0 })).toEqual([9]);
  expect(find({ taskId: "t0", after: seqs[9] ?? 0 })).toEqual([]);
  expect(made.find({ after: 0, limit: 3 })).toMatchObject({ hasMore: true, hasLost: false });
  expect(find({ limit: 3 })).toEqual([1, 2, 3]);
  expect(made.find({ after: seqs[6] ?? 0, limit: 3 }).hasMore).toBe(false);
});

it("ends a page that gets too large, but gives one entry at least", () => {
  const { journal: made, add } = journal();
  for (let i = 0; i < 3; i++) add("t", "add", 900_000);
  const { entries, hasMore } = made.find({ after: 0, limit: 10 });
  expect([entries.length, hasMore]).toEqual([1, true]);
});

it("keeps so many in all, the last ones", () => {
  const { journal: made, add, find, lost } = journal({ kept: 3 });
  const seqs = [1, 2, 3, 4, 5].map((n) => add(`t${n}`));
  expect(find()).toEqual([3, 4, 5]);
  expect(made.size).toBe(3);
  expect(find({ taskId: "t1" })).toEqual([]);
  expect(lost({ after: seqs[0] ?? 0 })).toBe(true);
  expect(lost({ after: seqs[1] ?? 0 })).toBe(false);
  // Who has seen nothing misses nothing, and an earlier run's numbers tell nothing.
  expect(lost({ after: 0 })).toBe(false);
  expect(lost({ after: 17 })).toBe(false);
});

it("keeps so many bytes in all", () => {
  const { journal: made, add, find } = journal({ keptBytes: 5_000 });
  for (let i = 0; i < 5; i++) add("t", "add", 1_900);
  expect(find()).toEqual([4, 5]);
  expect(made.bytes).toBeLessThanOrEqual(5_000);
});

it("keeps so many of one task, whatever others there are, and tells whose are lost", () => {
  const { journal: made, add, find, lost } = journal({ keptPerTask: 2 });
  const first = add("quiet");
  const chatty = Array.from({ length: 100_000 }, () => add("chatty"));
  expect(find()).toEqual([1, 100_000, 100_001]);
  expect(find({ taskId: "chatty" })).toEqual([100_000, 100_001]);
  expect(made.size).toBe(3);
  expect(lost({ taskId: "chatty", after: chatty[0] ?? 0 })).toBe(true);
  expect(lost({ taskId: "quiet", after: first })).toBe(false);
  expect(lost({ after: first })).toBe(true);
});

it("tells who begins with a task's first entry that some of that task are lost", () => {
  const { add, lost } = journal({ keptPerTask: 2 });
  for (let i = 0; i < 3; i++) add("chatty");
  add("quiet");
  expect([lost({ taskId: "chatty", after: 0 }), lost({ taskId: "quiet", after: 0 })]).toEqual([true, false]);
  expect([lost({ after: 0 }), lost({ method: "add", after: 0 })]).toEqual([false, false]);
});

it("knows of a task and a method of which all was forgotten that there may have been some", () => {
  const { journal: made, add, lost } = journal({ kept: 2 });
  const [first, , third] = [add("t", "add"), add("u", "sub"), add("u", "sub"), add("u", "sub")];
  // Everything up to the second went, the first of them of this task.
  const again = add("t", "add");
  const { entries } = made.find({ after: 0, limit: 10, taskId: "t" });
  expect(entries.map(({ seq, prev }) => [seq, prev.task, prev.method])).toEqual([
    [again, third ? third - 1 : 0, third ? third - 1 : 0],
  ]);
  expect([lost({ taskId: "t", after: first }), lost({ method: "add", after: first })]).toEqual([true, true]);
  expect(lost({ taskId: "t", after: third ?? 0 })).toBe(false);
});

it("looks at no more entries, and gives no more bytes, than it is allowed, and tells where it got to", () => {
  const { journal: made, add } = journal();
  const seqs = Array.from({ length: 100 }, (_, i) => add("t", i % 10 === 9 ? "rare" : "add", 1_000));
  const allowance = { entries: 55, bytes: 1e6 };
  const none = { after: 0, limit: 10, matches: () => false, allowance };
  expect(made.find(none)).toEqual({ entries: [], next: seqs[49], hasMore: true, hasLost: false });
  expect(made.find(none)).toMatchObject({ entries: [], next: 0, hasMore: true });
  const some = { after: 0, limit: 100, allowance: { entries: 1_000, bytes: 10_000 } };
  const page = made.find(some);
  expect([page.entries.length, page.next, page.hasMore]).toEqual([6, seqs[5], true]);
  const rest = made.find({ ...some, after: page.next });
  expect([rest.entries.length, rest.next]).toEqual([1, seqs[6]]);
  // A method's are found without looking at others, also where one reads on.
  const few = { entries: 10, bytes: 1e6 };
  const first = made.find({ after: 0, limit: 3, method: "rare", allowance: { ...few } });
  expect(first.entries.map(({ seq }) => seq)).toEqual([seqs[9], seqs[19], seqs[29]]);
  const next = made.find({ after: first.next, limit: 3, method: "rare", allowance: { ...few } });
  expect(next.entries.map(({ seq }) => seq)).toEqual([seqs[39], seqs[49], seqs[59]]);
});

it("takes no longer where much is kept, and forgets tasks and methods of which nothing is kept", () => {
  const { journal: made, add } = journal({ kept: 10_000, keptPerTask: 5 });
  const begin = performance.now();
  for (let i = 0; i < 300_000; i++) add(`t${i >> 3}`, `m${i % 100_000}`);
  expect(performance.now() - begin).toBeLessThan(5_000);
  expect(made.size).toBe(10_000);
  expect(made.bytes).toBeLessThan(10_000 * 600);
});

it("behaves like a list that is filtered, whatever is added", () => {
  const { journal: made, add, find } = journal({ kept: 50, keptPerTask: 7 });
  let model: { task: string; method: string; body: number; seq: number }[] = [];
  let random = 7;
  for (let i = 1; i <= 5_000; i++) {
    random = (random * 1_103_515_245 + 12_345) % 2_147_483_648;
    const [task, method] = [`t${random % 13}`, `m${random % 3}`];
    model.push({ task, method, body: i, seq: add(task, method) });
    const ofTask = model.filter((entry) => entry.task === task);
    if (ofTask.length > 7) model = model.filter((entry) => entry !== ofTask[0]);
    if (model.length > 50) model.shift();
    if (i % 50 !== 0) continue;
    const after = model[random % model.length]?.seq ?? 0;
    const later = model.filter(({ seq }) => seq > after);
    // In pages, from one to the next.
    const pages = made.find({ after, method, limit: 2 });
    const rest = find({ after: pages.next, method });
    expect([...pages.entries.map(({ body }) => body), ...rest]).toEqual(
      later.filter((entry) => entry.method === method).map((entry) => entry.body),
    );
    expect(find({ after })).toEqual(later.map(({ body }) => body));
    expect(find({ after, taskId: task })).toEqual(later.filter((e) => e.task === task).map((e) => e.body));
    expect(find({ after, method })).toEqual(later.filter((e) => e.method === method).map((e) => e.body));
  }
});

it("is read on in pages by who follows one task, however many it has, and beside whatever others", () => {
  const { journal: made, add } = journal({ kept: 100_000, keptPerTask: 50_000 });
  const first = add("t", "m");
  for (let i = 0; i < 30_000; i++) {
    add("t", "m");
    add("other", "m");
  }
  let [after, read] = [first, 0];
  for (let pages = 0, more = true; more; pages++) {
    expect(pages).toBeLessThan(100);
    const allowance = { entries: 20_000, bytes: 1e9 };
    const page = made.find({ taskId: "t", after, limit: 1_000, allowance });
    read += page.entries.length;
    [after, more] = [page.next, page.hasMore];
  }
  expect(read).toBe(30_000);
});
