// Opens the data file, and holds it alone: SQLite's own lock is the truth, and goes with the process.
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "@photostructure/sqlite";
import { checkSchema, migrate } from "./sqlite-schema.ts";
import { StoreError } from "./store.ts";

export type Database = InstanceType<typeof DatabaseSync>;
export type Statement = ReturnType<Database["prepare"]>;

/** STRICT tables, RETURNING and all that the statements rely on are older. */
const minVersion = "3.45.0";

const busyCode = 5;
const cacheKib = 64 * 1_024;
const walPages = 4_000;
const maxWalBytes = 64 * 1_024 * 1_024;

/**
 * Opens the data file in `folder`, makes what is missing, and brings it to this version.
 * @throws StoreError when it can't be used, or another broker has it
 */
export function openDatabase(folder: string, maxBytes: number | undefined): Database {
  makeFolder(folder);
  const path = join(folder, "tasks.db");
  let database: Database | undefined;
  try {
    makeFile(path);
    database = new DatabaseSync(path);
    checkVersion(database);
    lock(database, path);
    setUp(database, maxBytes);
    migrate(database);
    writeFileSync(pidFile(folder), `${process.pid}\n`, { mode: 0o600 });
    return database;
  } catch (error) {
    database?.close();
    if (error instanceof StoreError) throw error;
    if (isBusy(error)) throw inUse(folder, error);
    throw new StoreError(`Can't open ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** Closes it for others to open. */
export function closeDatabase(database: Database, folder: string): void {
  database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  rmSync(pidFile(folder), { force: true });
  database.close();
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    const isFile = statSync(folder, { throwIfNoEntry: false })?.isDirectory() === false;
    const why = isFile ? "it is not a directory" : messageOf(error);
    throw new StoreError(`Can't use ${folder} as the data directory: ${why}`, { cause: error });
  }
}

/**
 * For nobody else to read. A file that is there is not touched: closing any descriptor of it would give up the
 * locks that this process has on it.
 */
function makeFile(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

function checkVersion(database: Database): void {
  const found = String(database.prepare("SELECT sqlite_version() AS version").get()?.version);
  const [major = 0, minor = 0] = found.split(".").map(Number);
  const [minMajor = 0, minMinor = 0] = minVersion.split(".").map(Number);
  if (major > minMajor || (major === minMajor && minor >= minMinor)) return;
  throw new StoreError(`Expected SQLite ${minVersion} or newer, found ${found}`);
}

/** Takes the lock for good, and changes nothing of a file that is not ours. */
function lock(database: Database, path: string): void {
  database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
  checkSchema(database, path);
  database.exec("COMMIT");
}

function setUp(database: Database, maxBytes: number | undefined): void {
  database.exec(
    `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -${cacheKib};
     PRAGMA wal_autocheckpoint = ${walPages}; PRAGMA journal_size_limit = ${maxWalBytes}`,
  );
  // Leaving rollback mode may give the lock up: have it again before anything is written.
  database.exec("BEGIN EXCLUSIVE; COMMIT");
  if (maxBytes === undefined) return;
  const pageSize = Number(database.prepare("PRAGMA page_size").get()?.page_size);
  database.exec(`PRAGMA max_page_count = ${Math.floor(maxBytes / pageSize)}`);
}

function isBusy(error: unknown): boolean {
  return ((error as { errcode?: number }).errcode ?? 0) % 256 === busyCode;
}

const pidFile = (folder: string): string => join(folder, "broker.pid");

function inUse(folder: string, cause: unknown): StoreError {
  const pid = livingPid(folder);
  const who = pid === undefined ? "another process" : `another broker (process ${pid})`;
  return new StoreError(`The data directory ${folder} is in use by ${who}`, { cause });
}

/** The file may be from a broker that was killed: it only serves to name who has the lock. */
function livingPid(folder: string): number | undefined {
  try {
    const pid = Number(readFileSync(pidFile(folder), "utf8"));
    if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined;
  }
}
