// What the writer thread does with the data file: the operations of a store, one at a time.
import type { Claim, FailedFilter, StoreSummary } from "../state/storage/stored-task.ts";
import { bytesOf, maxCounted, maxExpired, maxListScan, recordOverhead } from "./limits.ts";
import type { FailedPlace } from "./page-start.ts";
import type { Database, Statement } from "./sqlite-database.ts";
import { type Answers, ChangeCode, type Primitive, taskColumns } from "./sqlite-messages.ts";
import { prepareStatements, type Statements } from "./sqlite-statements.ts";
import type { TaskCount, TaskFilter } from "./store.ts";

type Row = Primitive[];

/** A page of a list holds no more than about so much. */
const maxPageBytes = 16 * 1_024 * 1_024;

/** What is kept in memory of the file's contents, and so must be undone with a transaction. */
interface Totals {
  readonly records: number;
  readonly recordBytes: number;
  readonly time: number;
}

/** The only row. Unlike `get`, `all` runs the statement to its end, without which nothing could be committed. */
const rowOf = (statement: Statement, ...values: Primitive[]): Row | undefined =>
  statement.all(...values)[0] as unknown as Row | undefined;

const rowsOf = (statement: Statement, ...values: Primitive[]): Iterable<Row> =>
  statement.iterate(...values) as unknown as Iterable<Row>;

export class SqliteTasks {
  readonly #database: Database;
  readonly #do: Statements;
  #nextSeq: number;
  #records: number;
  #recordBytes: number;
  #time: number;
  /** The time in the file. */
  #savedTime: number;

  constructor(database: Database) {
    this.#database = database;
    // Of what would tell how large the new record is, calling back costs least: RETURNING takes four times as long.
    database.function("note_record", { directOnly: true }, (bytes: number) => this.#noteRecord(bytes));
    database.function("forget_record", { directOnly: true }, (bytes: number, left: number) => {
      this.#records--;
      this.#recordBytes -= bytes;
      return left;
    });
    this.#do = prepareStatements(database);
    this.#nextSeq = Number(rowOf(this.#do.lastSeq)?.[0]) + 1;
    const [records, recordBytes] = rowOf(this.#do.records) ?? [];
    this.#records = Number(records);
    this.#recordBytes = Number(recordBytes);
    this.#time = Number(rowOf(this.#do.time)?.[0]);
    this.#savedTime = this.#time;
  }

  /** Gives up what an earlier run had claimed. */
  release(): void {
    this.#write(() => this.#do.release.run());
  }

  summary(): StoreSummary {
    const backlog: { method: string; group: string; count: number; rank: number }[] = [];
    const [scheduled, nextDue, scheduledBytes] = rowOf(this.#do.scheduled) ?? [];
    let unsettled = Number(scheduled);
    let unsettledBytes = Number(scheduledBytes);
    for (const [method, group, count, rank, bytes] of rowsOf(this.#do.backlog)) {
      backlog.push({
        method: String(method),
        group: String(group),
        count: Number(count),
        rank: Number(rank),
      });
      unsettled += Number(count);
      unsettledBytes += Number(bytes);
    }
    const nextExpiry = rowOf(this.#do.nextExpiry)?.[0];
    return {
      backlog,
      unsettled,
      unsettledBytes,
      nextDue: typeof nextDue === "number" ? nextDue : undefined,
      nextExpiry: typeof nextExpiry === "number" ? nextExpiry : undefined,
      sessions: [...rowsOf(this.#do.sessions)].map(([id, token]) => ({
        id: String(id),
        token: String(token),
      })),
      items: [...rowsOf(this.#do.items)].map(([kind, name, value]) => ({
        kind: String(kind),
        name: String(name),
        value: String(value),
      })),
      time: this.#time,
    };
  }

  commit(changes: readonly Primitive[]): Answers["commit"] {
    return this.#write(() => {
      const known: Primitive[] = [];
      let expireMore = false;
      for (let i = 0; i < changes.length; ) {
        const values = fieldCounts[changes[i] as number] as number;
        const fields = changes.slice(i + 1, i + 1 + values);
        if (changes[i] === ChangeCode.Expire) expireMore = this.#expire(fields as number[]);
        else this.#change(changes[i] as number, fields, known);
        i += 1 + values;
      }
      if (this.#time > this.#savedTime) this.#do.setTime.run(this.#time);
      return { known, expireMore };
    });
  }

  claim({ method, groups, limit, maxBytes }: Claim): Answers["claim"] {
    const found: Primitive[] = [];
    const tasks: Primitive[] = [];
    const left: [string, number][] = [];
    let bytes = 0;
    for (const group of groups) {
      let count = 0;
      for (const row of rowsOf(this.#do.ready, method, group)) {
        const [seq = null, size, rank] = row.splice(taskColumns.length);
        if (count++ >= limit || (found.length > 0 && bytes >= maxBytes)) {
          left.push([group, Number(rank)]);
          break;
        }
        found.push(seq);
        tasks.push(...row);
        bytes += Number(size);
      }
    }
    this.#claim(found);
    return { tasks, left };
  }

  claimDue(now: number, limit: number): Answers["claimDue"] {
    return this.#claimByTime(rowsOf(this.#do.due), now, limit);
  }

  claimExpired(now: number, limit: number): Answers["claimExpired"] {
    return this.#claimByTime(rowsOf(this.#do.expiring), now, limit);
  }

  take(ids: readonly string[]): Answers["take"] {
    return this.#write(() => {
      const tasks: Primitive[] = [];
      const isTaken: boolean[] = [];
      for (const id of ids) {
        const taken = rowOf(this.#do.claimById, id);
        const task = taken ?? rowOf(this.#do.get, id);
        if (task === undefined) continue;
        tasks.push(...task);
        isTaken.push(taken !== undefined);
      }
      return { tasks, isTaken };
    });
  }

  takeInstance(instance: string): Answers["take"] {
    return this.take([...rowsOf(this.#do.ofInstance, instance)].map(([id]) => String(id)));
  }

  countBefore(id: string): number {
    const place = rowOf(this.#do.placeOf, id);
    return place === undefined ? 0 : Number(rowOf(this.#do.countBefore, ...place, maxCounted)?.[0]);
  }

  failed(filter: Omit<FailedFilter, "after">, before: FailedPlace): Answers["failed"] {
    const { method, from = -Infinity, to = Infinity, error, limit } = filter;
    const tasks: Primitive[] = [];
    const [methodColumn, outcomeColumn] = [taskColumns.indexOf("method"), taskColumns.indexOf("outcome")];
    let count = 0;
    let scanned = 0;
    let bytes = 0;
    const first = { settledAt: Math.min(before.settledAt, to), number: before.number };
    const isBounded = first.settledAt === before.settledAt;
    const rows = rowsOf(
      this.#do.failed,
      Math.min(first.settledAt, Number.MAX_VALUE),
      isBounded ? Math.min(first.number, Number.MAX_SAFE_INTEGER) : 0,
    );
    for (const row of rows) {
      const [number, size, settledAt] = row.splice(taskColumns.length).map(Number) as [
        number,
        number,
        number,
      ];
      if (settledAt < from) break;
      const isWanted =
        (method === undefined || row[methodColumn] === method) &&
        (error === undefined || String(row[outcomeColumn] ?? "").includes(error));
      if (isWanted) {
        tasks.push(...row);
        count++;
        bytes += size;
      }
      if (count >= limit || bytes >= maxPageBytes || ++scanned >= maxListScan) {
        return { tasks, next: { settledAt, number } };
      }
    }
    return { tasks, next: undefined };
  }

  get(ids: readonly string[]): Primitive[] {
    return ids.flatMap((id) => rowOf(this.#do.get, id) ?? []);
  }

  list(filter: Omit<TaskFilter, "after">, after: number): Answers["list"] {
    const [end, scanned] = rowOf(this.#do.scanEnd, after, maxListScan) ?? [];
    const { status = null, method = null, from = null, to = null, limit } = filter;
    const tasks: Primitive[] = [];
    let bytes = 0;
    let count = 0;
    if (typeof end !== "number") return { tasks, next: undefined };
    for (const row of rowsOf(this.#do.list, after, end, status, method, from, to)) {
      tasks.push(...row.slice(0, taskColumns.length));
      bytes += Number(row[taskColumns.length + 1]);
      if (++count >= limit || bytes >= maxPageBytes) {
        return { tasks, next: Number(row[taskColumns.length]) };
      }
    }
    return { tasks, next: scanned === maxListScan ? end : undefined };
  }

  counts(): readonly TaskCount[] {
    return [...rowsOf(this.#do.counts)].map(([method, status, count]) => ({
      method: String(method),
      status: status as TaskCount["status"],
      count: Number(count),
    }));
  }

  /** All or nothing; what is kept in memory goes back with the file. */
  #write<T>(change: () => T): T {
    const before: Totals = { records: this.#records, recordBytes: this.#recordBytes, time: this.#time };
    try {
      this.#do.begin.run();
      const result = change();
      this.#do.commit.run();
      this.#savedTime = this.#time;
      return result;
    } catch (error) {
      this.#records = before.records;
      this.#recordBytes = before.recordBytes;
      this.#time = before.time;
      // A full disk may have ended the transaction already.
      if (this.#database.isTransaction) this.#do.rollback.run();
      throw error;
    }
  }

  #change(code: number, fields: Primitive[], known: Primitive[]): void {
    switch (code) {
      case ChangeCode.Add:
        this.#add(fields, known);
        break;
      case ChangeCode.Settle:
        this.#settle(fields);
        break;
      case ChangeCode.Reschedule: {
        const [id = null, ...changed] = fields;
        this.#do.reschedule.run(...changed, id);
        break;
      }
      case ChangeCode.Revive: {
        const [id = null, ...changed] = fields;
        this.#do.revive.run(...changed, id);
        break;
      }
      case ChangeCode.SaveItem:
        this.#do.saveItem.run(...fields);
        break;
      case ChangeCode.RemoveItem:
        this.#do.removeItem.run(...fields);
        break;
      case ChangeCode.Remove:
        this.#remove(fields);
        break;
      case ChangeCode.SaveSession:
        this.#do.saveSession.run(...fields);
        break;
      case ChangeCode.RemoveSession:
        this.#do.removeSession.run(...fields);
        break;
      default:
        throw new Error(`There is no change ${code}`);
    }
  }

  #add(fields: Primitive[], known: Primitive[]): void {
    const [id = null, params, createdAt, outcome, settledAt] = addedColumns.map((place) => fields[place]);
    const isSettled = settledAt !== null;
    const bytes = bytesOf(params as string) + (isSettled ? bytesOf(outcome as string) + recordOverhead : 0);
    if (this.#do.add.run(this.#nextSeq, bytes, ...fields).changes === 0) {
      known.push(...(rowOf(this.#do.get, id) ?? []));
      return;
    }
    this.#nextSeq++;
    this.#time = Math.max(this.#time, Number(createdAt), Number(settledAt));
    if (isSettled) this.#noteRecord(bytes);
  }

  #noteRecord(bytes: number): number {
    this.#records++;
    this.#recordBytes += bytes;
    return bytes;
  }

  #settle(fields: Primitive[]): void {
    const [id = null, status = null, attempt = null, outcome = null, settledAt = null, forgetAt = null] =
      fields;
    const added = bytesOf(outcome as string) + recordOverhead;
    const { settle } = this.#do;
    if (settle.run(status, attempt, outcome, settledAt, forgetAt, added, id).changes === 0) return;
    this.#time = Math.max(this.#time, Number(settledAt));
  }

  #remove([id = null]: Primitive[]): void {
    const row = rowOf(this.#do.remove, id);
    if (row === undefined || row[0] === null) return;
    this.#records--;
    this.#recordBytes -= Number(row[1]);
  }

  #expire([now = 0, maxRecords = 0, maxRecordBytes = 0]: number[]): boolean {
    const expired: Primitive[] = [];
    let more = false;
    for (const [seq = null, bytes, forgetAt] of rowsOf(this.#do.oldestRecords)) {
      const isOver = this.#records > maxRecords || this.#recordBytes > maxRecordBytes;
      if (!isOver && Number(forgetAt) > now) break;
      more = expired.length === maxExpired;
      if (more) break;
      expired.push(seq);
      this.#records--;
      this.#recordBytes -= Number(bytes);
    }
    for (const seq of expired) this.#do.removeRecord.run(seq);
    return more;
  }

  /** Claims what is due of what is there in the order of its times: rows of a task, its number, bytes and time. */
  #claimByTime(rows: Iterable<Row>, now: number, limit: number): Answers["claimDue"] {
    const found: Primitive[] = [];
    const tasks: Primitive[] = [];
    let nextAt: number | undefined;
    for (const row of rows) {
      const [seq = null, , time] = row.splice(taskColumns.length);
      if (found.length >= limit || Number(time) > now) {
        nextAt = Number(time);
        break;
      }
      found.push(seq);
      tasks.push(...row);
    }
    this.#claim(found);
    return { tasks, nextAt };
  }

  #claim(found: readonly Primitive[]): void {
    if (found.length === 0) return;
    this.#write(() => {
      for (const seq of found) this.#do.claim.run(seq);
    });
  }
}

/** How many values follow each `ChangeCode`. */
const fieldCounts: readonly number[] = [1 + taskColumns.length, 6, 11, 1, 2, 1, 3, 3, 3, 2];

/** Where in the fields of an added task those are that are looked at; before them stands whether it is claimed. */
const addedColumns: readonly number[] = ["id", "params", "created_at", "outcome", "settled_at"].map(
  (name) => 1 + taskColumns.indexOf(name),
);
