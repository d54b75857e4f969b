// What is only true of the store on disk: what it survives, whom it refuses, and what it does when the disk is full.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { DatabaseSync } from "@photostructure/sqlite";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { OptionError } from "zerotask-core";
import type { StoreSummary } from "../../packages/broker/src/state/storage/stored-task.ts";
import { sqliteStore } from "../../packages/broker/src/store/sqlite-store.ts";
import { type Store, StoreError } from "../../packages/broker/src/store/store.ts";
import { add, addClaimed, expire, idsOf, settle, storedTask } from "../support/stored-tasks.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const boundMs = 15_000;
let parent: string;
let folder: string;
let file: string;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "zerotask-sqlite-"));
  folder = join(parent, "nested", "data");
  file = join(folder, "tasks.db");
});

afterEach(() => rmSync(parent, { recursive: true }));

async function opened(options?: { maxBytes?: number }): Promise<{ store: Store; summary: StoreSummary }> {
  const store = sqliteStore(folder, options);
  const summary = await store.open();
  onTestFinished(() => store.close());
  return { store, summary };
}

async function refusal(): Promise<string> {
  const error = await sqliteStore(folder)
    .open()
    .then(
      () => undefined,
      (reason: unknown) => reason,
    );
  expect(error).toBeInstanceOf(StoreError);
  return (error as StoreError).message;
}

const claimIds = async (store: Store): Promise<string[]> =>
  idsOf((await store.claim({ method: "add", groups: [""], limit: 100, maxBytes: 1e9 })).tasks);

/** A process that has committed its changes and holds the folder. */
async function startHolder(): Promise<ChildProcess> {
  const script = join(root, "test/support/store-process.ts");
  const child = spawn(process.execPath, ["--import", "tsx", script, folder], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [line] = await once(createInterface({ input: child.stdout }), "line", {
    signal: AbortSignal.timeout(boundMs),
  });
  expect(line).toBe("committed");
  return child;
}

describe("a store on disk", () => {
  it("makes its folder and files for nobody else to read", async () => {
    await opened();
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it("has everything again after it was closed, with nothing claimed", async () => {
    const { store } = await opened();
    await store.commit([add("a"), addClaimed("b", { options: "{}" }), addClaimed("c"), settle("c")]);
    const before = await store.get(["a", "b", "c"]);
    await store.close();
    const again = await opened();
    expect(again.summary).toMatchObject({ unsettled: 2, time: 2_000 });
    expect(await again.store.get(["a", "b", "c"])).toStrictEqual(before);
    expect(await claimIds(again.store)).toEqual(["a", "b"]);
  });

  it("has what was committed after its process was killed, with nothing claimed and no lock left", async () => {
    const holder = await startHolder();
    holder.kill("SIGKILL");
    await once(holder, "exit");
    const { store, summary } = await opened();
    expect(summary).toMatchObject({ unsettled: 2, sessions: [{ id: "client", token: "secret" }] });
    expect((await store.get(["done"]))[0]?.outcome).toBe("3");
    expect(await claimIds(store)).toEqual(["free", "held"]);
  });

  it("goes on counting records where it was", async () => {
    const { store } = await opened();
    await store.commit(["a", "b", "c"].flatMap((id) => [add(id), settle(id)]));
    await store.close();
    const again = await opened();
    await again.store.commit([add("d"), settle("d", { forgetAt: 9_001 }), expire({ maxRecords: 1 })]);
    expect(idsOf((await again.store.list({ limit: 9 })).tasks)).toEqual(["d"]);
  });

  it("uses freed space again", async () => {
    const fillAndExpire = async () => {
      const { store } = await opened();
      for (let round = 0; round < 10; round++) {
        const ids = Array.from({ length: 200 }, (_, i) => `${round}-${i}`);
        await store.commit(ids.flatMap((id) => [add(id, { params: `"${"x".repeat(3_000)}"` }), settle(id)]));
        await store.commit([expire({ maxRecords: 0 })]);
      }
      await store.close();
      return statSync(file).size;
    };
    const first = await fillAndExpire();
    expect(first).toBeLessThan(3_000_000);
    expect(await fillAndExpire()).toBeLessThan(first * 1.1);
  });

  it("refuses to work when it is not open", async () => {
    const store = sqliteStore(folder);
    await expect(store.commit([])).rejects.toThrow(StoreError);
    await store.open();
    await expect(store.open()).rejects.toThrow("open already");
    await store.close();
    await store.close();
    await expect(store.get(["a"])).rejects.toThrow(`Can't use ${folder}: it is not open`);
  });

  it("checks its options", () => {
    expect(() => sqliteStore("")).toThrow(OptionError);
    expect(() => sqliteStore(folder, { maxBytes: 1 })).toThrow("`maxBytes`");
    expect(() => sqliteStore(folder, { maxByte: 1 } as object)).toThrow("maxByte");
  });
});

describe("a data directory that is in use", () => {
  it("is refused to another store of the same process, which harms nothing", async () => {
    const { store } = await opened();
    for (let i = 0; i < 2; i++) {
      expect(await refusal()).toBe(
        `The data directory ${folder} is in use by another broker (process ${process.pid})`,
      );
    }
    await store.commit([add("a")]);
    await store.close();
    expect((await opened()).summary.unsettled).toBe(1);
  });

  it("is refused to another process", async () => {
    const holder = await startHolder();
    expect(await refusal()).toBe(
      `The data directory ${folder} is in use by another broker (process ${holder.pid})`,
    );
  });

  it("is not one where only a process number is left", async () => {
    const { store } = await opened();
    await store.close();
    writeFileSync(join(folder, "broker.pid"), "1\n");
    expect((await opened()).summary.unsettled).toBe(0);
  });
});

describe("a file that is not for this version", () => {
  /** Writes a number into the header of a closed data file. */
  async function patchHeader(offset: number, value: number): Promise<Buffer> {
    const { store } = await opened();
    await store.commit([add("a")]);
    await store.close();
    const bytes = readFileSync(file);
    bytes.writeUInt32BE(value, offset);
    writeFileSync(file, bytes);
    return bytes;
  }

  it("is refused when a newer version wrote it, and stays as it is", async () => {
    const bytes = await patchHeader(60, 99);
    expect(await refusal()).toMatch(/of schema version \d+ or older, found 99/);
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });

  it("is refused when it is another application's, and stays as it is", async () => {
    const bytes = await patchHeader(68, 0x1234);
    expect(await refusal()).toMatch(/to be a ZeroTask data file .*, found 0x1234/);
    expect(readFileSync(file).equals(bytes)).toBe(true);
    rmSync(file);
    await patchHeader(68, 0);
    expect(await refusal()).toMatch(/found a database without one/);
  });

  it("is refused when it is no database", async () => {
    const { store } = await opened();
    await store.close();
    writeFileSync(file, "These are not the tasks that you are looking for. ".repeat(200));
    expect(await refusal()).toBe(`Can't open ${file}: file is not a database`);
  });

  it("is refused when it is no folder", async () => {
    folder = join(parent, "file");
    writeFileSync(folder, "");
    expect(await refusal()).toContain(`Can't use ${folder} as the data directory: it is not a directory`);
  });
});

describe("a store that is full", () => {
  const big = { params: `"${"x".repeat(20_000)}"` };

  async function fill(store: Store): Promise<{ kept: string[]; error: unknown }> {
    const kept: string[] = [];
    for (let batch = 0; batch < 1_000; batch++) {
      const ids = Array.from({ length: 5 }, (_, i) => `${batch}-${i}`);
      try {
        await store.commit([settle(`small-${batch}`), ...ids.map((id) => add(id, big))]);
      } catch (error) {
        return { kept, error };
      }
      kept.push(...ids);
    }
    throw new Error("It never got full");
  }

  it("rejects a commit as a whole, and keeps what it had", async () => {
    const { store } = await opened({ maxBytes: 1_048_576 });
    const small = Array.from({ length: 30 }, (_, i) => addClaimed(`small-${i}`, { method: "small" }));
    await store.commit(small);
    const { kept, error } = await fill(store);
    expect(error).toBeInstanceOf(StoreError);
    expect(error).toMatchObject({ message: `Can't write to ${folder}: database or disk is full` });
    expect((error as StoreError).cause).toBeInstanceOf(Error);
    const batches = kept.length / 5;
    await store.close();
    const again = await opened({ maxBytes: 1_048_576 });
    expect(await claimIds(again.store)).toEqual(kept);
    expect((await again.store.get([`${batches}-0`, `${batches}-4`])).length).toBe(0);
    expect(await again.store.get([`small-${batches}`])).toStrictEqual([
      storedTask(`small-${batches}`, { method: "small" }),
    ]);
  });

  it("still knows how many records it has after a rejected commit", async () => {
    const { store } = await opened({ maxBytes: 1_048_576 });
    await store.commit(Array.from({ length: 30 }, (_, i) => addClaimed(`small-${i}`)));
    const records = (await fill(store)).kept.length / 5;
    await store.commit([expire({ maxRecords: records })]);
    expect((await store.list({ limit: 100, status: "FINISHED" })).tasks).toHaveLength(records);
    await store.commit([expire({ maxRecords: records - 1 })]);
    expect((await store.list({ limit: 100, status: "FINISHED" })).tasks).toHaveLength(records - 1);
  });

  it("opens a file of the first version, with all that is in it", async () => {
    mkdirSync(folder, { recursive: true });
    const database = new DatabaseSync(file);
    database.exec(`
      CREATE TABLE task (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, method TEXT NOT NULL,
        params TEXT, options TEXT, status TEXT NOT NULL, claimed INTEGER NOT NULL, attempt INTEGER NOT NULL,
        losses INTEGER NOT NULL, failures INTEGER NOT NULL, created_at REAL NOT NULL, due_at REAL NOT NULL,
        expires_at REAL, outcome TEXT, settled_at REAL, forget_at REAL, bytes INTEGER NOT NULL) STRICT;
      CREATE INDEX task_ready ON task (claimed, method, due_at, seq, bytes) WHERE settled_at IS NULL;
      CREATE INDEX task_expiry ON task (expires_at)
        WHERE expires_at IS NOT NULL AND settled_at IS NULL AND claimed = 0;
      CREATE INDEX task_record ON task (forget_at, bytes) WHERE settled_at IS NOT NULL;
      CREATE TABLE session (id TEXT PRIMARY KEY, token TEXT NOT NULL) STRICT, WITHOUT ROWID;
      CREATE TABLE clock (time REAL NOT NULL) STRICT;
      INSERT INTO clock VALUES (3000);
      INSERT INTO session VALUES ('client', 'secret');
      INSERT INTO task VALUES
        (1, 'late', 'client', 'add', '[1,2]', NULL, 'QUEUED', 1, 0, 0, 0, 1000, 2000, NULL, NULL, NULL, NULL, 5),
        (2, 'early', 'client', 'add', '[1,2]', NULL, 'QUEUED', 0, 0, 0, 0, 1000, 1000, NULL, NULL, NULL, NULL, 5),
        (3, 'retry', 'client', 'add', '[1,2]', NULL, 'SCHEDULED', 0, 1, 0, 1, 1000, 4000, NULL, NULL, NULL, NULL, 5),
        (4, 'done', 'client', 'add', '[1,2]', NULL, 'FAILED', 0, 1, 0, 1, 1000, 1000, NULL, '{}', 3000, 9000, 207);
      PRAGMA application_id = 0x5a54736b; PRAGMA user_version = 1`);
    database.close();
    const { store, summary } = await opened();
    expect(summary.backlog).toEqual([{ method: "add", group: "", count: 2, rank: 1_000 }]);
    expect(summary).toMatchObject({ nextDue: 4_000, unsettled: 3, unsettledBytes: 15, time: 3_000 });
    expect(summary.sessions).toEqual([{ id: "client", token: "secret" }]);
    expect(await claimIds(store)).toEqual(["early", "late"]);
    expect((await store.claimDue(4_000, 9)).tasks).toEqual([
      storedTask("retry", { status: "SCHEDULED", attempt: 1, failures: 1, dueAt: 4_000 }),
    ]);
    expect(idsOf((await store.failed({ limit: 9 })).tasks)).toEqual(["done"]);
  });

  it("has room again for what comes after something was removed", async () => {
    const { store } = await opened({ maxBytes: 1_048_576 });
    const { kept } = await fill(store);
    await store.commit(kept.map((id) => ({ type: "remove", id })));
    await store.commit([add("again", big)]);
    expect(await claimIds(store)).toEqual(["again"]);
  });
});
